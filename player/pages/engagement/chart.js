// Three small charts over one timeline, and a line through all of them at the part that is being looked at.

import { el, svg } from "../shared/dom.js";
import { tickSeconds } from "../shared/strip.js";
import { clock } from "../shared/times.js";
import { bucketWords, peakOf, people, roundTop } from "./words.js";

/** @typedef {import("./words.js").Engagement} Engagement */
/** @typedef {import("./words.js").Measure} Measure */

const RIGHT = 4;
const TOP = 6;
const DIGIT = 7.5; // at the width of the axis labels

/** @type {{measure: Measure, title: string, note: string, none: string, height: number}[]} */
const PANELS = [
  {
    measure: "watched",
    title: "Watched",
    note: "learners who saw each part",
    none: "Nobody watched any of it.",
    height: 168,
  },
  {
    measure: "rewatched",
    title: "Watched again",
    note: "learners who saw it more than once",
    none: "Nobody watched any part again.",
    height: 88,
  },
  {
    measure: "skipped",
    title: "Skipped",
    note: "learners who jumped over it and never came back",
    none: "Nobody skipped any part.",
    height: 88,
  },
];

/**
 * The charts of a lesson that somebody watched.
 * @param {Engagement} engagement
 */
export function charts(engagement) {
  const { buckets, learners } = engagement;
  const panels = PANELS.filter(({ measure }) => peakOf(buckets, measure)).map((panel) => ({
    ...panel,
    picture: svg("svg", { class: "panel-picture", role: "img", height: panel.height }),
  }));
  const axis = svg("svg", { class: "panel-axis", height: 22, "aria-hidden": "true" });
  const told = el(
    "output",
    { class: "part-words quiet", for: "part", "aria-live": "off" },
    "Point at the charts or move the slider to read one part.",
  );
  const slider = el("input", { type: "range", id: "part", min: 0, max: buckets.length - 1, step: 1, value: 0 });
  const end = buckets[buckets.length - 1].endSecond;
  const scales = panels.map(({ measure }) =>
    measure === "watched" ? learners : roundTop(peakOf(buckets, measure)?.most ?? 0),
  );
  const left = 12 + DIGIT * Math.max(1, ...scales.map((top) => people(top).length));
  let width = 0;
  let isPointing = false;

  const element = el(
    "div",
    { class: "charts" },
    ...panels.map(({ title, note, picture }) =>
      el(
        "figure",
        { class: "panel" },
        el(
          "figcaption",
          {},
          el("span", { class: "panel-title" }, title),
          " ",
          el("span", { class: "quiet small" }, note),
        ),
        picture,
      ),
    ),
    axis,
    el(
      "div",
      { class: "part not-printed" },
      el("label", { for: "part", class: "only-heard" }, "Part of the lesson"),
      slider,
      told,
    ),
    ...PANELS.filter(({ measure }) => !peakOf(buckets, measure)).map(({ none }) =>
      el("p", { class: "panel-none quiet" }, none),
    ),
  );

  /** @param {number} second */
  function place(second) {
    return Math.round((left + ((width - left - RIGHT) * second) / end) * 10) / 10;
  }

  function draw() {
    width = Math.max(240, element.clientWidth);
    for (const [i, { picture, measure, height, title, note }] of panels.entries()) {
      const top = scales[i];
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.setAttribute("aria-label", `${title}: ${note}. ${peakWords(engagement, measure)}`);
      picture.replaceChildren(
        pattern(measure),
        ...(top % 2 ? [0, top] : [0, top / 2, top]).map((value) => gridline(value, top, left, width - RIGHT, height)),
        svg("path", {
          class: `area area-${measure}`,
          d: outline(engagement, measure, top, height, place, true),
          fill: `url(#pattern-${measure})`,
        }),
        svg("path", { class: `edge edge-${measure}`, d: outline(engagement, measure, top, height, place, false) }),
        svg("rect", { class: "cursor", y: TOP, width: 0, height: height - TOP }),
      );
    }
    axis.setAttribute("viewBox", `0 0 ${width} 22`);
    axis.replaceChildren(
      ...tickSeconds(end, Math.max(2, Math.floor(width / 88))).map((second) =>
        axisTick(second, place(second), second / end > 0.97),
      ),
    );
    point();
  }

  /** Show the part that the slider is at. */
  function point() {
    const bucket = buckets[Number(slider.value)];
    const words = bucketWords(bucket, learners);
    slider.setAttribute("aria-valuetext", words);
    if (!isPointing) return;
    told.textContent = words;
    for (const cursor of element.querySelectorAll(".cursor")) {
      cursor.setAttribute("x", String(place(bucket.startSecond)));
      cursor.setAttribute("width", String(Math.max(1, place(bucket.endSecond) - place(bucket.startSecond))));
    }
  }

  function startPointing() {
    isPointing = true;
    told.classList.remove("quiet");
    point();
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    const picture = /** @type {SVGElement} */ (event.currentTarget);
    const second = ((event.clientX - picture.getBoundingClientRect().left - left) / (width - left - RIGHT)) * end;
    const found = buckets.findIndex(({ endSecond }) => second < endSecond);
    slider.value = String(second < 0 ? 0 : found < 0 ? buckets.length - 1 : found);
    startPointing();
  }

  slider.addEventListener("input", startPointing);
  slider.style.marginLeft = told.style.marginLeft = `${left}px`;
  slider.style.width = `calc(100% - ${left + RIGHT}px)`;
  for (const { picture } of panels) {
    picture.addEventListener("pointermove", follow);
    picture.addEventListener("pointerdown", follow);
  }
  new ResizeObserver(() => element.clientWidth !== width && draw()).observe(element);
  return element;
}

