// The Engagement page: how many learners saw each part of one lesson.

import { get } from "../shared/api.js";
import { csv, download } from "../shared/csv.js";
import { byId, el, printFoot } from "../shared/dom.js";
import { failure, loading, state } from "../shared/states.js";
import { clock, moment, percent, stretch } from "../shared/times.js";
import { charts } from "./chart.js";
import { findings, headline, people } from "./words.js";

/** @typedef {import("./words.js").Engagement} Engagement */

const asked = new URLSearchParams(location.search);
const lesson = asked.get("lesson")?.trim() ?? "";
const buckets = asked.get("buckets") ?? "100";
const main = byId("content");
const announced = byId("status");

byId("lesson").value = lesson;
choose(byId("buckets"), buckets);
if (lesson) byId("to-evidence").search = new URLSearchParams({ lesson }).toString();

if (lesson) {
  document.title = `${lesson} · Engagement · Watchledger`;
  main.replaceChildren(loading(`Counting who watched ${lesson} …`));
  read();
} else {
  main.replaceChildren(
    state(
      "Which parts of a lesson are watched?",
      "Name a lesson. The page then shows how many learners saw each part of it, which parts they watched again, and where they skip.",
    ),
  );
}

async function read({ isAsked = false } = {}) {
  try {
    /** @type {Engagement} */
    const engagement = await get(
      `/video/lessons/${encodeURIComponent(lesson)}/engagement?${new URLSearchParams({ buckets })}`,
    );
    main.replaceChildren(engagement.learners && engagement.buckets.length ? report(engagement) : nobody());
    printFoot(`Watchledger, engagement with ${lesson}, read on ${moment(new Date().toISOString())}`);
    if (isAsked) announced.textContent = `Up to date. ${headline(engagement)}.`;
  } catch (error) {
    main.replaceChildren(
      await failure(error, {
        retry: again,
        missing: [
          "There is no such lesson",
          `No lesson is called ${lesson}. Check how it is written: capital letters count.`,
        ],
      }),
    );
  }
}

function again() {
  main.replaceChildren(loading("Reading again …"));
  main.focus();
  read({ isAsked: true });
}

function nobody() {
  return state(`Nobody has watched ${lesson} yet`, "As soon as somebody does, this page shows which parts.");
}

/** @param {Engagement} engagement */
function report(engagement) {
  const { learners, completed, averageCoverageRatio: average, durationSecond } = engagement;
  const stand = findings(engagement);
  return el(
    "article",
    { class: "report" },
    toolbar(engagement),
    el("h1", {}, headline(engagement)),
    el(
      "dl",
      { class: "figures" },
      figure("Completed", completed.toLocaleString("en-GB"), `${percent(completed / learners)} of the learners`),
      figure("Average share watched", average === null ? "not known" : percent(average), null),
      figure(
        "Length of the lesson",
        durationSecond === null ? "not known" : clock(durationSecond),
        durationSecond === null ? "charts end at the furthest place watched" : null,
      ),
    ),
    stand.length > 0 &&
      el(
        "section",
        { class: "section" },
        el("h2", {}, "What stands out"),
        el(
          "dl",
          { class: "findings" },
          ...stand.flatMap(({ name, words }) => [el("dt", {}, name), el("dd", {}, words)]),
        ),
      ),
    el("section", { class: "section" }, el("h2", {}, "Along the lesson"), charts(engagement)),
    el(
      "section",
      { class: "section" },
      el("details", { class: "as-table" }, el("summary", {}, el("h2", {}, "The same as a table")), table(engagement)),
    ),
  );
}

/** @param {Engagement} engagement */
function toolbar(engagement) {
  const [refresh, save, print] = ["Refresh", "Download CSV", "Print"].map((name) =>
    el("button", { type: "button" }, name),
  );
  refresh.addEventListener("click", () => read({ isAsked: true }));
  print.addEventListener("click", () => window.print());
  save.addEventListener("click", () => download(`engagement-${lesson}.csv`, csv(rows(engagement))));
  return el("div", { class: "toolbar tools" }, refresh, el("span", { class: "toolbar-end" }, print, save));
}

/** @param {Engagement} engagement */
function table({ buckets: parts, learners }) {
  const heading = (/** @type {string} */ name, isNumber = true) =>
    el("th", { scope: "col", class: isNumber && "number" }, name);
  const number = (/** @type {string} */ value) => el("td", { class: "number" }, value);
  return el(
    "div",
    { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Learners by part of the lesson" },
    el(
      "table",
      {},
      el("caption", {}, "Learners by part of the lesson, averaged over the part"),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heading("Part", false),
          heading("Watched"),
          heading("Share"),
          heading("Again"),
          heading("Skipped"),
        ),
      ),
      el(
        "tbody",
        {},
        ...parts.map((part) =>
          el(
            "tr",
            {},
            el("th", { scope: "row", class: "nowrap" }, stretch(part.startSecond, part.endSecond)),
            number(people(part.watched)),
            number(percent(part.watched / learners, { isAligned: true })),
            number(people(part.rewatched)),
            number(people(part.skipped)),
          ),
        ),
      ),
    ),
  );
}

/** @param {Engagement} engagement */
function rows({ lessonId, learners, buckets: parts }) {
  return [
    ["lessonId", "startSecond", "endSecond", "learners", "watched", "rewatched", "skipped"],
    ...parts.map((part) => [
      lessonId,
      part.startSecond,
      part.endSecond,
      learners,
      part.watched,
      part.rewatched,
      part.skipped,
    ]),
  ];
}

/** @param {string} name @param {string} value @param {string | null} note */
function figure(name, value, note) {
  return el(
    "div",
    { class: "figure" },
    el("dt", {}, name),
    note !== null && el("dd", { class: "figure-note" }, note),
    el("dd", {}, value),
  );
}

/**
 * @param {HTMLSelectElement} select
 * @param {string} value also one that the page does not offer
 */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === value))
    select.append(el("option", { value }, `${value} parts`));
  select.value = value;
}
