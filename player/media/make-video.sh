#!/bin/sh
# Make the sample lessons again: ten minutes, one minute, and twelve seconds for the tests. Needs ffmpeg with libx264.
#
# Each picture says where it is: to people by the clock, to a test by the strip of blocks at its lower edge, which is
# the number of the frame (of 25 a second) in binary, bright for 1, sixteen blocks of 40 pixels, the lowest bit last.
set -eu
cd "$(dirname "$0")"
font=${FONT:-/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf}

make() { # name seconds title
  blocks=$(for bit in 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0; do
    printf ",drawbox=x=%d:y=352:w=40:h=8:color=0x5cc8a8:t=fill:enable='mod(trunc(n/%d),2)'" $((600 - 40 * bit)) $((1 << bit))
  done)
  ffmpeg -y -loglevel error \
    -f lavfi -i "gradients=size=640x360:rate=25:c0=0x14324a:c1=0x0b1622:x0=0:y0=0:x1=640:y1=360:speed=0.00001:duration=$2" \
    -f lavfi -i "color=c=0x5cc8a8:size=560x4:rate=25:duration=$2" \
    -f lavfi -i "aevalsrc='0.05*(1-exp(-4*mod(t,6)))*exp(-0.5*mod(t,6))*(sin(2*PI*t*196)+0.6*sin(3*PI*t*196)+0.4*sin(5*PI*t*196))':s=16000:d=$2" \
    -filter_complex "[0]hue=h='12*floor(t/60)'[back];
      color=c=0xffffff@0.16:size=560x4:rate=25:duration=$2,format=rgba[rail];
      [back][rail]overlay=x=40:y=268[railed];
      color=c=0x000000@0:size=560x4:rate=25:duration=$2,format=rgba[empty];
      [empty][1]overlay=x='-560+560*t/$2'[run];
      [railed][run]overlay=x=40:y=268,
      drawtext=fontfile=$font:text='$3':fontsize=22:fontcolor=white@0.78:x=40:y=52,
      drawtext=fontfile=$font:text='%{eif\:trunc(t/60)\:d\:2}\:%{eif\:mod(trunc(t+0.001)\,60)\:d\:2}':fontsize=132:fontcolor=white:x=(w-tw)/2:y=112,
      drawbox=x=0:y=352:w=640:h=8:color=0x0b1622:t=fill$blocks,format=yuv420p[v]" \
    -map '[v]' -map 2:a -c:v libx264 -profile:v main -preset veryslow -tune stillimage -crf 29 -g 100 -keyint_min 100 \
    -c:a aac -b:a 16k -ac 1 -movflags +faststart -fflags +bitexact -flags:v +bitexact -t "$2" "$1.part.mp4"
  mv "$1.part.mp4" "$1.mp4"
}

make twelve-seconds 12 'Twelve seconds'
make one-minute 60 'One minute'
make ten-minutes 600 'Ten minutes'
