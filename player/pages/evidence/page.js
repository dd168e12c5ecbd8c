// The Evidence page: what one learner watched of one lesson, read again while it is being watched.

import { get, Problem } from "../shared/api.js";
import { csv, download } from "../shared/csv.js";
import { byId, el, printFoot } from "../shared/dom.js";
import { failure, loading, state } from "../shared/states.js";
import { moment, timeOfDay } from "../shared/times.js";
import { rows } from "./rows.js";
import { report } from "./report.js";
import { headline } from "./words.js";

/** @typedef {import("./words.js").Evidence} Evidence */

const AWAITED_MS = 5_000;
const QUIET_MS = 15_000;
const IN_VAIN = [401, 403, 422]; // asking again by itself changes nothing

const asked = new URLSearchParams(location.search);
const [user, lesson] = [asked.get("user")?.trim() ?? "", asked.get("lesson")?.trim() ?? ""];
const main = byId("content");
const announced = byId("status");

const readAt = el("span", { class: "quiet small" });
const refresh = el("button", { type: "button" }, "Refresh");
const byItself = el("input", { type: "checkbox", id: "by-itself", checked: true });
const body = el("div");
const tools = toolbar();

/** @type {Evidence | undefined} */
let shown;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;
let isReading = false;
/** What the page says instead of the record. @type {number | "unprepared" | undefined} */
let failed;

byId("user").value = user;
byId("lesson").value = lesson;
if (lesson) byId("to-engagement").search = new URLSearchParams({ lesson }).toString();

if (user && lesson) {
  document.title = `${user} · ${lesson} · Evidence · Watchledger`;
  main.replaceChildren(loading(`Reading what ${user} watched of ${lesson} …`));
  read();
  document.addEventListener("visibilitychange", readSoon);
  window.addEventListener("online", readSoon);
  window.addEventListener("beforeprint", openAll);
} else {
  main.replaceChildren(
    state(
      "What did somebody really watch?",
      "Name a learner and a lesson. The page then shows which seconds were watched, watched again or skipped, in which sessions, and what is missing to complete the lesson.",
    ),
  );
}

/** Read the record and show it; what is shown already stays while that fails. */
async function read({ isAsked = false } = {}) {
  if (isReading) return;
  isReading = true;
  clearTimeout(next);
  try {
    const evidence = await get(
      `/video/users/${encodeURIComponent(user)}/lessons/${encodeURIComponent(lesson)}/evidence`,
    );
    if (evidence !== shown) show(evidence);
    readAt.textContent = `Read at ${timeOfDay(new Date())}`;
    printFoot(`Watchledger, evidence of ${user} and ${lesson}, read on ${moment(new Date().toISOString())}`);
    if (isAsked)
      announced.textContent = evidence.attempts.length
        ? `Up to date. ${headline(evidence, evidence.attempts[0])}.`
        : "Up to date.";
  } catch (error) {
    const cause = error instanceof Problem ? error.status : "unprepared";
    if (shown) {
      readAt.textContent = `${readAt.textContent?.split(";")[0]}; could not be read again`;
      if (isAsked) announced.textContent = "The record could not be read again. What is shown is as it was.";
    } else if (isAsked || cause !== failed) {
      failed = cause;
      main.replaceChildren(
        await failure(error, {
          retry,
          missing: [
            "Nothing is recorded here",
            `There is no record of ${user} watching ${lesson}. Check how both are written: capital letters count.`,
            "If the learner has only just begun, the first seconds arrive within a quarter of a minute.",
          ],
        }),
      );
    }
  } finally {
    isReading = false;
    schedule();
  }
}

function retry() {
  main.replaceChildren(loading("Reading again …"));
  main.focus();
  read({ isAsked: true });
}

function schedule() {
  clearTimeout(next);
  if (!byItself.checked || document.hidden || (!shown && IN_VAIN.includes(Number(failed)))) return;
  const isAwaited = !shown || shown.attempts.some(({ sessions }) => sessions.some(({ status }) => status === "open"));
  next = setTimeout(read, isAwaited ? AWAITED_MS : QUIET_MS);
}

function readSoon() {
  if (document.hidden || !byItself.checked) clearTimeout(next);
  else read();
}

/** @param {Evidence} evidence */
function show(evidence) {
  const opened = [...body.querySelectorAll("details[open]")].map(({ id }) => id);
  const focused = document.activeElement?.closest("details")?.id;
  shown = evidence;
  if (!evidence.attempts.length) {
    body.replaceChildren(
      state(
        `${user} has not begun ${lesson}`,
        evidence.isAssigned
          ? "The lesson is assigned, and nothing was watched of it yet."
          : "Nothing was watched of it yet.",
      ),
    );
  } else {
    body.replaceChildren(report(evidence));
  }
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.querySelector("summary")?.focus({ preventScroll: true });
  if (!body.isConnected) main.replaceChildren(tools, body);
}

function toolbar() {
  const print = el("button", { type: "button" }, "Print");
  const save = el("button", { type: "button" }, "Download CSV");
  refresh.addEventListener("click", () => read({ isAsked: true }));
  byItself.addEventListener("change", readSoon);
  print.addEventListener("click", () => window.print());
  save.addEventListener("click", () => shown && download(`evidence-${user}-${lesson}.csv`, csv(rows(shown))));
  const toggle = el("label", { class: "toggle" }, byItself, "Keep up to date");
  return el(
    "div",
    { class: "toolbar tools" },
    refresh,
    toggle,
    readAt,
    el("span", { class: "toolbar-end" }, print, save),
  );
}

/** A printed page cannot be unfolded. */
function openAll() {
  const folded = [...body.querySelectorAll("details:not([open])")];
  for (const details of folded) details.setAttribute("open", "");
  window.addEventListener("afterprint", () => folded.forEach((details) => details.removeAttribute("open")), {
    once: true,
  });
}
