// Watchledger's client: counts what a learner really watched, and brings it to the server whatever happens on the way.

import { browser } from "./browser.js";
import { Ledger } from "./ledger.js";

export { Ledger } from "./ledger.js";
export { Problem } from "./sender.js";

/**
 * @typedef {import("./ledger.js").Options} Options
 * @typedef {import("./ledger.js").State} State
 */

/** @type {WeakMap<HTMLMediaElement, Ledger>} */
const ledgers = new WeakMap();

/**
 * Count what an element plays of a lesson. One ledger counts an element: an earlier one is closed.
 *
 * @param {HTMLMediaElement} media
 * @param {Options} options
 */
export function trackLesson(media, options) {
  ledgers.get(media)?.close();
  const ledger = new Ledger(media, options, browser());
  ledgers.set(media, ledger);
  return ledger;
}
