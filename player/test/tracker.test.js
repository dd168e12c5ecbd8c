import assert from "node:assert/strict";
import { test } from "node:test";
import { Tracker } from "../src/tracker.js";
import { Video } from "./simulation/video.js";
import { World } from "./simulation/world.js";

/** A video of ten minutes, what its tracker tells, and a clock. */
function watching({ limit = (_, to) => to } = {}) {
  const world = new World(7);
  const tab = { isDead: false, asleepUntil: 0 };
  const video = new Video(world, tab, 600);
  const segments = [];
  const jumps = [];
  const switched = [];
  const told = {
    played: (start, end, speed) => segments.push([start, end, speed]),
    jumped: (from, to) => jumps.push([from, to]),
    limit,
    switched: () => switched.push(video.currentSrc),
  };
  const environment = {
    now: () => world.now,
    setTimeout: (f, ms) => world.after(ms, f),
    clearTimeout: (entry) => world.cancel(entry),
  };
  const tracker = new Tracker(video, told, environment);
  const run = (second) => world.run(second * 1000);
  return { world, tab, video, tracker, segments, jumps, switched, run };
}

function assertClose(found, expected, tolerance = 0.05) {
  assert.equal(found.length, expected.length, JSON.stringify(found));
  for (const [i, numbers] of expected.entries()) {
    for (const [j, number] of numbers.entries()) {
      assert.ok(
        Math.abs(found[i][j] - number) <= tolerance,
        `${JSON.stringify(found)} is not ${JSON.stringify(expected)}`,
      );
    }
  }
}

for (const speed of [0.5, 1, 2, 16]) {
  test(`at ${speed}x a pause ends a segment where the playhead stands`, async () => {
    const { video, segments, run } = watching();
    video.playbackRate = speed;
    await run(1);
    video.play();
    await run(5);
    video.pause();
    await run(1);
    assertClose(segments, [[0, 5 * speed, speed]]);
  });

  test(`at ${speed}x a seek ends a segment where it was left, not where it went`, async () => {
    const { video, segments, jumps, run } = watching();
    video.playbackRate = speed;
    await run(1);
    video.play();
    await run(5.1);
    video.currentTime = 300;
    video.pause();
    await run(1);
    assertClose(segments, [[0, 5.1 * speed, speed]]);
    assertClose(jumps, [[5.1 * speed, 300]]);
  });
}

test("a segment is cut after 5 to 15 seconds, without a gap", async () => {
  const { video, segments, run } = watching();
  video.play();
  await run(60);
  video.pause();
  await run(1);
  assert.ok(segments.length >= 4);
  for (const [start, end] of segments.slice(0, -1)) assert.ok(end - start >= 5 && end - start <= 15);
  for (const [i, [start]] of segments.slice(1).entries()) assert.equal(start, segments[i][1]);
  assertClose([[segments[0][0], segments.at(-1)[1]]], [[0, 60]]);
});

test("re-watched ground is a segment of its own", async () => {
  const { video, segments, run } = watching();
  video.play();
  await run(8);
  video.currentTime = 2;
  video.pause();
  await run(1);
  video.play();
  await run(3.1);
  video.currentTime = 100; // left where `played` says nothing: it goes on to 8
  video.pause();
  await run(1);
  assertClose(segments, [
    [0, 8, 1],
    [2, 5.1, 1],
  ]);
});

test("each speed has a segment of its own", async () => {
  const { video, segments, run } = watching();
  video.play();
  await run(4);
  video.playbackRate = 2;
  await run(4);
  video.pause();
  await run(1);
  assertClose(segments, [
    [0, 4, 1],
    [4, 12, 2],
  ]);
  assert.equal(segments[0][1], segments[1][0]);
});

test("what was made ready at the speed of before is watched, however often the page hears of the new one", async () => {
  const { video, segments, run } = watching();
  video.playbackRate = 16;
  video.play();
  await run(2);
  video.playbackRate = 1; // and 3 s more are played at once
  for (const _ of "twice") video.dispatchEvent(new Event("timeupdate"));
  await run(2);
  video.pause();
  await run(1);
  assertClose(segments, [
    [0, 32, 16],
    [32, 37, 1],
  ]);
});

test("a stall is not watched", async () => {
  const { video, segments, run } = watching();
  video.play();
  await run(4);
  video.stall(60_000);
  await run(63);
  video.pause();
  await run(1);
  assertClose(segments, [
    [0, 4, 1],
    [4, 7, 1],
  ]);
});

