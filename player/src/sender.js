// Brings what the store keeps to the server: oldest first, one request at a time for all tabs, until it is there.

const REQUEST_BYTES = 60_000;
const REQUEST_EVENTS = 500;
const REQUEST_SESSIONS = 50;
const REQUEST_MS = 30_000; // without an answer for so long, there is none
const IN_A_MINUTE = 6; // requests, apart from catching up
const APART_MS = 2_000;
const HEARTBEAT_MS = 30_000;
const BACKOFF_MS = 60_000; // at most
const HOLD_S = 3_600; // at most, whatever Retry-After says
const FORGOTTEN_MS = 86_400_000; // a session so old is over, where locks can't tell

/** The problems that asking again does not change; a proxy's error pages are none of them. */
const FINAL = /^urn:watchledger:problem:(session|idempotency|invalid|malformed)-/;

/**
 * @typedef {import("./store.js").Session} Session
 * @typedef {import("./store.js").Event} Event
 * @typedef {import("./store.js").Kept} Kept
 *
 * @typedef {object} Told
 * @property {() => string} key  of the session that this page is in
 * @property {() => boolean} lives  whether that session is to be kept alive
 * @property {() => () => void} sending  gives what to call when everything was sent that is in the store now
 * @property {(session: Session) => void} news  what the server said of it
 * @property {(problem: Problem) => void} lost  it takes nothing any more
 * @property {(problem: Problem, events: Event[]) => void} aside
 * @property {(cause: unknown, ms: number) => void} delayed  it is tried again after so long
 *
 * @typedef {object} Options
 * @property {string} [api]
 * @property {(refused?: string) => string | Promise<string>} token
 * @property {((sessionId: string) => string)=} beacon
 */

/** What the server answered instead; `status` 0: nothing that makes sense. */
export class Problem extends Error {
  /** @param {number} status  @param {Record<string, any>} content  the problem document  @param {number} [holdMs] */
  constructor(status, content, holdMs = 0) {
    super(content.detail ?? content.title ?? status);
    this.status = status;
    this.content = content;
    this.holdMs = holdMs;
  }

  /** Whether asking for the same again is of no use. */
  get isFinal() {
    return this.status === 413 || FINAL.test(this.content.type);
  }

  /** Whether it is the session that takes nothing any more, not the request. */
  get isOfSession() {
    return /:session-/.test(this.content.type);
  }
}

export class Sender {
  #name;
  #env;
  #store;
  #options;
  #api;
  #told;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  #token = "";
  #times = Array(IN_A_MINUTE).fill(-Infinity); // when the latest requests were made
  #due = Infinity; // when there is something to do
  #hold = 0; // not before, the server says
  #fails = 0;
  #last = 0; // when the session last gave a sign of life
  /** @type {unknown} */
  #timer;

  /**
   * @param {string} name  of the user's record
   * @param {import("./browser.js").Environment} env
   * @param {import("./store.js").Store} store
   * @param {Options} options
   * @param {Told} told
   */
  constructor(name, env, store, options, told) {
    this.#name = name;
    this.#env = env;
    this.#store = store;
    this.#options = options;
    this.#api = options.api ?? "";
    this.#told = told;
  }

