// The Watch page: a lesson's video with the record of what is watched of it.

import { trackLesson } from "../../src/index.js";
import { get, Problem } from "../shared/api.js";
import { byId, el } from "../shared/dom.js";
import { settings, SignedOut, subject, token } from "../shared/session.js";
import { failure, loading, state } from "../shared/states.js";
import { timelineStrip } from "../shared/strip.js";
import { clock, counted, length, moment, percent } from "../shared/times.js";
import { follow, gaps, NOTHING } from "./live.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
const WORTH_A_JUMP_S = 2; // a gap that people would notice
const AT_THE_END_S = 3;

const asked = new URLSearchParams(location.search);
const lessonId = asked.get("lesson")?.trim() ?? "";
/** @type {import("../shared/session.js").Identity} */
const identity = { user: asked.get("user")?.trim() || "ada", role: "player" };
const main = byId("content");
const announced = byId("status");

if (lessonId) open();
else main.replaceChildren(chooser());

/** Show the lesson; what cannot be read of the past does not keep anybody from watching. */
async function open() {
  main.replaceChildren(loading("Opening the lesson …"));
  try {
    const [{ api = "", video = "", isDevelopment }, userId] = [await settings(), subject(await token(identity))];
    byId("who").replaceChildren(userId, ...(isDevelopment ? [" · ", evidenceOf(userId)] : []));
    document.title = `${titled(lessonId)} · Watchledger`;
    const past = await pastOf(userId);
    main.replaceChildren(
      lesson(userId, past, { api, source: video.replace("{lessonId}", encodeURIComponent(lessonId)) }),
    );
  } catch (error) {
    main.replaceChildren(await failure(error, { retry: open, missing: ["There is no such lesson"] }));
  }
}

/**
 * What is known of the learner and the lesson; null when it cannot be read.
 * @param {string} userId
 */
async function pastOf(userId) {
  const path = encodeURIComponent(lessonId);
  try {
    return await get(`/video/users/${encodeURIComponent(userId)}/lessons/${path}/evidence`, { identity });
  } catch (error) {
    if (error instanceof SignedOut) throw error;
    if (!(error instanceof Problem) || error.status !== 404) return null;
  }
  try {
    return { policy: await get(`/video/lessons/${path}`, { identity }), attempts: [] };
  } catch {
    return { policy: {}, attempts: [] };
  }
}

/**
 * The whole page, and the client at work on its video.
 * @param {string} userId
 * @param {any} past
 * @param {{api: string, source: string}} where
 */
