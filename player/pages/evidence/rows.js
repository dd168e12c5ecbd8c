// The evidence as a table: a row for each attempt, each of its sessions and each of their jumps, told apart by `record`.

import { skipWords } from "./words.js";

/** @typedef {import("./words.js").Evidence} Evidence */
/** @typedef {import("../shared/csv.js").Cell} Cell */

const COLUMNS = /** @type {const} */ ([
  "record",
  "userId",
  "lessonId",
  "durationSecond",
  "attemptNo",
  "attemptId",
  "sessionId",
  "status",
  "isAssigned",
  "belongsToAttemptNo",
  "counts",
  "whyNot",
  "startedAt",
  "endedAt",
  "coverageSecond",
  "coverageRatio",
  "effectiveSecond",
  "wallClockSecond",
  "verifiedSecond",
  "thresholdRatio",
  "shortSecond",
  "creditedSecond",
  "creditedAttemptId",
  "integrity",
  "exceedsWallClockSecond",
  "watched",
  "rewatched",
  "skipped",
  "fromSecond",
  "toSecond",
  "skippedSecond",
  "stillUnwatchedSecond",
  "isSkip",
  "allowed",
  "reason",
  "occurredAt",
  "receivedAt",
  "seekCount",
  "skipCount",
  "inWords",
]);

/** @typedef {Partial<Record<(typeof COLUMNS)[number], Cell>>} Row */

/**
 * @param {Evidence} evidence
 * @returns {Cell[][]} the names of the columns, then the rows; moments in UTC, places and lengths in seconds
 */
export function rows(evidence) {
  const { userId, lessonId, durationSecond } = evidence;
  /** @type {Row[]} */
  const found = [];
  for (const attempt of evidence.attempts) {
    const shared = { userId, lessonId, durationSecond, attemptNo: attempt.attemptNo, attemptId: attempt.attemptId };
    found.push({
      ...attempt,
      ...shared,
      record: "attempt",
      endedAt: attempt.completedAt,
      verifiedSecond: attempt.maxVerifiedSecond,
      thresholdRatio: attempt.missing.thresholdRatio,
      shortSecond: attempt.missing.shortSecond,
      watched: ranges(attempt.coverage),
      rewatched: ranges(attempt.rewatched),
      skipped: ranges(attempt.skipped),
    });
    for (const session of attempt.sessions) {
      const ids = { ...shared, sessionId: session.sessionId };
      found.push({
        ...session,
        ...ids,
        record: "session",
        belongsToAttemptNo: session.attemptNo,
        watched: ranges(session.coverage),
        rewatched: ranges(session.rewatched),
      });
      for (const skip of session.skips ?? [])
        found.push({ ...skip, ...ids, record: "skip", inWords: skipWords(skip).replaceAll("\u00a0", " ") });
    }
  }
  return [[...COLUMNS], ...found.map((row) => COLUMNS.map((column) => row[column]))];
}

/**
 * "0 to 130; 340 to 600", which no spreadsheet takes for a date.
 * @param {readonly (readonly [number, number])[]} parts
 */
function ranges(parts) {
  return parts.map(([from, to]) => `${from} to ${to}`).join("; ");
}