  /** There is something to send; in a hurry also if it just failed. */
  wake(hurry = false) {
    if (hurry) this.#fails = 0;
    if (!this.#fails) this.#due = this.#env.now();
    this.#arm();
  }

  #arm() {
    this.#env.clearTimeout(this.#timer);
    const due = Math.min(this.#due, this.#fails ? Infinity : this.#beatAt());
    if (due === Infinity) return;
    const allowed = Math.max(this.#hold, this.#times[0] + 60_000, this.#times[IN_A_MINUTE - 1] + APART_MS);
    this.#timer = this.#env.setTimeout(() => this.flush(), Math.max(due, allowed) - this.#env.now());
  }

  #beatAt() {
    return this.#told.lives() ? this.#last + HEARTBEAT_MS : Infinity;
  }

  /** Send all there is, now; true if the server has it. */
  flush() {
    const turn = this.#turn.then(() => this.#attempt());
    this.#turn = turn;
    return turn;
  }

  async #attempt() {
    if (this.#env.now() < this.#hold) return false;
    this.#due = Infinity;
    const confirm = this.#told.sending();
    try {
      await this.#env.locks.request(this.#name, () => this.#drain());
      this.#fails = 0;
      confirm();
      return true;
    } catch (cause) {
      const backoff = Math.min(BACKOFF_MS, 1_000 * 2 ** this.#fails++) * (0.5 + this.#env.random() / 2);
      const hold = cause instanceof Problem ? cause.holdMs : 0;
      const now = this.#env.now();
      this.#hold = now + hold;
      this.#due = now + Math.max(hold, backoff);
      this.#told.delayed(cause, this.#due - now);
      return false;
    } finally {
      this.#arm();
    }
  }

  /** A request of its own, when it is its turn. */
  ask(/** @type {string} */ method, /** @type {string} */ path) {
    return this.#env.locks.request(this.#name, () => this.#request(method, path));
  }

  async #drain() {
    for (let limit = REQUEST_EVENTS; limit;) {
      const { sessions, events } = await this.#store.oldest(limit);
      const own = sessions.find(({ key }) => key === this.#told.key());
      if (own?.answer) this.#told.news(own);
      const isRest = events.length < limit;
      const batch = pack(sessions, events, isRest, await this.#judge(), own);
      const isAll = isRest && events.length === count(batch) && batch.length < REQUEST_SESSIONS;
      if (batch.length) limit = await this.#send(batch, limit, isAll);
      else if (own?.sessionId && this.#env.now() >= this.#beatAt()) limit = await this.#beat(own);
      else break;
      this.#last = this.#env.now();
    }
  }

  /** Tells of each session whether nobody is in it any more. */
  async #judge() {
    const locks = await this.#env.locks.query?.();
    const held = locks?.held?.map(({ name }) => name);
    return (/** @type {Session} */ { key, at, ended }) =>
      Boolean(ended) ||
      (key !== this.#told.key() && (held ? !held.includes(key) : this.#env.date() - at > FORGOTTEN_MS));
  }

  /**
   * Send a request's worth.
   *
   * @param {Part[]} batch
   * @param {number} limit  how many events it may have
   * @param {boolean} isAll  whether there is nothing else to send
   * @returns how many events the next one may have; 0 if none is needed
   */
  async #send(batch, limit, isAll) {
    for (const part of batch) {
      const { session, events, isOver } = part;
      if (session.sessionId) continue;
      if (events.length || !isOver) await this.#start(part).catch((problem) => this.#refuse([part], problem));
      else await this.#store.settle({ gone: [], aside: [], sessions: new Map([[session.key, null]]) });
      return limit;
    }
    try {
      await this.#settle(batch, await this.#record(batch));
      return isAll ? 0 : limit;
    } catch (problem) {
      const isTooMuch = problem instanceof Problem && problem.isFinal && !problem.isOfSession;
      if (isTooMuch && count(batch) > 1) return Math.ceil(count(batch) / 2); // until it is known which one
      const parts = batch.filter(({ events }) => events.length);
      if (!parts.length) throw problem;
      await this.#refuse(parts, problem);
    }
    return limit;
  }

  /** Have a session started, now or long after it was. */
  async #start(/** @type {Part} */ { session }) {
    const header = { "Idempotency-Key": session.key };
    const answer = await this.#request("POST", "/video/sessions", session.start, header);
    if (!answer.sessionId) throw new Problem(0, answer);
    await this.#store.keep({ ...session, sessionId: answer.sessionId, answer });
  }

  /** The server's answers, one for each part. */
  async #record(/** @type {Part[]} */ parts) {
    const items = parts.map(content);
    const [{ sessionId, close, ...only }] = items;
    if (items.length === 1 && !close) {
      const answer = await this.#request("POST", `/video/sessions/${sessionId}/progress`, only);
      if ("accepted" in answer) return [{ ...answer, sessionStatus: answer.status, status: 200 }];
      throw new Problem(0, answer);
    }
    const { results } = await this.#request("POST", "/video/progress/bulk", { items });
    if (results?.length === items.length) return results;
    throw new Problem(0, {});
  }

  async #beat(/** @type {Session} */ session) {
    try {
      await this.#request("PUT", `/video/sessions/${session.sessionId}/heartbeat`);
    } catch (problem) {
      await this.#refuse([{ session, events: [], isOver: false }], problem);
    }
    return 0;
  }

