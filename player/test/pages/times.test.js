import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, counted, length, listed, percent, stretch, stretches } from "../../pages/shared/times.js";

/** The spaces in a length do not break; here they are written as plain ones. */
const plain = (/** @type {string} */ text) => text.replaceAll("\u00a0", " ");

test("a place is told in minutes and seconds, with hours only where there are any", () => {
  assert.equal(clock(0), "00:00");
  assert.equal(clock(130), "02:10");
  assert.equal(clock(599.4), "09:59");
  assert.equal(clock(3600), "1:00:00");
  assert.equal(clock(86_400), "24:00:00");
});

test("a place that rounds up carries into the minutes and hours", () => {
  assert.equal(clock(59.5), "01:00");
  assert.equal(clock(3599.9), "1:00:00");
  assert.equal(clock(59.96, 1), "01:00.0");
});

test("a stretch too short for whole seconds has tenths", () => {
  assert.equal(stretch(130, 340), "02:10–05:40");
  assert.equal(stretch(129.6, 130.4), "02:09.6–02:10.4");
});

test("a long list of stretches ends with how many more there are", () => {
  const ranges = Array.from({ length: 12 }, (_, i) => /** @type {[number, number]} */ ([i * 10, i * 10 + 5]));

  assert.equal(stretches(ranges.slice(0, 2)), "00:00–00:05 and 00:10–00:15");
  assert.equal(stretches(ranges, 3), "00:00–00:05, 00:10–00:15 and 10 more");
  assert.equal(stretches([]), "");
});

test("a list of words ends with and", () => {
  assert.equal(listed(["a"]), "a");
  assert.equal(listed(["a", "b", "c"]), "a, b and c");
});

test("a length is told in the two largest units that matter", () => {
  const told = [0, 0.35, 9.9, 9.96, 45, 59.7, 60, 390, 3599.8, 3600, 3720, 86_400].map((second) =>
    plain(length(second)),
  );

  assert.deepEqual(told, [
    "0 s",
    "0.3 s",
    "9.9 s",
    "10 s",
    "45 s",
    "1 min",
    "1 min",
    "6 min 30 s",
    "1 h",
    "1 h",
    "1 h 2 min",
    "24 h",
  ]);
});

test("a length never breaks at the end of a line", () => {
  assert.ok(!length(390).includes(" "));
  assert.ok(!length(4).includes(" "));
});

test("a share is rounded down, so that what falls short of a threshold never looks as if it reached it", () => {
  assert.equal(percent(0.899999), "89.9%");
  assert.equal(percent(0.9), "90%");
  assert.equal(percent(0.57), "57%");
  assert.equal(percent(0.999999), "99.9%");
  assert.equal(percent(1), "100%");
  assert.equal(percent(0), "0%");
  assert.equal(percent(0.98, { isAligned: true }), "98.0%");
});

test("one is not many", () => {
  assert.equal(counted(1, "session"), "1 session");
  assert.equal(counted(0, "session"), "0 sessions");
  assert.equal(counted(10_240, "learner has", "learners have"), "10,240 learners have");
});