function lesson(userId, past, { api, source }) {
  const [attempt] = past?.attempts ?? [];
  const policy = past?.policy ?? {};
  const current = attempt?.status === "active" ? attempt : null;

  const video = el("video", {
    controls: true,
    preload: "auto",
    playsinline: true,
    src: source,
    "aria-label": titled(lessonId),
  });
  const over = el("div", { class: "over", hidden: true });
  const ratio = el("dd", {}, "–");
  const told = el("p", { class: "quiet" });
  const finish = el("button", { type: "button" }, "Finish the lesson");
  const next = el("button", { type: "button", hidden: true });
  const record = el("p", { class: "record", "data-state": "opening" }, "Opening the record");
  const notices = el("div", { class: "notices" });
  const strip = timelineStrip({ label: "What you have watched" });

  const ledger = trackLesson(video, {
    api,
    userId,
    lessonId,
    token: (refused) => token(identity, { fresh: refused !== undefined }),
  });
  const here = follow(video, current ?? NOTHING, draw);
  let isDone = false;
  let isReached = true;
  let setAside = 0;

  offerToContinue();
  next.addEventListener("click", () => {
    video.currentTime = nextGap()?.[0] ?? video.currentTime;
    video.play();
    video.focus();
  });
  finish.addEventListener("click", complete);
  video.addEventListener("loadedmetadata", draw);
  video.addEventListener("error", () => notice("The video cannot be played. What was recorded is not affected."));
  hear("change", drawRecord);
  hear("started", () => reached(true));
  hear("recorded", () => reached(true));
  hear("delayed", () => reached(false));
  hear("aside", ({ events }) => {
    setAside += events.length;
    drawRecord();
  });
  hear(
    "lost",
    ({ problem }) => ledger.state.status === "refused" && notice(`What you watch is not recorded. ${problem.message}`),
  );
  hear("blocked", ({ maxVerifiedSecond }) => {
    notice(
      `This lesson is watched in order. You are back at ${clock(maxVerifiedSecond)}; what comes after it opens as you watch.`,
    );
  });
  draw();
  drawRecord();
  if (past === null)
    notice(
      "What you watched before cannot be shown at the moment. It is not lost, and what you watch now is recorded.",
    );

  return el(
    "div",
    { class: "lesson" },
    el("h1", {}, titled(lessonId)),
    el("div", { class: "screen" }, video, over),
    el("div", { class: "under" }, speedChoice(video), record),
    el(
      "div",
      { class: "side" },
      el("dl", {}, el("div", { class: "figure" }, el("dt", {}, "watched"), ratio)),
      attempt?.status === "completed" &&
        el(
          "p",
          { class: "quiet" },
          `You finished this lesson on ${moment(attempt.completedAt)}. This is a new attempt.`,
        ),
      told,
      el("div", { class: "actions" }, finish, next),
    ),
    notices,
    el(
      "section",
      { class: "mine", "aria-labelledby": "mine" },
      el("h2", { id: "mine" }, "What you have watched"),
      strip.element,
    ),
  );

  /** @param {string} event @param {(detail: any) => unknown} then */
  function hear(event, then) {
    ledger.addEventListener(event, (/** @type {any} */ { detail }) => then(detail));
  }

  function end() {
    return policy.durationSecond ?? (Number.isFinite(video.duration) ? video.duration : null);
  }

  /** @returns {[number, number] | undefined} */
  function nextGap() {
    const long = gaps(here.seen().coverage, end() ?? 0).filter(([from, to]) => to - from >= WORTH_A_JUMP_S);
    return long.find(([from]) => from > video.currentTime) ?? long[0];
  }

  function draw() {
    const { coverage, rewatched, skipped } = here.seen();
    const [durationSecond, threshold] = [end(), policy.completionThreshold];
    strip.update({ durationSecond, watched: coverage, rewatched, skipped, positionSecond: video.currentTime });
    if (!durationSecond) return;
    const left = gaps(coverage, durationSecond).reduce((sum, [from, to]) => sum + to - from, 0);
    write(ratio, percent(left < 0.05 ? 1 : 1 - left / durationSecond));
    const gap = nextGap();
    next.hidden = isDone || !gap || (gap[0] <= video.currentTime + 1 && gap[1] > video.currentTime);
    if (gap) write(next, `Go to ${clock(gap[0])}, not watched yet`);
    if (isDone) return;
    const short = threshold ? left - (1 - threshold) * durationSecond : 0;
    write(
      told,
      short > 0.5
        ? `${percent(threshold)} are needed to finish the lesson: another ${length(short)} to watch.`
        : "You have watched enough to finish the lesson.",
    );
    finish.classList.toggle("primary", short <= 0.5);
  }

  function drawRecord() {
    const [kind, words] = recordInWords(ledger.state, isReached, setAside);
    if (record.dataset.state !== kind && kind !== "recorded") say(words);
    record.dataset.state = kind;
    write(record, words);
  }

  /** @param {boolean} is */
  function reached(is) {
    isReached = is;
    drawRecord();
  }

  function offerToContinue() {
    const place = current?.resumeSecond ?? 0;
    if (place < WORTH_A_JUMP_S || place > (policy.durationSecond ?? Infinity) - AT_THE_END_S) return;
    const go = el("button", { type: "button", class: "primary" }, `Continue at ${clock(place)}`);
    const again = el("button", { type: "button" }, "Start from the beginning");
    over.append(el("p", {}, `You stopped at ${clock(place)}.`), go, again);
    over.hidden = false;
    go.addEventListener("click", () => begin(place));
    again.addEventListener("click", () => begin(0));
    video.addEventListener("play", () => (over.hidden = true), { once: true });
  }

  /** @param {number} place */
  function begin(place) {
    if (place) video.currentTime = place;
    video.play();
    video.focus();
  }

  async function complete() {
    finish.disabled = true;
    video.pause();
    try {
      await ledger.complete();
      isDone = true;
      finish.hidden = true;
      write(told, "The lesson is finished. You can watch it again whenever you like.");
      say(told.textContent ?? "");
    } catch (error) {
      notice(whyNot(error));
    } finally {
      finish.disabled = false;
      draw();
    }
  }

  /** @param {string} words */
  function notice(words) {
    notices.replaceChildren(el("p", { class: "notice" }, words));
    say(words);
  }
}

