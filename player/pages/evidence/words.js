// The record in sentences: what an auditor reads, each from the facts of one answer of GET …/evidence.

import { counted, length, moment, percent, stretch, stretches } from "../shared/times.js";

/** @typedef {import("../shared/times.js").Range} Range */
/**
 * @typedef {object} Skip
 * @property {number} fromSecond
 * @property {number} toSecond
 * @property {number} skippedSecond what was unwatched of it when it was jumped over
 * @property {number} stillUnwatchedSecond what of that is unwatched to this day
 * @property {boolean} isSkip whether it is longer than the lesson tolerates
 * @property {boolean} allowed
 * @property {string | null} reason
 * @property {string | null} occurredAt
 * @property {string} receivedAt
 */
/**
 * @typedef {object} Session
 * @property {string} sessionId
 * @property {string} attemptId
 * @property {number} attemptNo
 * @property {"open" | "closed" | "stale"} status
 * @property {boolean} isAssigned
 * @property {string | null} creditedAttemptId
 * @property {boolean} isArchived
 * @property {string} startedAt
 * @property {string | null} endedAt
 * @property {string} lastHeartbeatAt
 * @property {Record<string, unknown> | null} clientInfo
 * @property {number} coverageSecond
 * @property {number} effectiveSecond
 * @property {number} wallClockSecond
 * @property {string} integrity
 * @property {number} exceedsWallClockSecond
 * @property {Range[]} coverage
 * @property {Range[]} rewatched
 * @property {number} seekCount all jumps of the playhead
 * @property {number} skipCount those of them that were longer than the lesson tolerates, over unwatched parts
 * @property {boolean} counts
 * @property {string | null} whyNot
 * @property {Skip[] | null} skips the skips, and the jumps that were not allowed; null: in the archive
 */
/**
 * @typedef {object} Attempt
 * @property {string} attemptId
 * @property {number} attemptNo
 * @property {"active" | "completed"} status
 * @property {boolean} isAssigned
 * @property {string} startedAt
 * @property {string | null} completedAt
 * @property {number} coverageSecond
 * @property {number | null} coverageRatio
 * @property {number} effectiveSecond
 * @property {number} maxVerifiedSecond
 * @property {number | null} resumeSecond
 * @property {Range[]} coverage
 * @property {Range[]} rewatched
 * @property {Range[]} skipped
 * @property {{thresholdRatio: number | null, completionRatio: number | null, shortSecond: number | null, unwatched: Range[] | null}} missing
 * @property {number} creditedSecond
 * @property {string} integrity
 * @property {Session[]} sessions
 */
/**
 * @typedef {object} Policy
 * @property {"free" | "flag" | "block"} seekPolicy
 * @property {number} skipThresholdSecond
 * @property {number | null} completionThreshold
 * @property {number} creditWindowDays
 * @property {number} maxCreditRatio
 * @property {"flag" | "exclude"} integrityPolicy
 */
/**
 * @typedef {object} Evidence
 * @property {string} userId
 * @property {string} lessonId
 * @property {number | null} durationSecond
 * @property {Policy} policy
 * @property {boolean} isAssigned
 * @property {Attempt[]} attempts
 * @property {boolean} truncated
 */

/**
 * The whole page in a line.
 * @param {Evidence} evidence
 * @param {Attempt} attempt
 */
export function headline({ userId, lessonId }, attempt) {
  const share = attempt.coverageRatio === null ? length(attempt.coverageSecond) : percent(attempt.coverageRatio);
  if (attempt.coverageSecond === 0) return `${userId} has watched nothing of ${lessonId} yet`;
  return `${userId} has watched ${attempt.coverageRatio === 1 ? "all" : share} of ${lessonId}`;
}

/**
 * Whether the attempt is complete, and if not, why not and what is missing.
 * @param {Evidence} evidence
 * @param {Attempt} attempt
 * @returns {{title: string, sentences: string[]}}
 */
