import assert from "node:assert/strict";
import { test } from "node:test";

import * as words from "../../pages/evidence/words.js";
import { attempt, evidence, POLICY, session, skip } from "./records.js";

/** The spaces in a length do not break; here they are written as plain ones. */
const plain = (/** @type {string | null | undefined} */ text) => text?.replaceAll("\u00a0", " ");
const all = (/** @type {{title: string, sentences: string[]}} */ { title, sentences }) =>
  plain([title, ...sentences].join(" "));

test("a skip tells what was jumped over and how much of it was watched later", () => {
  const told = [210, 209.9, 160, 140, 105, 70, 50, 10, 0.2, 0].map((still) => words.skipWords(skip(130, 340, still)));

  assert.deepEqual(told, [
    "skipped 02:10–05:40, not watched since",
    "skipped 02:10–05:40, not watched since",
    "skipped 02:10–05:40, later watched about a quarter of it",
    "skipped 02:10–05:40, later watched about a third of it",
    "skipped 02:10–05:40, later watched half of it",
    "skipped 02:10–05:40, later watched about two thirds of it",
    "skipped 02:10–05:40, later watched about three quarters of it",
    "skipped 02:10–05:40, later watched nearly all of it",
    "skipped 02:10–05:40, later watched nearly all of it",
    "skipped 02:10–05:40, later watched all of it",
  ]);
});

test("a jump over ground that was partly watched says how much was not", () => {
  const jump = skip(130, 340, 30, { skippedSecond: 60 });

  assert.equal(
    plain(words.skipWords(jump)),
    "skipped 02:10–05:40, of which 1 min had not been watched; later watched half of that",
  );
  assert.equal(
    plain(words.skipWords({ ...jump, stillUnwatchedSecond: 60 })),
    "skipped 02:10–05:40, of which 1 min had not been watched; that is unwatched to this day",
  );
});

test("a jump that the lesson tolerates is not made a skip by words", () => {
  assert.equal(
    words.skipWords(skip(20, 23, 0, { isSkip: false })),
    "skipped 00:20–00:23 (within what the lesson tolerates), later watched all of it",
  );
});

test("a jump back or over watched ground is no skip", () => {
  assert.equal(words.skipWords(skip(340, 130, 0)), "went back from 05:40 to 02:10");
  assert.equal(
    words.skipWords(skip(130, 340, 0, { skippedSecond: 0 })),
    "jumped over 02:10–05:40, all of it watched before",
  );
});

test("only exactly all is all, and a sliver is not half", () => {
  assert.equal(words.fraction(0.999), "nearly all");
  assert.equal(words.fraction(0.01), "a little");
  assert.equal(words.fraction(0.5), "half");
  assert.equal(words.fraction(0.55), "more than half");
  assert.equal(words.fraction(0.45), "less than half");
});

test("why a jump was not allowed is told in words", () => {
  const forbidden = (/** @type {string | null} */ reason) => skip(0, 60, 60, { allowed: false, reason });

  assert.equal(words.objection(skip(0, 60, 60), true), null);
  assert.equal(words.objection(forbidden("policy_violation"), true), "not allowed by the lesson’s rule on seeking");
  assert.equal(
    words.objection(forbidden("beyond_verified"), false),
    "beyond what was verified, in a session without an assignment",
  );
  assert.equal(words.objection(forbidden("exam mode"), true), "not allowed, the player says: exam mode");
});

test("the headline is the whole page in a line", () => {
  assert.equal(words.headline(evidence([]), attempt()), "ana has watched 65% of intro");
  assert.equal(words.headline(evidence([]), attempt({ coverageRatio: 1 })), "ana has watched all of intro");
  assert.equal(
    words.headline(evidence([]), attempt({ coverageSecond: 0, coverageRatio: 0 })),
    "ana has watched nothing of intro yet",
  );
  assert.equal(
    plain(words.headline(evidence([]), attempt({ coverageRatio: null }))),
    "ana has watched 6 min 30 s of intro",
  );
});

test("an attempt below the threshold says by how much and what was not watched", () => {
  assert.equal(
    all(words.verdict(evidence([]), attempt())),
    "Not complete: 2 min 30 s more must be watched 65% counts, 90% is needed. Not watched: 02:10–05:40.",
  );
});

test("an attempt that a flagged session is left out of says so", () => {
  const flagged = session({ integrity: "exceeds_wall_clock", counts: false, whyNot: "integrity" });

  const told = words.verdict(
    evidence([], { policy: { ...POLICY, integrityPolicy: "exclude" } }),
    attempt({ sessions: [flagged] }),
  );

  assert.match(all(told) ?? "", /1 session is left out of the judgement because more was reported than time allowed\./);
});

test("enough watched is not yet complete", () => {
  const missing = { thresholdRatio: 0.9, completionRatio: 0.93, shortSecond: 0, unwatched: [] };

  assert.equal(
    words.verdict(evidence([]), attempt({ missing })).title,
    "Enough was watched; completion was not recorded yet",
  );
});

