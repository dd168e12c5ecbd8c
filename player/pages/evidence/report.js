// The evidence drawn: a sentence, the strip, the figures, then what an auditor asks next.

import { el } from "../shared/dom.js";
import { timelineStrip } from "../shared/strip.js";
import { clock, length, moment, percent, timeZone } from "../shared/times.js";
import * as words from "./words.js";

/** @typedef {import("./words.js").Evidence} Evidence */
/** @typedef {import("./words.js").Attempt} Attempt */
/** @typedef {import("./words.js").Session} Session */
/** @typedef {import("./words.js").Skip} Skip */

/**
 * The whole report of a record that has at least one attempt: the latest in full, the earlier ones folded.
 * @param {Evidence} evidence
 */
export function report(evidence) {
  const [latest, ...earlier] = evidence.attempts;
  return el(
    "article",
    { class: "report" },
    el(
      "header",
      { class: "report-head" },
      tags(latest),
      el("h1", {}, words.headline(evidence, latest)),
      el("p", { class: "quiet" }, words.byline(evidence, latest)),
    ),
    attemptBody(evidence, latest),
    earlier.length > 0 &&
      section(
        "Earlier attempts",
        ...earlier.map((attempt) => folded(evidence, attempt)),
        evidence.truncated && truncation(),
      ),
    earlier.length === 0 && evidence.truncated && truncation(),
    section("How to read this", reading(evidence)),
    el("footer", { class: "colophon report-foot" }, imprint(evidence, latest)),
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function attemptBody(evidence, attempt) {
  const strip = timelineStrip({ label: `What was watched in attempt ${attempt.attemptNo}` });
  strip.update({
    durationSecond: evidence.durationSecond,
    watched: attempt.coverage,
    rewatched: attempt.rewatched,
    skipped: attempt.skipped,
  });
  return el(
    "div",
    { class: "attempt" },
    completion(evidence, attempt),
    strip.element,
    figures(evidence, attempt),
    flags(evidence, attempt),
    credited(evidence, attempt),
    section(`Sessions (${attempt.sessions.length})`, sessions(evidence, attempt)),
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function folded(evidence, attempt) {
  const share = attempt.coverageRatio === null ? length(attempt.coverageSecond) : percent(attempt.coverageRatio);
  return el(
    "details",
    { class: "earlier", id: `attempt-${attempt.attemptId}` },
    el(
      "summary",
      {},
      el("h3", {}, `Attempt ${attempt.attemptNo}`),
      el("span", { class: "quiet" }, `begun on ${moment(attempt.startedAt)}`),
      el("span", {}, `${share} watched`),
      tags(attempt),
    ),
    attemptBody(evidence, attempt),
  );
}

/** @param {Attempt} attempt */
function tags(attempt) {
  return el(
    "span",
    { class: "tags" },
    attempt.status === "completed" ? tag("Completed", "good") : tag("Active", "accent"),
    tag(attempt.isAssigned ? "Assigned" : "Not assigned"),
    words.isFlagged(attempt) && tag("Flagged: more viewing than time", "warn"),
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function figures({ durationSecond, policy }, attempt) {
  const ofLesson = durationSecond === null ? "length not known" : `of ${clock(durationSecond)}`;
  const needed = policy.completionThreshold === null ? "no minimum" : `${percent(policy.completionThreshold)} needed`;
  const clockTime = words.wallClockSecond(attempt);
  return el(
    "dl",
    { class: "figures" },
    figure("Watched, each second once", clock(attempt.coverageSecond), ofLesson),
    figure(
      "Share of the lesson",
      attempt.coverageRatio === null ? "not known" : percent(attempt.coverageRatio),
      needed,
      attempt.coverageRatio === null ? null : gauge(attempt.coverageRatio, 1, policy.completionThreshold),
    ),
    figure(
      "Viewing time, replays included",
      clock(attempt.effectiveSecond),
      `in ${clock(clockTime)} by the clock`,
      gauge(attempt.effectiveSecond, clockTime),
    ),
    figure(
      "Unbroken from the start",
      clock(attempt.maxVerifiedSecond),
      attempt.resumeSecond === null ? null : `last seen at ${clock(attempt.resumeSecond)}`,
    ),
  );
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string | null} note
 * @param {Node | null} [picture]
 */
function figure(name, value, note, picture) {
  return el(
    "div",
    { class: "figure" },
    el("dt", {}, name),
    note !== null && el("dd", { class: "figure-note" }, note, picture),
    el("dd", {}, value),
  );
}

/**
 * A line filled in part; where the part is more than the whole, a mark shows where the whole ends.
 * @param {number} part
 * @param {number} whole
 * @param {number | null} [mark]
 */
function gauge(part, whole, mark = part > whole ? whole : null) {
  const scale = Math.max(part, whole, 0.001);
  const fill = el("span", { class: part > whole ? "gauge-fill too-much" : "gauge-fill" });
  fill.style.width = `${(100 * part) / scale}%`;
  if (mark === null) return el("span", { class: "gauge", "aria-hidden": "true" }, fill);
  const line = el("span", { class: "gauge-mark" });
  line.style.left = `${(100 * mark) / scale}%`;
  return el("span", { class: "gauge", "aria-hidden": "true" }, fill, line);
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function completion(evidence, attempt) {
  const { title, sentences } = words.verdict(evidence, attempt);
  return el(
    "div",
    { class: "verdict" },
    el("p", { class: "verdict-title" }, title),
    ...sentences.map((sentence) => el("p", {}, sentence)),
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function flags({ policy }, attempt) {
  const found = words.integrity(attempt, policy);
  return (
    found && section("Integrity", el("div", { class: "notice keep" }, el("p", {}, found.summary), list(found.sessions)))
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function credited(evidence, attempt) {
  const found = words.credit(evidence, attempt);
  return found && section("Credit", el("p", {}, found.summary), list(found.sources));
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function sessions(evidence, attempt) {
  if (!attempt.sessions.length) return el("p", { class: "quiet" }, "There is no session in this attempt yet.");
  return el(
    "ol",
    { class: "sessions" },
    ...attempt.sessions.map((session) => el("li", {}, sessionEntry(evidence, attempt, session))),
  );
}

/** @param {Evidence} evidence @param {Attempt} attempt @param {Session} session */
function sessionEntry({ durationSecond }, attempt, session) {
  const strip = timelineStrip({
    label: `What was watched in the session of ${moment(session.startedAt)}`,
    axis: false,
    legend: false,
    small: true,
  });
  strip.update({
    durationSecond: durationSecond ?? attempt.coverage.at(-1)?.[1] ?? null,
    watched: session.coverage,
    rewatched: session.rewatched,
  });
  const device = words.device(session.clientInfo);
  const notCounted = words.whyNot(session);
  return el(
    "section",
    { class: "session" },
    el(
      "div",
      { class: "session-when" },
      el("h3", {}, moment(session.startedAt)),
      el("p", { class: "small quiet" }, words.ending(session)),
      el(
        "span",
        { class: "tags" },
        session.status === "open" && tag("Open", "accent"),
        session.status === "stale" && tag("Silent"),
        words.isFlagged(session) && tag("Flagged", "warn"),
        session.creditedAttemptId === attempt.attemptId && tag("Credited", "good"),
        !session.counts && tag("Not counted", "warn"),
        session.isArchived && tag("Archived"),
      ),
    ),
    el(
      "div",
      { class: "session-what" },
      strip.element,
      el(
        "p",
        {},
        el("strong", {}, length(session.coverageSecond)),
        ` of the lesson, ${words.timeWords(session)}`,
        device && el("span", { class: "quiet" }, `, ${device}`),
      ),
      notCounted && el("p", { class: "session-not" }, sentence(notCounted)),
      ...jumps(session),
      el("p", { class: "trace" }, "Session ", el("code", {}, session.sessionId)),
    ),
  );
}

/** @param {Session} session */
function jumps(session) {
  const { skips, isAssigned } = session;
  const told = words.jumpsWords(session);
  return [
    skips?.length
      ? el(
          "ul",
          { class: "jumps" },
          ...skips.map((skip) => el("li", { class: skip.isSkip ? "jump-skip" : "jump" }, jump(skip, isAssigned))),
        )
      : null,
    told === null ? null : el("p", { class: "quiet" }, told),
  ];
}

/** @param {Skip} skip @param {boolean} isAssigned */
function jump(skip, isAssigned) {
  const objection = words.objection(skip, isAssigned);
  const fragment = document.createDocumentFragment();
  fragment.append(sentence(words.skipWords(skip)));
  if (objection) fragment.append(" ", el("span", { class: "objection" }, sentence(objection)));
  return fragment;
}

/** @param {Evidence} evidence */
function reading({ policy }) {
  return el(
    "div",
    { class: "reading" },
    el(
      "dl",
      { class: "glossary" },
      ...glossary("Watched", "was really played, each second counted once, however often."),
      ...glossary("Watched again", "was played more than once."),
      ...glossary("Skipped", "was jumped over while unwatched, and is unwatched to this day."),
      ...glossary(
        "Viewing time",
        "is what the person spent: a minute at double speed is half a minute, a replay counts again.",
      ),
      ...glossary("By the clock", "is the time from the beginning of a session to its last sign of life."),
    ),
    el("div", {}, el("h3", {}, "The lesson’s rules"), list(words.policyWords(policy))),
  );
}

/** @param {string} term @param {string} meaning */
function glossary(term, meaning) {
  return [el("dt", {}, term), el("dd", {}, meaning)];
}

/** @param {Evidence} evidence @param {Attempt} attempt */
function imprint({ userId, lessonId }, attempt) {
  return el(
    "p",
    {},
    `Learner ${userId}, lesson ${lessonId}, attempt `,
    el("span", { class: "trace" }, el("code", {}, attempt.attemptId)),
    `. Read on ${moment(new Date().toISOString())}. Times are those of ${timeZone()}. Places in the video are minutes and seconds from its start.`,
  );
}

function truncation() {
  return el(
    "p",
    { class: "quiet" },
    "There are more attempts or sessions than are listed here; the totals include them.",
  );
}

/** @param {string} title @param {...(Node | false | null)} content */
function section(title, ...content) {
  return el("section", { class: "section" }, el("h2", {}, title), ...content);
}

/** @param {readonly string[]} items */
function list(items) {
  return el("ul", { class: "plain-list" }, ...items.map((item) => el("li", {}, item)));
}

/** @param {string} text @param {"good" | "warn" | "accent"} [kind] */
function tag(text, kind) {
  return el("span", { class: kind ? `tag tag-${kind}` : "tag" }, text);
}

/** @param {string} text */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