export function verdict({ durationSecond, policy }, attempt) {
  const { thresholdRatio: threshold, completionRatio, shortSecond: short, unwatched } = attempt.missing;
  const ratio = completionRatio ?? 0;
  const sentences = [];
  if (attempt.status === "completed") {
    if (short) {
      sentences.push(
        `By today’s totals and policy it would fall short by ${length(short)}. A completion stands when credit is taken back or the policy changes later.`,
      );
    }
    return { title: `Completed on ${moment(attempt.completedAt ?? attempt.startedAt)}`, sentences };
  }
  if (threshold === null) {
    sentences.push(
      "The lesson asks for no minimum. The attempt is complete as soon as the player or the platform says so, and neither has.",
    );
    if (unwatched?.length) sentences.push(`Not watched: ${stretches(unwatched)}.`);
    return { title: "Not complete: nobody has completed it", sentences };
  }
  if (durationSecond === null || short === null) {
    return {
      title: "Not complete: the lesson’s length is not known",
      sentences: [`${percent(threshold)} of the lesson is needed, and a share of an unknown length cannot be judged.`],
    };
  }
  if (!short) {
    sentences.push(
      `${percent(ratio)} counts and ${percent(threshold)} is needed. The player or the platform still has to complete the attempt.`,
    );
    return { title: "Enough was watched; completion was not recorded yet", sentences };
  }
  sentences.push(`${percent(ratio)} counts, ${percent(threshold)} is needed.`);
  if (unwatched?.length) sentences.push(`Not watched: ${stretches(unwatched)}.`);
  const flagged = attempt.sessions.filter((session) => isFlagged(session) && !session.counts);
  if (policy.integrityPolicy === "exclude" && flagged.length) {
    sentences.push(
      `${counted(flagged.length, "session")} ${flagged.length === 1 ? "is" : "are"} left out of the judgement because more was reported than time allowed.`,
    );
  }
  return { title: `Not complete: ${length(short)} more must be watched`, sentences };
}

/**
 * One jump of the playhead: "skipped 02:10–05:40, later watched half of it".
 * @param {Skip} skip
 */
export function skipWords(skip) {
  const { fromSecond: from, toSecond: to, skippedSecond: skipped, stillUnwatchedSecond: still } = skip;
  if (to < from) return `went back from ${stretch(to, from).split("–").reverse().join(" to ")}`;
  const place = stretch(from, to);
  if (skipped <= 0) return `jumped over ${place}, all of it watched before`;
  const part = skipped < to - from - 0.5 ? `, of which ${length(skipped)} had not been watched` : "";
  const small = skip.isSkip ? "" : " (within what the lesson tolerates)";
  return `skipped ${place}${small}${part}${healed(skipped, still, Boolean(part))}`;
}

/**
 * How much of what was skipped was watched later.
 * @param {number} skipped
 * @param {number} still
 * @param {boolean} inPart the skip is only a part of the jump, and was named before
 */
function healed(skipped, still, inPart) {
  const ratio = 1 - Math.min(still, skipped) / skipped;
  const it = inPart ? "that" : "it";
  if (ratio < 0.005) return inPart ? "; that is unwatched to this day" : ", not watched since";
  const joint = inPart ? "; " : ", ";
  if (still < 0.0005) return `${joint}later watched all of ${it}`;
  return `${joint}later watched ${fraction(ratio)} of ${it}`;
}

/**
 * A share in plain words, to the nearest that there is a word for; only exactly all is "all".
 * @param {number} ratio
 */
export function fraction(ratio) {
  const word = FRACTIONS.find(([upTo]) => ratio < upTo);
  return word ? word[1] : "nearly all";
}

/** @type {[number, string][]} */
const FRACTIONS = [
  [0.15, "a little"],
  [0.29, "about a quarter"],
  [0.4, "about a third"],
  [0.48, "less than half"],
  [0.52, "half"],
  [0.6, "more than half"],
  [0.7, "about two thirds"],
  [0.85, "about three quarters"],
  [0.9, "most"],
];

/**
 * Why a jump was not allowed, or null if it was.
 * @param {Skip} skip
 * @param {boolean} isAssigned the session's
 */
