// The strip over a lesson's timeline: what was watched, watched again, skipped, and not watched.
//
// Each kind has a pattern beside its colour, and the whole is told in words to those who do not see it.

import { el } from "./dom.js";
import { clock, length, stretch, stretches } from "./times.js";

/** @typedef {import("./times.js").Range} Range */
/** @typedef {"watched" | "rewatched" | "skipped" | "unwatched"} Kind */
/** @typedef {{from: number, to: number, kind: Kind}} Piece */
/**
 * What there is to show, in seconds; ranges in any order. Watched again wins over watched, watched over skipped.
 * @typedef {object} Timeline
 * @property {number | null} durationSecond null: not known, the strip ends where the last range does
 * @property {readonly Range[]} watched
 * @property {readonly Range[]} [rewatched]
 * @property {readonly Range[]} [skipped]
 * @property {number | null} [positionSecond] where the playhead is, if it is to be shown
 */

/** @type {Record<Kind, string>} */
export const KINDS = {
  watched: "Watched once",
  rewatched: "Watched again",
  skipped: "Skipped",
  unwatched: "Not watched",
};

/**
 * A strip to put on a page; `update` shows another state, cheaply where only the playhead moved.
 *
 *     const strip = timelineStrip({ label: "Your progress" });
 *     main.append(strip.element);
 *     strip.update({ durationSecond: 600, watched: [[0, 130]], positionSecond: 130 });
 *
 * @param {object} [options]
 * @param {string} [options.label] what the strip is of; begins its text alternative
 * @param {boolean} [options.axis] whether times stand below it
 * @param {boolean} [options.legend] whether the kinds and their sums stand below it
 * @param {boolean} [options.small] a line of a table rather than the page's main thing
 */
export function timelineStrip({ label = "Timeline", axis = true, legend = true, small = false } = {}) {
  const playhead = el("span", { class: "strip-playhead", hidden: true });
  const bar = el("div", { class: "strip-bar", role: "img", "aria-label": label });
  const ticks = el("div", { class: "strip-axis", "aria-hidden": "true" });
  const key = el("ul", { class: "legend" });
  const element = el("div", { class: small ? "strip strip-small" : "strip" }, bar, axis && ticks, legend && key);
  let shown = "";
  let end = 0;

  function drawAxis() {
    const room = Math.max(2, Math.floor((element.clientWidth || 640) / 88));
    ticks.replaceChildren(...tickSeconds(end, room).map((second) => tick(second, end)));
  }

  if (axis) new ResizeObserver(drawAxis).observe(element);

  return {
    element,
    /** @param {Timeline} timeline */
    update(timeline) {
      const { positionSecond, ...ranges } = timeline;
      const now = JSON.stringify(ranges);
      if (now !== shown) {
        shown = now;
        const drawn = pieces(timeline);
        end = drawn.at(-1)?.to ?? 0;
        bar.setAttribute("aria-label", `${label}. ${inWords(drawn)}`);
        bar.replaceChildren(
          ...drawn.filter((piece) => piece.kind !== "unwatched").map((piece) => part(piece, end)),
          playhead,
        );
        key.replaceChildren(...legendItems(drawn));
        if (axis) drawAxis();
      }
      const visible = typeof positionSecond === "number" && end > 0;
      playhead.hidden = !visible;
      if (visible) playhead.style.left = share(Math.min(positionSecond, end), end);
    },
  };
}

/**
 * The timeline cut into neighbouring pieces of one kind each, from 0 to its end.
 * @param {Timeline} timeline
 * @returns {Piece[]}
 */
export function pieces({ durationSecond, watched, rewatched = [], skipped = [] }) {
  const end = durationSecond ?? Math.max(0, ...[...watched, ...rewatched, ...skipped].map(([, to]) => to));
  const [again, once, jumped] = [rewatched, watched, skipped].map(merged);
  const edges = [0, end, ...[again, once, jumped].flat(2)].filter((second) => second >= 0 && second <= end);
  const places = [...new Set(edges)].sort((a, b) => a - b);
  /** @type {Piece[]} */
  const found = [];
  for (let i = 0; i + 1 < places.length; i++) {
    const [from, to] = [places[i], places[i + 1]];
    const kind = covers(again, from)
      ? "rewatched"
      : covers(once, from)
        ? "watched"
        : covers(jumped, from)
          ? "skipped"
          : "unwatched";
    const last = found.at(-1);
    if (last?.kind === kind) last.to = to;
    else found.push({ from, to, kind });
  }
  return found;
}

/**
 * The ranges in order, those that overlap or touch made one.
 * @param {readonly Range[]} ranges
 * @returns {Range[]}
 */
export function merged(ranges) {
  /** @type {Range[]} */
  const result = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (from < to) result.push([from, to]);
  }
  return result;
}

/**
 * The strip in words: "10:00 long. Watched once: 00:00–02:10. …"; kinds that do not occur are left out.
 * @param {readonly Piece[]} drawn
 */
export function inWords(drawn) {
  const end = drawn.at(-1)?.to ?? 0;
  if (!end) return "Nothing was watched yet.";
  const kinds = Object.entries(KINDS).map(([kind, name]) => {
    const ranges = drawn
      .filter((piece) => piece.kind === kind)
      .map(({ from, to }) => /** @type {Range} */ ([from, to]));
    return ranges.length ? ` ${name}: ${stretches(ranges)}.` : "";
  });
  return `${clock(end)} long.${kinds.join("")}`;
}

/**
 * Round places for an axis, at most so many beside 0: every 10 s, every 5 min, ….
 * @param {number} end
 * @param {number} atMost
 */
export function tickSeconds(end, atMost) {
  if (!(end > 0)) return [];
  const step = STEPS.find((candidate) => end / candidate <= atMost) ?? 3600 * Math.ceil(end / 3600 / atMost);
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, i) => i * step);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** @param {readonly Range[]} ranges in order, apart @param {number} second */
function covers(ranges, second) {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle][1] <= second) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low][0] <= second;
}

/** @param {Piece} piece @param {number} end */
function part({ from, to, kind }, end) {
  const span = el("span", { class: `piece ${kind}`, title: `${KINDS[kind]} ${stretch(from, to)}` });
  span.style.left = share(from, end);
  span.style.width = share(to - from, end);
  return span;
}

/** @param {number} second @param {number} end */
function tick(second, end) {
  const mark = el("span", { class: "tick" }, clock(second));
  mark.style.left = share(second, end);
  if (second === 0) mark.classList.add("tick-first");
  else if (second / end > 0.97) mark.classList.add("tick-last");
  return mark;
}

/** @param {readonly Piece[]} drawn */
function legendItems(drawn) {
  return Object.entries(KINDS).map(([kind, name]) => {
    const sum = drawn.filter((piece) => piece.kind === kind).reduce((total, { from, to }) => total + to - from, 0);
    return el(
      "li",
      {},
      el("span", { class: `swatch ${kind}` }),
      `${name} `,
      el("span", { class: "legend-sum" }, length(sum)),
    );
  });
}

/** @param {number} second @param {number} end */
function share(second, end) {
  return `${(100 * second) / end}%`;
}
