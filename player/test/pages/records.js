// A record to make others from: ten minutes, of which 02:10–05:40 was jumped over.

/** @typedef {import("../../pages/evidence/words.js").Attempt} Attempt */
/** @typedef {import("../../pages/evidence/words.js").Evidence} Evidence */
/** @typedef {import("../../pages/evidence/words.js").Policy} Policy */
/** @typedef {import("../../pages/evidence/words.js").Session} Session */
/** @typedef {import("../../pages/evidence/words.js").Skip} Skip */

/**
 * @param {number} fromSecond @param {number} toSecond @param {number} stillUnwatchedSecond @param {Partial<Skip>} [other]
 * @returns {Skip}
 */
export function skip(fromSecond, toSecond, stillUnwatchedSecond, other = {}) {
  const skippedSecond = Math.max(0, toSecond - fromSecond);
  const at = "2026-11-22T14:05:00Z";
  return {
    fromSecond,
    toSecond,
    skippedSecond,
    stillUnwatchedSecond,
    isSkip: true,
    allowed: true,
    reason: null,
    occurredAt: at,
    receivedAt: at,
    ...other,
  };
}

/** @param {Partial<Session>} [other] @returns {Session} */
export function session(other = {}) {
  return {
    sessionId: "s1",
    attemptId: "a1",
    attemptNo: 1,
    status: "closed",
    isAssigned: true,
    creditedAttemptId: null,
    isArchived: false,
    startedAt: "2026-11-22T14:03:00Z",
    endedAt: "2026-11-22T14:09:40Z",
    lastHeartbeatAt: "2026-11-22T14:09:40Z",
    clientInfo: null,
    coverageSecond: 390,
    effectiveSecond: 390,
    wallClockSecond: 400,
    integrity: "plausible",
    exceedsWallClockSecond: 0,
    coverage: [
      [0, 130],
      [340, 600],
    ],
    rewatched: [],
    seekCount: 1,
    skipCount: 1,
    counts: true,
    whyNot: null,
    skips: [],
    ...other,
  };
}

/** @param {Partial<Attempt>} [other] @returns {Attempt} */
export function attempt(other = {}) {
  return {
    attemptId: "a1",
    attemptNo: 1,
    status: "active",
    isAssigned: true,
    startedAt: "2026-11-22T14:03:00Z",
    completedAt: null,
    coverageSecond: 390,
    coverageRatio: 0.65,
    effectiveSecond: 390,
    maxVerifiedSecond: 130,
    resumeSecond: 600,
    coverage: [
      [0, 130],
      [340, 600],
    ],
    rewatched: [],
    skipped: [[130, 340]],
    missing: { thresholdRatio: 0.9, completionRatio: 0.65, shortSecond: 150, unwatched: [[130, 340]] },
    creditedSecond: 0,
    integrity: "plausible",
    sessions: [session()],
    ...other,
  };
}

/** @type {Policy} */
export const POLICY = {
  seekPolicy: "flag",
  skipThresholdSecond: 5,
  completionThreshold: 0.9,
  creditWindowDays: 365,
  maxCreditRatio: 1,
  integrityPolicy: "flag",
};

/** @param {Attempt[]} attempts @param {Partial<Evidence>} [other] @returns {Evidence} */
export function evidence(attempts, other = {}) {
  return {
    userId: "ana",
    lessonId: "intro",
    durationSecond: 600,
    policy: POLICY,
    isAssigned: true,
    attempts,
    truncated: false,
    ...other,
  };
}
