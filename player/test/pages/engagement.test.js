import assert from "node:assert/strict";
import { test } from "node:test";

import {
  bucketWords,
  findings,
  headline,
  largestDrop,
  peakOf,
  people,
  roundTop,
} from "../../pages/engagement/words.js";

/** Parts of ten seconds; what is not told was watched by all, and nothing else. */
const lesson = (/** @type {Partial<import("../../pages/engagement/words.js").Bucket>[]} */ parts, learners = 100) => ({
  lessonId: "intro",
  durationSecond: parts.length * 10,
  learners,
  completed: 0,
  averageCoverageRatio: null,
  bucketSecond: 10,
  buckets: parts.map((part, i) => ({
    startSecond: i * 10,
    endSecond: i * 10 + 10,
    watched: learners,
    rewatched: 0,
    skipped: 0,
    ...part,
  })),
});

test("the headline counts the learners", () => {
  assert.equal(headline(lesson([{}])), "100 learners have watched intro");
  assert.equal(headline(lesson([{}], 1)), "1 learner has watched intro");
});

test("the largest drop is between two neighbouring parts", () => {
  const { buckets } = lesson([{ watched: 100 }, { watched: 95 }, { watched: 60 }, { watched: 80 }]);

  assert.deepEqual(largestDrop(buckets), { second: 20, from: 95, to: 60 });
  assert.equal(largestDrop(lesson([{ watched: 1 }, { watched: 2 }]).buckets), null);
});

test("a peak reaches as far as half as many do the same", () => {
  const { buckets } = lesson([{ skipped: 1 }, { skipped: 6 }, { skipped: 10 }, { skipped: 5 }, { skipped: 4 }]);

  assert.deepEqual(peakOf(buckets, "skipped"), { from: 10, to: 40, most: 10 });
  assert.equal(peakOf(buckets, "rewatched"), null);
});

test("what stands out is told, and nothing where nothing does", () => {
  assert.deepEqual(findings(lesson([{}, {}, {}])), []);
  assert.deepEqual(findings(lesson([{ rewatched: 14 }, { watched: 80, skipped: 1 }])), [
    { name: "Largest drop", words: "at 00:10, from 100 to 80 learners" },
    { name: "Watched again most", words: "00:00–00:10, by up to 14 learners" },
    { name: "Skipped most", words: "00:10–00:20, by up to 1 learner" },
  ]);
});

test("a part is told with its share", () => {
  const { buckets } = lesson([{ watched: 71.5, rewatched: 2.25, skipped: 0 }]);

  assert.equal(bucketWords(buckets[0], 100), "00:00–00:10: 72 of 100 watched it (71.5%), 2.3 again, 0 skipped it");
});

test("averages have a decimal only while they are small", () => {
  assert.equal(people(2.25), "2.3");
  assert.equal(people(3), "3");
  assert.equal(people(1018.6), "1,019");
});

test("a scale ends at a round number that is large enough", () => {
  assert.deepEqual([0, 0.3, 1, 1.1, 14, 788, 10_240].map(roundTop), [1, 1, 1, 1.2, 15, 800, 12_000]);
});
