import assert from "node:assert/strict";
import { test } from "node:test";

import { inWords, merged, pieces, tickSeconds } from "../../pages/shared/strip.js";

/** @typedef {import("../../pages/shared/times.js").Range} Range */

test("the timeline is cut into pieces of one kind each, from its start to its end", () => {
  const drawn = pieces({
    durationSecond: 600,
    watched: [
      [0, 130],
      [340, 600],
    ],
    rewatched: [[10, 20]],
    skipped: [[130, 340]],
  });

  assert.deepEqual(drawn, [
    { from: 0, to: 10, kind: "watched" },
    { from: 10, to: 20, kind: "rewatched" },
    { from: 20, to: 130, kind: "watched" },
    { from: 130, to: 340, kind: "skipped" },
    { from: 340, to: 600, kind: "watched" },
  ]);
});

test("whatever the ranges, each second has the strongest of its kinds and neighbours differ", () => {
  const random = randomNumbers(20_261_122);
  for (let round = 0; round < 500; round++) {
    const some = () =>
      Array.from({ length: random(6) }, () => [random(40), random(40)].sort((a, b) => a - b)).filter(([a, b]) => a < b);
    const [watched, rewatched, skipped] = /** @type {Range[][]} */ ([some(), some(), some()]);

    const drawn = pieces({ durationSecond: 30, watched, rewatched, skipped });

    for (let second = 0; second < 30; second++) {
      const within = (/** @type {Range[]} */ ranges) => ranges.some(([from, to]) => from <= second && second < to);
      const expected = within(rewatched)
        ? "rewatched"
        : within(watched)
          ? "watched"
          : within(skipped)
            ? "skipped"
            : "unwatched";
      assert.equal(drawn.find(({ from, to }) => from <= second && second < to)?.kind, expected);
    }
    for (let i = 1; i < drawn.length; i++) {
      assert.equal(drawn[i].from, drawn[i - 1].to);
      assert.notEqual(drawn[i].kind, drawn[i - 1].kind);
    }
    assert.equal(drawn.at(-1)?.to, 30);
  }
});

test("what lies beyond the lesson's end is not drawn", () => {
  assert.deepEqual(pieces({ durationSecond: 60, watched: [[50, 90]] }), [
    { from: 0, to: 50, kind: "unwatched" },
    { from: 50, to: 60, kind: "watched" },
  ]);
});

test("a lesson of unknown length ends where the last range does", () => {
  assert.equal(pieces({ durationSecond: null, watched: [[0, 20]], skipped: [[20, 45]] }).at(-1)?.to, 45);
  assert.deepEqual(pieces({ durationSecond: null, watched: [] }), []);
});

test("ranges that overlap or touch are one", () => {
  assert.deepEqual(
    merged([
      [10, 20],
      [0, 5],
      [5, 8],
      [15, 30],
    ]),
    [
      [0, 8],
      [10, 30],
    ],
  );
});

test("the strip is told in words to those who do not see it", () => {
  const drawn = pieces({ durationSecond: 600, watched: [[0, 130]], skipped: [[130, 340]] });

  assert.equal(
    inWords(drawn),
    "10:00 long. Watched once: 00:00–02:10. Skipped: 02:10–05:40. Not watched: 05:40–10:00.",
  );
  assert.equal(inWords([]), "Nothing was watched yet.");
});

test("the axis has round places and never more than there is room for", () => {
  assert.deepEqual(tickSeconds(600, 10), [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600]);
  assert.deepEqual(tickSeconds(587, 4), [0, 300]);
  assert.deepEqual(tickSeconds(0, 4), []);
  for (const end of [0.4, 7, 59, 61, 3599, 86_400]) {
    for (const room of [2, 5, 14]) assert.ok(tickSeconds(end, room).length <= room + 1, `${end} s, room for ${room}`);
  }
});

/** @param {number} seed */
function randomNumbers(seed) {
  return (/** @type {number} */ below) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}