  /** Settle what the server does not take, if that is why it failed. */
  #refuse(/** @type {Part[]} */ parts, /** @type {unknown} */ problem) {
    if (!(problem instanceof Problem && problem.isFinal)) throw problem;
    const result = { ...problem.content, status: problem.status };
    return this.#settle(parts, Array(parts.length).fill(result));
  }

  /** Take the answers: what the server has is forgotten, what it refuses is put away. */
  async #settle(/** @type {Part[]} */ parts, /** @type {Record<string, any>[]} */ results) {
    /** @type {import("./store.js").Settled} */
    const settled = { gone: [], aside: [], sessions: new Map() };
    parts.forEach(({ session, events, isOver }, place) => {
      const { status, ...answer } = results[place];
      const { conflicts = [], rejected = [], sessionStatus } = answer;
      const problem = new Problem(status, answer);
      const isTaken = status === 200;
      const isLost = isTaken ? !isOver && sessionStatus === "closed" : problem.isOfSession || !session.sessionId;
      const refused = [...conflicts, ...rejected.map((/** @type {any} */ { clientEventId }) => clientEventId)];
      const aside = events.filter(({ item }) => !isTaken || refused.includes(item.clientEventId));
      settled.gone.push(...events);
      settled.aside.push(...aside.map((event) => ({ ...event, session, problem: answer })));
      const isForgotten = isTaken ? isOver || isLost : !session.sessionId || (isLost && !events.length);
      settled.sessions.set(session.key, isForgotten ? null : isTaken ? { answer } : {});
      if (aside.length) this.#told.aside(problem, aside);
      if (session.key !== this.#told.key()) return;
      if (isTaken) this.#told.news({ ...session, answer });
      if (isLost) this.#told.lost(problem);
    });
    await this.#store.settle(settled);
  }

  /**
   * One request, and once more with another token if that is what it lacks.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {Record<string, string>} [headers]
   * @returns {Promise<Record<string, any>>}
   */
  async #request(method, path, body, headers) {
    this.#token = await this.#options.token();
    for (let isFirst = true; ; isFirst = false) {
      const patience = new AbortController();
      const timer = this.#env.setTimeout(() => patience.abort(), REQUEST_MS);
      this.#times = [...this.#times.slice(1), this.#env.now()];
      try {
        const init = this.#init(method, body, headers);
        const response = await this.#env.fetch(this.#api + path, { ...init, signal: patience.signal });
        const answer = (await response.json().catch(() => null)) ?? {};
        if (response.ok && Object.keys(answer).length) return answer;
        if (response.status !== 401 || !isFirst) {
          throw new Problem(response.ok ? 0 : response.status, answer, this.#heldBy(response));
        }
      } finally {
        this.#env.clearTimeout(timer);
      }
      this.#token = await this.#options.token(this.#token);
    }
  }

  #init(/** @type {string} */ method, /** @type {object | undefined} */ body, headers = {}) {
    return {
      method,
      headers: {
        Authorization: `Bearer ${this.#token}`,
        ...(body && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body && JSON.stringify(body),
    };
  }

  /** How long Retry-After, in seconds or as a date, says to wait: milliseconds. */
  #heldBy(/** @type {Response} */ response) {
    const header = response.headers.get("Retry-After") ?? "";
    const seconds = Number(header) || (Date.parse(header) - this.#env.date()) / 1000 || 0;
    return Math.min(seconds, HOLD_S) * 1000;
  }

  /**
   * Close the session while its page goes away, with what it played last. Nobody sees the answer: what is in the store
   * stays there for the next page to send, which changes nothing if it was received.
   */
  leave(/** @type {Session} */ session, /** @type {Event[]} */ events) {
    const { sessionId, ...last } = content({ session, events: fitting(events) });
    if (!sessionId) return;
    if (this.#env.keepalive && this.#token) {
      const init = this.#init("POST", last);
      this.#env.fetch(`${this.#api}/video/sessions/${sessionId}/close`, { ...init, keepalive: true }).catch(() => {});
    } else if (this.#options.beacon) {
      this.#env.beacon?.(
        this.#options.beacon(sessionId),
        new Blob([JSON.stringify(last)], { type: "application/json" }),
      );
    }
  }
}

/** @typedef {{ session: Session, events: Kept[], isOver: boolean }} Part  a session's share of a request */

/**
 * What goes into a request, session by session, in the order of their oldest events. A session that is over is closed
 * with its last events; this page's own is there also if it only needs to be started.
 *
 * @param {Session[]} sessions
 * @param {Kept[]} events
 * @param {boolean} isAll  whether there are no more events than these
 * @param {(session: Session) => boolean} isOver
 * @param {Session=} own
 * @returns {Part[]}
 */
function pack(sessions, events, isAll, isOver, own) {
  const fit = fitting(events);
  const left = new Set(events.slice(fit.length).map(({ key }) => key));
  const known = new Map(sessions.map((session) => [session.key, session]));
  const parts = [...new Set([...fit.map(({ key }) => key), ...known.keys()])].map((key) => {
    const session = known.get(key) ?? { key, start: {}, at: 0, ended: true };
    return {
      session,
      events: fit.filter((event) => event.key === key),
      isOver: isAll && !left.has(key) && isOver(session),
    };
  });
  const due = parts.filter(({ session, events, isOver }) => {
    return events.length || isOver || (session === own && !own.sessionId && !own.ended);
  });
  return due.slice(0, REQUEST_SESSIONS);
}

/**
 * As many of the first events as a request may have.
 *
 * @template {Event} E
 * @param {E[]} events
 */
function fitting(events) {
  let bytes = 0;
  const end = events.findIndex(({ item }) => (bytes += JSON.stringify(item).length + 100) > REQUEST_BYTES);
  return end < 0 ? events : events.slice(0, end);
}

function count(/** @type {Part[]} */ parts) {
  return parts.reduce((sum, { events }) => sum + events.length, 0);
}

/** A session's share, as it is sent. @param {{ session: Session, events: Event[], isOver?: boolean }} part */
function content({ session, events, isOver }) {
  const items = (/** @type {string} */ kind) => events.filter((event) => event.kind === kind).map(({ item }) => item);
  return {
    sessionId: session.sessionId,
    segments: items("segments"),
    seeks: items("seeks"),
    ...(isOver && { close: true }),
  };
}