test("a scrub is one seek from where it began to where it ended", async () => {
  const { video, jumps, run } = watching();
  video.play();
  await run(10);
  video.pause();
  for (const place of [50, 120, 80, 200, 333]) {
    video.currentTime = place;
    await run(0.1);
  }
  await run(1);
  assertClose(jumps, [[10, 333]]);
});

test("a scrub that comes back is no seek", async () => {
  const { video, jumps, run } = watching();
  for (const place of [50, 120, 0]) {
    video.currentTime = place;
    await run(0.1);
  }
  await run(1);
  assert.deepEqual(jumps, []);
});

test("seeks far apart are two", async () => {
  const { video, jumps, run } = watching();
  video.currentTime = 50;
  await run(2);
  video.currentTime = 70;
  await run(2);
  assertClose(jumps, [
    [0, 50],
    [50, 70],
  ]);
});

test("what played between two seeks and was over before the page heard of it is watched", () => {
  let now = 0;
  const video = new EventTarget();
  const is = (/** @type {number} */ currentTime, /** @type {[number, number][]} */ ...ranges) => {
    const played = { length: ranges.length, start: (i) => ranges[i][0], end: (i) => ranges[i][1] };
    Object.assign(video, { currentSrc: "lesson.mp4", currentTime, playbackRate: 1, seeking: true, played });
  };
  const segments = [];
  const told = { played: (...segment) => segments.push(segment), jumped() {}, limit: (_, to) => to, switched() {} };
  is(0);
  new Tracker(/** @type {any} */ (video), told, { now: () => now, setTimeout() {}, clearTimeout() {} });
  is(100);
  video.dispatchEvent(new Event("seeking"));
  now = 300;
  is(200, [100, 100.1]);
  video.dispatchEvent(new Event("seeking"));
  now = 600;
  is(99.9, [100, 100.1]);
  video.dispatchEvent(new Event("seeking"));
  assert.deepEqual(segments, [[100, 100.1, 1]]);
});

test("a seek that may not go so far goes as far as it may", async () => {
  const { video, jumps, run } = watching({ limit: (_, to) => Math.min(to, 20) });
  video.currentTime = 300;
  await run(2);
  assert.equal(video.currentTime, 20);
  assertClose(jumps, [[0, 20]]);
});

test("what played when the machine fell asleep is counted once, and the night is not", async () => {
  const { world, tab, video, segments, run } = watching();
  video.play();
  await run(5);
  const wake = video.freeze();
  tab.asleepUntil = world.now + 8 * 3_600_000;
  await run(8 * 3600);
  wake();
  await run(5);
  video.pause();
  await run(1);
  assertClose([[segments[0][0], segments.at(-1)[1]]], [[0, 10]]);
  assertClose([[segments.reduce((sum, [start, end]) => sum + end - start, 0)]], [[10]]);
});

test("the end of the video ends a segment", async () => {
  const { video, segments, run } = watching();
  video.currentTime = 595;
  await run(1);
  video.play();
  await run(10);
  assertClose(segments, [[595, 600, 1]]);
});

test("another source is told, and not counted", async () => {
  const { video, segments, switched, run } = watching();
  video.play();
  await run(5);
  video.load("another.mp4");
  video.play();
  await run(5);
  video.pause();
  await run(1);
  assert.deepEqual(switched, ["another.mp4"]);
  assertClose(segments, [[0, 5, 1]], 0.3); // `played` is gone by then: what was seen last counts
  assert.ok(segments[0][1] <= 5);
});

test("the same source loaded again is counted on", async () => {
  const { video, segments, run } = watching();
  video.play();
  await run(5);
  video.load("lesson.mp4");
  video.play();
  await run(3);
  video.pause();
  await run(1);
  assertClose(segments.slice(1), [[0, 3, 1]]);
});

test("a video that plays already is counted from where it is", async () => {
  const { world, video, run } = watching();
  video.play();
  await run(5);
  const segments = [];
  const told = { played: (...segment) => segments.push(segment), jumped() {}, limit: (_, to) => to, switched() {} };
  new Tracker(video, told, { now: () => world.now, setTimeout() {}, clearTimeout() {} });
  await run(5);
  video.pause();
  await run(1);
  assertClose(segments, [[5, 10, 1]]);
});

test("what is stopped counts nothing more", async () => {
  const { video, tracker, segments, run } = watching();
  video.play();
  await run(5);
  tracker.stop();
  tracker.split();
  await run(5);
  assertClose(segments, [[0, 5, 1]]);
});
