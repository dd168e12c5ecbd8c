// What a page says while it waits and when there is nothing to show: each state in words, with a way on.

import { Problem } from "./api.js";
import { el } from "./dom.js";
import { SignedOut, signInAddress } from "./session.js";

/** @param {string} what */
export function loading(what) {
  return el("div", { class: "state loading" }, el("h1", {}, what));
}

/**
 * @param {string} title
 * @param {...(string | Node)} paragraphs
 */
export function state(title, ...paragraphs) {
  return el(
    "div",
    { class: "state" },
    el("h1", {}, title),
    ...paragraphs.map((text) => (text instanceof Node ? text : el("p", {}, text))),
  );
}

/**
 * A failure in words, with what support asks for and a button to try again where that can help.
 * @param {unknown} error
 * @param {{retry: () => void, missing: [title: string, ...paragraphs: string[]]}} ways missing: what a 404 means here
 */
export async function failure(error, { retry, missing }) {
  const [title, ...paragraphs] = reason(error, missing);
  const shown = state(title, ...paragraphs);
  const traceId = error instanceof Problem && error.traceId;
  if (traceId) shown.append(el("p", { class: "trace" }, "For support, this request is ", el("code", {}, traceId)));
  const address = error instanceof SignedOut ? await signInAddress().catch(() => null) : null;
  if (address) {
    shown.append(el("p", { class: "toolbar" }, el("a", { class: "button primary", href: address }, "Sign in")));
  } else if (!(error instanceof Problem) || ![403, 404, 422].includes(error.status)) {
    const button = el("button", { type: "button" }, "Try again");
    button.addEventListener("click", retry);
    shown.append(el("p", { class: "toolbar" }, button));
  }
  return shown;
}

/**
 * @param {unknown} error
 * @param {[title: string, ...paragraphs: string[]]} missing
 * @returns {[title: string, ...paragraphs: string[]]}
 */
export function reason(error, missing) {
  if (error instanceof SignedOut)
    return ["You are not signed in", "Sign in to the platform, then come back to this page."];
  if (!(error instanceof Problem)) {
    return [
      "The page could not be prepared",
      "The platform gave no way to read the record. It may be starting; try again in a moment.",
    ];
  }
  if (error.status === 404) return missing;
  if (error.status === 0) {
    return [
      "The service cannot be reached",
      "Nothing that was recorded is affected. Check the connection and try again.",
    ];
  }
  if (error.status === 401)
    return [
      "The sign-in was not accepted",
      "It may have run out. Sign in again, then reload this page.",
      ...detail(error),
    ];
  if (error.status === 403)
    return [
      "This page is for managers",
      "Your sign-in is valid, but its role may not read this record.",
      ...detail(error),
    ];
  if (error.status === 422) {
    return [
      "The address of this page is not valid",
      ...error.errors.map(({ pointer, detail: what }) => `${pointer.replace(/^[#/]+/, "")}: ${what}`),
    ];
  }
  if (error.status === 503 || error.status === 429) {
    return [
      "The record cannot be read at the moment",
      "Nothing was lost. It usually works again within seconds.",
      ...detail(error),
    ];
  }
  return ["Something went wrong on our side", "Nothing that was recorded is affected.", ...detail(error)];
}

/** @param {Problem} problem */
function detail({ detail: text }) {
  return text ? [`${text.replace(/\.$/, "")}.`] : [];
}