export function objection({ allowed, reason }, isAssigned) {
  if (allowed) return null;
  if (reason === "policy_violation") return "not allowed by the lesson’s rule on seeking";
  if (reason === "beyond_verified")
    return isAssigned ? "beyond what was verified" : "beyond what was verified, in a session without an assignment";
  return reason ? `not allowed, the player says: ${reason}` : "not allowed, the player says";
}

/**
 * What was credited to the attempt, and from where; nothing when nothing was.
 * @param {Evidence} evidence
 * @param {Attempt} attempt
 * @returns {{summary: string, sources: string[]} | null}
 */
export function credit({ durationSecond, policy }, attempt) {
  const sources = attempt.sessions.filter((session) => session.creditedAttemptId === attempt.attemptId);
  if (!sources.length && !attempt.creditedSecond) return null;
  const cap =
    policy.maxCreditRatio < 1 ? ` Credit counts for at most ${percent(policy.maxCreditRatio)} of the lesson.` : "";
  const share = durationSecond ? ` (${percent(attempt.creditedSecond / durationSecond)} of the lesson)` : "";
  return {
    summary:
      `${length(attempt.creditedSecond)}${share} of what counts here was watched before the lesson was assigned, ` +
      `in ${counted(sources.length, "session")}.${cap}`,
    sources: sources.map(({ startedAt, attemptId, attemptNo, coverage }) => {
      const where = attemptId === attempt.attemptId ? "in this attempt" : `in attempt ${attemptNo}`;
      return `${moment(startedAt)}, ${where}: ${coverage.length ? stretches(coverage) : "nothing watched"}`;
    }),
  };
}

/**
 * How often the playhead jumped, where the list of jumps does not say it.
 * @param {Session} session
 */
export function jumpsWords({ skips, seekCount, skipCount }) {
  const jumped = seekCount
    ? `Jumped ${seekCount === 1 ? "once" : `${seekCount.toLocaleString("en-GB")} times`}`
    : "No jumps";
  if (!skips)
    return `${jumped}${seekCount ? `, ${counted(skipCount, "skip")} among them` : ""}. The details are in the archive.`;
  if (!skips.length) return seekCount ? `${jumped}, over nothing unwatched.` : `${jumped}.`;
  const more = skipCount - skips.filter(({ isSkip }) => isSkip).length;
  return more > 0 ? `${counted(more, "more skip")} are not listed here.`.replace("skip are", "skip is") : null;
}

/** @param {{integrity: string}} judged */
export function isFlagged({ integrity }) {
  return integrity === "exceeds_wall_clock";
}

/**
 * What the flags of an attempt mean and whether they change what counts; null where there is none.
 * @param {Attempt} attempt
 * @param {Policy} policy
 * @returns {{summary: string, sessions: string[]} | null}
 */
export function integrity({ sessions }, { integrityPolicy }) {
  const flagged = sessions.filter(isFlagged);
  if (!flagged.length) return null;
  return {
    summary:
      `${counted(flagged.length, "session")} reported more viewing than can have taken place: more time than has passed since it began, with 30\u00a0s allowed for delays. ` +
      "The record cannot say why; a faulty player and an invented report look the same. Nothing was removed from it. " +
      (integrityPolicy === "exclude"
        ? "By the lesson’s policy such a session does not count towards completion."
        : "By the lesson’s policy such a session counts all the same."),
    sessions: flagged.map(
      ({ startedAt, effectiveSecond, exceedsWallClockSecond }) =>
        `${moment(startedAt)}: ${length(effectiveSecond)} of viewing reported, ${length(exceedsWallClockSecond)} more than possible`,
    ),
  };
}

/**
 * Why a session does not count in the attempt, or null if it does.
 * @param {Session} session
 */
export function whyNot({ counts, whyNot: reason }) {
  if (counts) return null;
  if (reason === "unassigned") return "does not count here: it was watched without an assignment and was not credited";
  if (reason === "integrity") return "does not count towards completion: more was reported than time allowed";
  if (reason === "credited_elsewhere") return "does not count here: it was credited to another attempt";
  return `does not count here${reason ? `: ${reason.replaceAll("_", " ")}` : ""}`;
}

/**
 * How a session stands: "open now", "ended 22 Nov 2026, 18:42", "fell silent …".
 * @param {Session} session
 */