/**
 * Why the lesson is not finished.
 * @param {any} error
 */
function whyNot({ status, content, message }) {
  const { coverageRatio, completionThreshold } = content ?? {};
  if (typeof coverageRatio === "number" && typeof completionThreshold === "number") {
    return `Not finished yet: ${percent(coverageRatio)} of the lesson are recorded as watched, and ${percent(completionThreshold)} are needed.`;
  }
  if (status === 0)
    return "Not finished yet: not everything that you watched could be recorded so far. Try again in a moment.";
  return `The lesson could not be finished. ${message}`;
}

/** @param {HTMLVideoElement} video */
function speedChoice(video) {
  const choice = el("select", { id: "speed" }, ...SPEEDS.map((speed) => el("option", { value: speed }, `${speed}×`)));
  choice.addEventListener("change", () => (video.playbackRate = Number(choice.value)));
  const show = () => (choice.value = String(video.playbackRate));
  video.addEventListener("ratechange", show);
  show();
  return el("label", { class: "speed", for: "speed" }, "Speed ", choice);
}

/**
 * The state of the record, for the learner.
 * @param {import("../../src/index.js").State} state
 * @param {boolean} isReached  whether the service could be reached when it was last tried
 * @param {number} setAside  events that it refused
 * @returns {[kind: string, words: string]}
 */
function recordInWords({ status, pending, durable }, isReached, setAside) {
  const parts = counted(pending, "part");
  if (status === "refused") return ["wrong", "Not recorded"];
  if (setAside) return ["wrong", `${counted(setAside, "part")} could not be recorded`];
  if (!durable && pending) return ["kept", `${parts} not recorded yet. Keep this page open`];
  if (!isReached)
    return [
      "kept",
      pending ? `No connection. ${parts} kept here and sent later` : "No connection. What you watch is kept here",
    ];
  if (status === "starting") return ["opening", "Opening the record"];
  return ["recorded", pending ? "Recording" : "Recorded"];
}

/** A way to see it as a manager does, where anybody may be anybody. @param {string} userId */
function evidenceOf(userId) {
  return el("a", { href: `../evidence/?${new URLSearchParams({ user: userId, lesson: lessonId })}` }, "Evidence");
}

function chooser() {
  const field = el(
    "div",
    { class: "field" },
    el("label", { for: "lesson" }, "Lesson"),
    el("input", { id: "lesson", name: "lesson", required: true, maxlength: 128, autocomplete: "off" }),
  );
  return state(
    "Which lesson?",
    "Name the lesson that you would like to watch.",
    el("form", { class: "form" }, field, el("button", {}, "Watch")),
  );
}

/** A name made of words as a title: "lifting-safely" is "Lifting safely". @param {string} id */
function titled(id) {
  return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(id) ? id[0].toUpperCase() + id.slice(1).replaceAll("-", " ") : id;
}

/** @param {HTMLElement} element @param {string} words */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** @param {string} words */
function say(words) {
  announced.textContent = words;
}
