// Reading from the service: a token with each request, its errors as facts.

import { settings, token } from "./session.js";

/** @typedef {import("./session.js").Identity} Identity */

/** What the service answers instead of what was asked (RFC 9457); status 0: it could not be reached. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, traceId?: string, type?: string, errors?: {pointer: string, detail: string}[]}} [document]
   */
  constructor(status, document = {}) {
    super(document.title ?? `HTTP ${status}`);
    this.status = status;
    this.detail = document.detail;
    this.traceId = document.traceId;
    this.type = document.type;
    this.errors = document.errors ?? [];
  }
}

/**
 * What a GET answers. Of an answer with an ETag, the same object comes back while it has not changed.
 * @param {string} path from /video on, its parts encoded
 * @param {{identity?: Identity}} [options]
 * @returns {Promise<any>}
 * @throws {Problem}
 */
export async function get(path, { identity } = {}) {
  const { api = "" } = await settings();
  const address = api + path;
  let answer = await ask(address, await token(identity));
  if (answer.status === 401) answer = await ask(address, await token(identity, { fresh: true }));
  const last = seen.get(address);
  if (answer.status === 304 && last) return last.content;
  if (!answer.ok) throw new Problem(answer.status, await problemIn(answer));
  const text = await answer.text();
  if (last?.text === text) return last.content;
  const content = JSON.parse(text);
  seen.set(address, { etag: answer.headers.get("ETag"), text, content });
  return content;
}

/** @type {Map<string, {etag: string | null, text: string, content: any}>} */
const seen = new Map();

/** @param {string} address @param {string} bearer */
async function ask(address, bearer) {
  const etag = seen.get(address)?.etag;
  const headers = { Authorization: `Bearer ${bearer}`, ...(etag && { "If-None-Match": etag }) };
  try {
    return await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(15_000) });
  } catch (error) {
    throw new Problem(0, { detail: String(error) });
  }
}

/** @param {Response} answer */
async function problemIn(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}