/** @param {Engagement} engagement @param {Measure} measure */
function peakWords({ buckets }, measure) {
  const values = buckets.map((bucket) => bucket[measure]);
  return `Between ${people(Math.min(...values))} and ${people(Math.max(...values))}. The figures are in the table below.`;
}

/**
 * The steps of a measure along the timeline, closed to an area or as a line.
 * @param {Engagement} engagement @param {Measure} measure @param {number} top @param {number} height
 * @param {(second: number) => number} place @param {boolean} isArea
 */
function outline({ buckets }, measure, top, height, place, isArea) {
  const steps = buckets.map((bucket) => {
    const y = level(bucket[measure], top, height);
    return `${place(bucket.startSecond)},${y} ${place(bucket.endSecond)},${y}`;
  });
  const floor = level(0, top, height);
  return isArea
    ? `M${place(0)},${floor} L${steps.join(" ")} L${place(buckets[buckets.length - 1].endSecond)},${floor} Z`
    : `M${steps.join(" L")}`;
}

/** @param {number} value @param {number} top @param {number} height */
function level(value, top, height) {
  return Math.round((height - 1 - ((height - 1 - TOP) * Math.min(value, top)) / top) * 10) / 10;
}

/** @param {number} value @param {number} top @param {number} left @param {number} right @param {number} height */
function gridline(value, top, left, right, height) {
  const y = level(value, top, height);
  return svg(
    "g",
    { class: value ? "grid" : "grid grid-floor" },
    svg("line", { x1: left, x2: right, y1: y, y2: y }),
    svg("text", { x: left - 8, y: value ? y + 4 : y, "text-anchor": "end" }, people(value)),
  );
}

/** @param {number} second @param {number} x @param {boolean} isLast */
function axisTick(second, x, isLast) {
  const anchor = isLast ? "end" : second ? "middle" : "start";
  return svg(
    "g",
    { class: "grid" },
    svg("line", { x1: x, x2: x, y1: 0, y2: 5 }),
    svg("text", { x, y: 18, "text-anchor": anchor }, clock(second)),
  );
}

/** The same patterns as on the strips. @param {Measure} measure */
function pattern(measure) {
  const size = 6;
  const shape =
    measure === "rewatched"
      ? [svg("circle", { class: "pattern-dot", cx: 3, cy: 3, r: 1.2 })]
      : measure === "skipped"
        ? [svg("path", { class: "pattern-stripe", d: "M-1,7 L7,-1 M-1,1 L1,-1 M5,7 L7,5" })]
        : [];
  return svg(
    "defs",
    {},
    svg(
      "pattern",
      { id: `pattern-${measure}`, width: size, height: size, patternUnits: "userSpaceOnUse" },
      svg("rect", { class: `pattern-ground pattern-${measure}`, width: size, height: size }),
      ...shape,
    ),
  );
}
