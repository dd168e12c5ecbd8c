// One opening of the player, from the first look at the element until it is closed.

import { Problem, Sender } from "./sender.js";
import { Store } from "./store.js";
import { Tracker } from "./tracker.js";

const BRIDGED_S = 1; // a gap of up to this does not break what was watched without one

/**
 * @typedef {object} Options
 * @property {string} [api]  where the service answers, without a slash at its end; this page's own origin if left out
 * @property {(refused?: string) => string | Promise<string>} token  the bearer token; called before each request, and once
 *   more with the token that the server refused
 * @property {string} userId
 * @property {string} lessonId
 * @property {boolean} [isAssigned]  counts only where the deployment trusts its players
 * @property {Record<string, unknown>} [clientInfo]  kept with the session
 * @property {(sessionId: string) => string} [beacon]  for browsers whose fetch does not outlive its page: an address that
 *   takes the same as POST …/close and knows the person without a header
 *
 * @typedef {object} State
 * @property {"starting" | "open" | "closed" | "refused"} status
 * @property {number} pending  events that the server has not confirmed
 * @property {boolean} durable  whether they survive the page
 * @property {string | null} sessionId
 * @property {string | null} attemptId
 * @property {"free" | "flag" | "block" | null} seekPolicy
 * @property {number} maxVerifiedSecond
 * @property {number | null} resumeSecond
 * @property {number | null} coverageSecond
 * @property {number | null} coverageRatio
 */