export function ending({ status, endedAt, lastHeartbeatAt }) {
  if (status === "open") return "open now";
  if (status === "stale") return `fell silent on ${moment(endedAt ?? lastHeartbeatAt)}`;
  return `ended on ${moment(endedAt ?? lastHeartbeatAt)}`;
}

/**
 * Time spent watching against time the player was there.
 * @param {Pick<Session, "effectiveSecond" | "wallClockSecond">} session
 */
export function timeWords({ effectiveSecond, wallClockSecond }) {
  return `${length(effectiveSecond)} of viewing in ${length(wallClockSecond)} by the clock`;
}

/**
 * The sessions' times by the clock together; two that ran at once count twice, as their viewing does.
 * @param {Attempt} attempt
 */
export function wallClockSecond({ sessions }) {
  return sessions
    .filter(({ counts, whyNot: reason }) => counts || reason === "integrity")
    .reduce((sum, session) => sum + session.wallClockSecond, 0);
}

/**
 * What the player said of itself, short: "Firefox on Windows".
 * @param {Record<string, unknown> | null} clientInfo
 */
export function device(clientInfo) {
  if (!clientInfo) return null;
  const agent = String(clientInfo.userAgent ?? clientInfo.user_agent ?? "");
  const browser = BROWSERS.find(([, pattern]) => pattern.test(agent))?.[0];
  const system = SYSTEMS.find(([, pattern]) => pattern.test(agent))?.[0];
  if (browser || system) return [browser ?? "a browser", system].filter(Boolean).join(" on ");
  const said = Object.values(clientInfo).filter((value) => typeof value === "string" || typeof value === "number");
  return said.length ? said.join(", ").slice(0, 80) : null;
}

/** @type {[string, RegExp][]} */
const BROWSERS = [
  ["Edge", /\bEdg/],
  ["Opera", /\bOPR\//],
  ["Samsung Internet", /SamsungBrowser/],
  ["Firefox", /Firefox|FxiOS/],
  ["Chrome", /Chrome|CriOS|Chromium/],
  ["Safari", /Safari/],
];
/** @type {[string, RegExp][]} */
const SYSTEMS = [
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["Android", /Android/],
  ["Windows", /Windows/],
  ["macOS", /Mac OS X|Macintosh/],
  ["ChromeOS", /CrOS/],
  ["Linux", /Linux/],
];

/**
 * The lesson's rules, a sentence each.
 * @param {Policy} policy
 */
export function policyWords(policy) {
  const seeking = {
    free: "Seeking is free.",
    flag: "Jumping over unwatched parts is marked.",
    block: "Jumping over unwatched parts is blocked by the player, and marked where it happens.",
  }[policy.seekPolicy];
  return [
    policy.completionThreshold === null
      ? "No minimum is asked for to complete."
      : `${percent(policy.completionThreshold)} must be watched to complete.`,
    `${seeking} Up to ${length(policy.skipThresholdSecond)} is tolerated before a jump counts as a skip.`,
    `What was watched up to ${counted(policy.creditWindowDays, "day")} before an assignment is credited${
      policy.maxCreditRatio < 1 ? `, at most ${percent(policy.maxCreditRatio)} of the lesson` : ""
    }.`,
    policy.integrityPolicy === "exclude"
      ? "A session that reports more than time allowed does not count towards completion."
      : "A session that reports more than time allowed is marked and counts.",
  ];
}

/**
 * The line under the headline: which attempt, how it stands, in how many sessions.
 * @param {Evidence} evidence
 * @param {Attempt} attempt
 */
export function byline({ attempts, truncated }, attempt) {
  const which = attempts.length > 1 || truncated ? `Attempt ${attempt.attemptNo}` : "The only attempt";
  return [`${which}, begun on ${moment(attempt.startedAt)}`, sessionsWords(attempt)].join(" · ");
}

/** @param {Attempt} attempt */
function sessionsWords({ sessions }) {
  const open = sessions.filter(({ status }) => status === "open").length;
  const now = open === 0 ? "" : sessions.length === 1 ? ", open now" : `, ${open} open now`;
  return counted(sessions.length, "session") + now;
}