test("without a length or a threshold nothing is claimed about what is missing", () => {
  const unknown = { thresholdRatio: 0.9, completionRatio: null, shortSecond: null, unwatched: null };
  const unasked = { thresholdRatio: null, completionRatio: 0.65, shortSecond: 0, unwatched: [] };

  assert.equal(
    words.verdict(evidence([], { durationSecond: null }), attempt({ missing: unknown })).title,
    "Not complete: the lesson’s length is not known",
  );
  assert.equal(
    words.verdict(evidence([]), attempt({ missing: unasked })).title,
    "Not complete: nobody has completed it",
  );
});

test("a completed attempt says when", () => {
  const { title, sentences } = words.verdict(
    evidence([]),
    attempt({
      status: "completed",
      completedAt: "2026-11-22T14:30:00Z",
      missing: { thresholdRatio: 0.9, completionRatio: 1, shortSecond: 0, unwatched: [] },
    }),
  );

  assert.match(title, /^Completed on 22 Nov 2026, /);
  assert.deepEqual(sentences, []);
});

test("credit names how much and from where, and is silent where there is none", () => {
  const before = session({
    attemptId: "a0",
    attemptNo: 1,
    creditedAttemptId: "a2",
    isAssigned: false,
    coverage: [[0, 60]],
  });
  const now = attempt({
    attemptId: "a2",
    attemptNo: 2,
    creditedSecond: 60,
    sessions: [session({ attemptId: "a2" }), before],
  });

  const told = words.credit(evidence([now]), now);

  assert.equal(
    plain(told?.summary),
    "1 min (10% of the lesson) of what counts here was watched before the lesson was assigned, in 1 session.",
  );
  assert.equal(told?.sources.length, 1);
  assert.match(told?.sources[0] ?? "", /in attempt 1: 00:00–01:00$/);
  assert.equal(words.credit(evidence([]), attempt()), null);
});

test("a flag tells an auditor what was reported, what was possible and what it changes", () => {
  const flagged = session({ integrity: "exceeds_wall_clock", effectiveSecond: 500, exceedsWallClockSecond: 410 });

  const told = words.integrity(attempt({ sessions: [session(), flagged] }), POLICY);

  assert.match(
    told?.summary ?? "",
    /^1 session reported more viewing than can have taken place.* counts all the same\.$/,
  );
  assert.equal(told?.sessions.length, 1);
  assert.match(plain(told?.sessions[0]) ?? "", /: 8 min 20 s of viewing reported, 6 min 50 s more than possible$/);
  assert.match(
    words.integrity(attempt({ sessions: [flagged] }), { ...POLICY, integrityPolicy: "exclude" })?.summary ?? "",
    /does not count towards completion\.$/,
  );
  assert.equal(words.integrity(attempt(), POLICY), null);
});

test("a session that does not count says why", () => {
  assert.equal(words.whyNot(session()), null);
  assert.match(words.whyNot(session({ counts: false, whyNot: "unassigned" })) ?? "", /without an assignment/);
  assert.equal(words.whyNot(session({ counts: false, whyNot: "something_new" })), "does not count here: something new");
});

test("the time by the clock is of the sessions whose viewing is in the totals", () => {
  const sessions = [
    session({ wallClockSecond: 100 }),
    session({ wallClockSecond: 20, counts: false, whyNot: "integrity" }),
    session({ wallClockSecond: 3, counts: false, whyNot: "unassigned" }),
  ];

  assert.equal(words.wallClockSecond(attempt({ sessions })), 120);
});

test("jumps that are not listed are told of in numbers", () => {
  assert.equal(words.jumpsWords(session({ seekCount: 0, skipCount: 0 })), "No jumps.");
  assert.equal(words.jumpsWords(session({ seekCount: 1, skipCount: 0 })), "Jumped once, over nothing unwatched.");
  assert.equal(
    words.jumpsWords(session({ seekCount: 3, skipCount: 1, skips: null })),
    "Jumped 3 times, 1 skip among them. The details are in the archive.",
  );
  assert.equal(words.jumpsWords(session({ skips: [skip(0, 60, 60)], seekCount: 1, skipCount: 1 })), null);
  assert.equal(
    words.jumpsWords(session({ skips: [skip(0, 60, 60)], seekCount: 9, skipCount: 3 })),
    "2 more skips are not listed here.",
  );
});

test("what the player said of itself is short", () => {
  const chrome =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

  assert.equal(words.device({ userAgent: chrome }), "Chrome on Windows");
  assert.equal(words.device({ userAgent: `${chrome} Edg/140.0` }), "Edge on Windows");
  assert.equal(words.device({ player: "kiosk 3" }), "kiosk 3");
  assert.equal(words.device(null), null);
});