export class Ledger extends EventTarget {
  /** @type {State} */
  #state = {
    status: "starting",
    pending: 0,
    durable: true,
    sessionId: null,
    attemptId: null,
    seekPolicy: null,
    maxVerifiedSecond: 0,
    resumeSecond: null,
    coverageSecond: null,
    coverageRatio: null,
  };
  #env;
  #options;
  #store;
  #sender;
  /** @type {Tracker | undefined} */
  #tracker;
  /** @type {import("./store.js").Session} */
  #session;
  /** @type {import("./store.js").Event[]} not confirmed, the oldest first… */
  #pending = [];
  #stored = 0; // …of which the store has so many
  /** @type {Promise<unknown>} */
  #kept = Promise.resolve();
  #release = () => {};
  #told = ""; // the latest answer
  #begun = false; // whether something was played in this session
  #latest = 0; // when the latest event happened
  #listening = new AbortController();

  /**
   * @param {HTMLMediaElement} media
   * @param {Options} options
   * @param {import("./browser.js").Environment} env
   */
  constructor(media, options, env) {
    super();
    this.#env = env;
    this.#options = options;
    const name = `watchledger ${options.api ?? ""} ${options.userId}`;
    this.#store = new Store(name, env, (durable, cause) => {
      this.#change({ durable });
      this.#emit("storage", { durable, cause });
    });
    this.#sender = new Sender(name, env, this.#store, options, {
      key: () => this.#session.key,
      lives: () => this.#lives(),
      sending: () => this.#sending(),
      news: (session) => this.#news(session),
      lost: (problem) => this.#lost(problem),
      aside: (problem, events) => this.#emit("aside", { problem, events }),
      delayed: (cause, ms) => this.#emit("delayed", { cause, retryInSecond: ms / 1000 }),
    });
    this.#session = this.#open();
    this.#listen();
    this.attach(media);
  }

  get state() {
    return this.#state;
  }

  /** Count what this element plays from now on: another one than before, or the same with the lesson's other source. */
  attach(/** @type {HTMLMediaElement} */ media) {
    if (this.#listening.signal.aborted) return;
    this.#tracker?.stop();
    const told = {
      played: this.#played.bind(this),
      jumped: this.#jumped.bind(this),
      limit: this.#limit.bind(this),
      switched: () => this.#emit("switched", {}),
    };
    this.#tracker = new Tracker(media, told, this.#env, this.#tracker?.place);
  }

  /** Stop counting and close the session; true if the server has everything, false if it will have it later. */
  async close() {
    if (!this.#listening.signal.aborted) {
      this.#end("closed");
      this.#keep();
      this.#kept.then(this.#release); // not before: another page would close it
    }
    return this.#flush();
  }

  /**
   * Complete the attempt, with everything that was watched up to now.
   *
   * @throws {Problem} 409: too little was watched; its `content` says what is missing. 0: the server was not reached.
   */
  async complete() {
    this.#tracker?.split();
    if (!(await this.#flush())) throw new Problem(0, { title: "Not recorded yet" });
    return this.#sender.ask("PUT", `/video/attempts/${this.#state.attemptId}/complete`);
  }

  #open() {
    const { userId, lessonId, isAssigned, clientInfo } = this.#options;
    const at = this.#env.date();
    const startedAt = new Date(at).toISOString();
    this.#session = { key: this.#env.uuid(), at, start: { userId, lessonId, isAssigned, clientInfo, startedAt } };
    const { key } = this.#session;
    /** @type {Promise<void>} */
    const released = new Promise((resolve) => (this.#release = resolve));
    // While its lock is held, no other page takes the session for over.
    const held = new Promise((resolve) => {
      this.#env.locks.request(key, () => (resolve(null), released)).catch(resolve);
    });
    this.#kept = this.#kept.then(() => held);
    this.#told = "";
    this.#begun = false;
    this.#change({ status: "starting", sessionId: null });
    this.#keep();
    return this.#session;
  }

  #end(/** @type {"closed" | "refused"} */ status) {
    this.#tracker?.stop();
    this.#listening.abort();
    this.#session = { ...this.#session, ended: true };
    this.#change({ status });
  }

  #lives() {
    return !this.#session.ended && (this.#tracker?.playing || this.#env.document.visibilityState === "visible");
  }

  /** Into the store, with an event or as it is; then it is sent. @param {import("./store.js").Event} [event] */
  #keep(event) {
    const session = this.#session;
    this.#kept = this.#kept.then(async () => {
      await this.#store.keep(session, event);
      if (event) this.#stored++;
      this.#sender.wake();
    });
  }

  async #flush() {
    await this.#kept;
    return this.#sender.flush();
  }

  /** Once it is sent, what the store has now is confirmed. */
  #sending() {
    const count = this.#stored;
    return () => {
      this.#pending.splice(0, count);
      this.#stored -= count;
      if (count) this.#change({ pending: this.#pending.length });
    };
  }

  #record(/** @type {"segments" | "seeks"} */ kind, /** @type {Record<string, number>} */ content) {
    this.#latest = Math.max(this.#latest + 1, this.#env.date()); // in their order, whoever sets the clock
    const item = { clientEventId: this.#env.uuid(), ...content, occurredAt: new Date(this.#latest).toISOString() };
    const event = { key: this.#session.key, kind, item };
    this.#pending.push(event);
    this.#change({ pending: this.#pending.length });
    this.#keep(event);
  }

  #played(/** @type {number} */ start, /** @type {number} */ end, /** @type {number} */ speed) {
    const [startSecond, endSecond] = [start, end].map(thousandths);
    if (endSecond === startSecond) return;
    this.#begun = true;
    const { maxVerifiedSecond } = this.#state;
    if (startSecond <= maxVerifiedSecond + BRIDGED_S && endSecond > maxVerifiedSecond) {
      this.#change({ maxVerifiedSecond: endSecond });
    }
    this.#record("segments", { startSecond, endSecond, speed });
  }

  /** Who first of all takes up where they stopped has jumped over nothing: it was told when they did. */
  #jumped(/** @type {number} */ from, /** @type {number} */ to) {
    if (!this.#begun && Math.abs(to - (this.#state.resumeSecond ?? Infinity)) <= BRIDGED_S) return;
    this.#record("seeks", { fromSecond: thousandths(from), toSecond: thousandths(to) });
  }

  /** Where a jump may go. One that was not let through is no seek: nothing was skipped. */
  #limit(/** @type {number} */ fromSecond, /** @type {number} */ toSecond) {
    const { seekPolicy, maxVerifiedSecond } = this.#state;
    if (seekPolicy !== "block" || toSecond <= Math.max(fromSecond, maxVerifiedSecond + BRIDGED_S)) return toSecond;
    this.#emit("blocked", { fromSecond, toSecond, maxVerifiedSecond });
    return maxVerifiedSecond;
  }

  #news(/** @type {import("./store.js").Session} */ { sessionId, answer }) {
    const told = JSON.stringify(answer);
    if (told === this.#told || !answer) return;
    this.#told = told;
    this.#session = { ...this.#session, sessionId };
    const { attemptId, seekPolicy, resumeSecond, coverageSecond, coverageRatio } = { ...this.#state, ...answer };
    const maxVerifiedSecond = Math.max(this.#state.maxVerifiedSecond, answer.maxVerifiedSecond ?? 0);
    const isFirst = this.#state.status === "starting";
    this.#change({
      ...(isFirst && { status: "open", sessionId }),
      attemptId,
      seekPolicy,
      resumeSecond,
      coverageSecond,
      coverageRatio,
      maxVerifiedSecond,
    });
    this.#emit(isFirst ? "started" : "recorded", answer);
  }

  /** The server takes nothing more for this session; what is watched from now on belongs to another. */
  #lost(/** @type {Problem} */ problem) {
    const isRefused = !this.#state.sessionId;
    this.#emit("lost", { problem });
    if (this.#session.ended) return;
    this.#release();
    if (isRefused) this.#end("refused");
    else this.#open();
  }

  #listen() {
    const { document, window } = this.#env;
    const { signal } = this.#listening;
    /** @type {(target: EventTarget, type: string, then: (event: any) => void) => void} */
    const on = (target, type, then) => target.addEventListener(type, then, { signal });
    const save = () => {
      this.#tracker?.split();
      this.#flush();
    };
    on(document, "visibilitychange", () => (document.visibilityState === "hidden" ? save() : this.#sender.wake(true)));
    on(document, "freeze", save);
    on(window, "online", () => this.#sender.wake(true));
    on(window, "pagehide", () => this.#leave());
    on(window, "pageshow", ({ persisted }) => persisted && this.#return());
  }

  #leave() {
    this.#tracker?.cut();
    const { key } = this.#session;
    // Not waiting for the store: the ids are fixed, and so it does no harm if both the server and the store have them.
    this.#sender.leave(
      this.#session,
      this.#pending.filter((event) => event.key === key),
    );
    this.#session = { ...this.#session, ended: true };
    this.#keep();
    this.#release();
  }

  /** The browser had kept the page and shows it again. */
  #return() {
    this.#open();
    this.#tracker?.split();
  }

  #change(/** @type {Partial<State>} */ news) {
    this.#state = { ...this.#state, ...news };
    this.#emit("change", this.#state);
  }

  #emit(/** @type {string} */ type, /** @type {unknown} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function thousandths(/** @type {number} */ second) {
  return Math.round(second * 1000) / 1000;
}
