// Runs in every page before its own scripts, and sees what really happens to its video, knowing nothing of the client.
//
// The learner acts through it, so the places of the playhead are read in the same moment as it is moved.

const witness = (window.witness = {
  /** Stretches that were played, `[from, to, speed]`, in their order. */
  played: [],
  /** Where what plays now began; null while nothing plays. */
  from: null,
  /** Where the playhead was when it was last read. */
  rests: 0,
  /** The places of the pictures that were shown, in seconds of the video. */
  pictures: [],
  /** How many transactions that wrote to IndexedDB were completed. */
  stored: 0,
  /** Content that the page's policy refused. */
  refused: [],

  get video() {
    return document.querySelector("video");
  },

  /** Play, from a place that is known. */
  async play() {
    const { video } = this;
    this.from ??= video.paused ? video.currentTime : this.rests; // the browser may have begun already
    await video.play();
  },

  /** Read where the playhead is: what was played up to here is certain. */
  mark() {
    const { currentTime, playbackRate } = this.video;
    this.rests = currentTime;
    if (this.from !== null && currentTime > this.from) this.played.push([this.from, currentTime, playbackRate]);
    this.from = null;
    return currentTime;
  },

  /** Pause, and wait until it rests. */
  async pause() {
    const { video } = this;
    if (!video.paused) {
      const paused = once(video, "pause");
      video.pause();
      await paused;
    }
    return this.mark();
  },

  /** Put the playhead somewhere else, without pausing it. */
  async seek(place) {
    const { video } = this;
    const plays = this.from !== null;
    this.mark();
    const seeked = once(video, "seeked");
    video.currentTime = place;
    await seeked;
    if (plays) this.from = place;
  },

  /** Play on at another speed. */
  speed(rate) {
    const plays = this.from !== null;
    const place = this.mark();
    this.video.playbackRate = rate;
    if (plays) this.from = place;
  },

  /** Put the playhead to one place after the other, faster than it can follow, as one who drags it. */
  async scrub(...places) {
    const { video } = this;
    for (const place of places) {
      video.currentTime = place;
      await after(40);
    }
    if (video.seeking) await once(video, "seeked");
  },

  /** Until the playhead has passed a place, or the video has ended. */
  passes(place) {
    const { video } = this;
    return new Promise((done) => {
      const look = () => {
        if (video.currentTime < place && !video.ended) return setTimeout(look, 10);
        done(video.currentTime);
      };
      look();
    });
  },

  /** Until something more is stored. */
  storedSomething() {
    const before = this.stored;
    return new Promise((done) => {
      const look = () => (this.stored > before ? done(this.stored) : setTimeout(look, 1));
      look();
    });
  },

  /** The number that is written in the picture in blocks: of the frame that is shown, 25 a second. */
  frameInPicture() {
    const { video } = this;
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const picture = canvas.getContext("2d");
    picture.drawImage(video, 0, 0);
    let number = 0;
    for (let block = 0; block < 16; block++) {
      const [, green] = picture.getImageData(40 * block + 20, 356, 1, 1).data;
      number = 2 * number + (green > 110 ? 1 : 0);
    }
    return number;
  },

  /** All that is certain, also of this learner's pages that were left. */
  told() {
    return [...JSON.parse(localStorage.witness ?? "[]"), ...this.played];
  },
});

function once(target, event) {
  return new Promise((done) => target.addEventListener(event, done, { once: true }));
}

function after(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// Whoever plays or pauses it, the learner by the page's own controls or the browser by itself, is seen as well.
for (const [event, see] of Object.entries({
  seeking: (video) => (witness.rests = video.currentTime),
  play: () => (witness.from ??= witness.rests),
  pause: () => witness.mark(),
  ended: () => witness.mark(),
})) {
  addEventListener(event, ({ target }) => target === witness.video && see(target), { capture: true });
}

addEventListener(
  "loadedmetadata",
  ({ target }) => {
    const see = (_, { mediaTime }) => {
      witness.pictures.push(mediaTime);
      target.requestVideoFrameCallback(see);
    };
    target.requestVideoFrameCallback(see);
  },
  { capture: true },
);

// It goes on playing until the very end, after `pagehide`, too.
for (const event of ["pagehide", "visibilitychange"]) {
  addEventListener(event, () => {
    if (!witness.video || (document.visibilityState === "visible" && event !== "pagehide")) return;
    const plays = witness.from !== null;
    const place = witness.mark();
    if (plays) witness.from = place;
    localStorage.witness = JSON.stringify(witness.told());
    witness.played = [];
  });
}

addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  witness.refused.push(`${violatedDirective}: ${blockedURI}`);
});

const { put, add } = IDBObjectStore.prototype;
for (const [name, write] of Object.entries({ put, add })) {
  IDBObjectStore.prototype[name] = function (...values) {
    if (!this.transaction.isWatched) {
      this.transaction.isWatched = true;
      this.transaction.addEventListener("complete", () => witness.stored++);
    }
    return write.apply(this, values);
  };
}
