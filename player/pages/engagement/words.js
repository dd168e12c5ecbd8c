// What a lesson's figures say, in sentences; each from one answer of GET …/engagement.

import { clock, counted, percent, stretch } from "../shared/times.js";

/**
 * A part of the timeline; the three are learners, averaged over its length.
 * @typedef {{startSecond: number, endSecond: number, watched: number, rewatched: number, skipped: number}} Bucket
 */
/**
 * @typedef {object} Engagement
 * @property {string} lessonId
 * @property {number | null} durationSecond
 * @property {number} learners
 * @property {number} completed
 * @property {number | null} averageCoverageRatio
 * @property {number} bucketSecond
 * @property {Bucket[]} buckets
 */
/** @typedef {"watched" | "rewatched" | "skipped"} Measure */

/** @param {Engagement} engagement */
export function headline({ learners, lessonId }) {
  return `${counted(learners, "learner has", "learners have")} watched ${lessonId}`;
}

/**
 * What stands out, the most useful first; nothing where nothing does.
 * @param {Engagement} engagement
 * @returns {{name: string, words: string}[]}
 */
export function findings({ buckets, learners }) {
  const found = [];
  const drop = largestDrop(buckets);
  if (drop && drop.from - drop.to >= Math.max(2, learners / 20)) {
    found.push({
      name: "Largest drop",
      words: `at ${clock(drop.second)}, from ${people(drop.from)} to ${learnersWords(drop.to)}`,
    });
  }
  for (const [measure, name] of /** @type {const} */ ([
    ["rewatched", "Watched again most"],
    ["skipped", "Skipped most"],
  ])) {
    const peak = peakOf(buckets, measure);
    if (peak && peak.most >= 0.5)
      found.push({ name, words: `${stretch(peak.from, peak.to)}, by up to ${learnersWords(peak.most)}` });
  }
  return found;
}

/**
 * Where the most stop watching from one part to the next.
 * @param {readonly Bucket[]} buckets
 */
export function largestDrop(buckets) {
  let largest = null;
  for (let i = 1; i < buckets.length; i++) {
    const [from, to] = [buckets[i - 1].watched, buckets[i].watched];
    if (from > to && (!largest || from - to > largest.from - largest.to))
      largest = { second: buckets[i].startSecond, from, to };
  }
  return largest;
}

/**
 * The stretch around the highest part in which at least half as many do the same.
 * @param {readonly Bucket[]} buckets
 * @param {Measure} measure
 */
export function peakOf(buckets, measure) {
  const most = Math.max(0, ...buckets.map((bucket) => bucket[measure]));
  if (!most) return null;
  const top = buckets.findIndex((bucket) => bucket[measure] === most);
  let [first, last] = [top, top];
  while (first > 0 && buckets[first - 1][measure] >= most / 2) first--;
  while (last + 1 < buckets.length && buckets[last + 1][measure] >= most / 2) last++;
  return { from: buckets[first].startSecond, to: buckets[last].endSecond, most };
}

/**
 * One part in words.
 * @param {Bucket} bucket
 * @param {number} learners
 */
export function bucketWords(bucket, learners) {
  const share = learners ? ` (${percent(bucket.watched / learners)})` : "";
  return `${stretch(bucket.startSecond, bucket.endSecond)}: ${people(bucket.watched)} of ${learners.toLocaleString("en-GB")} watched it${share}, ${people(bucket.rewatched)} again, ${people(bucket.skipped)} skipped it`;
}

/**
 * A number of learners; an average over a part need not be whole.
 * @param {number} number
 */
export function people(number) {
  return number.toLocaleString("en-GB", { maximumFractionDigits: number < 10 ? 1 : 0 });
}

/** @param {number} number */
function learnersWords(number) {
  return `${people(number)} ${people(number) === "1" ? "learner" : "learners"}`;
}

/**
 * A round number at or above a number, for the top of a scale: 1, 2, 5, 10, 20, 25, 40, ….
 * @param {number} number
 */
export function roundTop(number) {
  if (!(number > 1)) return 1;
  const unit = 10 ** Math.floor(Math.log10(number));
  return (
    unit * /** @type {number} */ ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => unit * step >= number - 1e-9))
  );
}
