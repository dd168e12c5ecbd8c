// What is watched on this page, to be drawn at once. The record itself is the client's and the service's.

import { merged } from "../shared/strip.js";

/** @typedef {import("../shared/times.js").Range} Range */
/** @typedef {{coverage: Range[], rewatched: Range[], skipped: Range[]}} Seen */

const LATE_S = 0.5;

/** @type {Seen} */
export const NOTHING = { coverage: [], rewatched: [], skipped: [] };

/**
 * Follow a video; `seen()` is what was watched before and here together.
 * @param {HTMLVideoElement} video
 * @param {Seen} before
 * @param {() => void} changed
 */
export function follow(video, before, changed) {
  const skipped = [...before.skipped];
  let { coverage, rewatched } = before;
  /** Where the stretch that is played began, null while nothing plays. @type {number | null} */
  let from = null;
  let last = video.currentTime;
  /** Where the seek under way came from. @type {number | null} */
  let origin = null;
  let goal = 0;

  /** @returns {Range[]} */
  const playing = () => (from !== null && last > from ? [[from, last]] : []);

  function stop() {
    const stretch = playing();
    rewatched = merged([...rewatched, ...overlap(stretch, coverage)]);
    coverage = merged([...coverage, ...stretch]);
    from = null;
  }

  /** Where it began to play, which the event tells a little later. @param {number} place */
  function began(place) {
    const late = video.currentTime - place;
    return late >= 0 && late <= LATE_S * video.playbackRate ? place : video.currentTime;
  }

  /** @type {Record<string, () => void>} */
  const heard = {
    playing() {
      last = began(last);
      from ??= last;
    },
    timeupdate: () => video.seeking || (last = video.currentTime),
    seeking() {
      origin ??= last;
      goal = video.currentTime;
      stop();
    },
    seeked() {
      const to = began(goal);
      if (origin !== null && to > origin) skipped.push([origin, to]);
      origin = null;
      last = to;
      if (!video.paused) from = to;
    },
  };
  heard.pause =
    heard.waiting =
    heard.ended =
      () => {
        heard.timeupdate();
        stop();
      };
  for (const [name, hear] of Object.entries(heard)) {
    video.addEventListener(name, () => {
      hear();
      changed();
    });
  }

  return {
    /** @returns {Seen} */
    seen: () => ({
      coverage: merged([...coverage, ...playing()]),
      rewatched: [...rewatched, ...overlap(playing(), coverage)],
      skipped,
    }),
  };
}

/**
 * What ranges have in common with others.
 * @param {readonly Range[]} ranges
 * @param {readonly Range[]} others
 * @returns {Range[]}
 */
export function overlap(ranges, others) {
  return ranges.flatMap(([a, b]) =>
    others.map(([c, d]) => /** @type {Range} */ ([Math.max(a, c), Math.min(b, d)])).filter(([from, to]) => from < to),
  );
}

/**
 * What is left of a timeline, in order.
 * @param {readonly Range[]} coverage
 * @param {number} end
 * @returns {Range[]}
 */
export function gaps(coverage, end) {
  /** @type {Range[]} */
  const found = [];
  let place = 0;
  for (const [from, to] of merged(coverage)) {
    if (from > place) found.push([place, Math.min(from, end)]);
    place = Math.max(place, to);
  }
  if (place < end) found.push([place, end]);
  return found.filter(([from, to]) => to > from);
}
