// What is to be sent, kept in IndexedDB from before it is sent until the server has it.
//
// When the disk takes nothing (private mode, quota, cleared by the person), memory does, for as long as the page lives.

const TABLES = {
  sessions: { keyPath: "key" },
  events: { keyPath: "n", autoIncrement: true },
  aside: { autoIncrement: true },
};
const ASIDE_MS = 30 * 86_400_000; // for so long what was set aside is tried again at each opening
const OPENING_MS = 5_000; // some browsers never answer

/**
 * @typedef {object} Session
 * @property {string} key  also its Idempotency-Key
 * @property {Record<string, unknown>} start  the body it is started with
 * @property {number} at  when it was opened
 * @property {string=} sessionId  once the server has started it
 * @property {Record<string, any>=} answer  the latest of the server
 * @property {boolean=} ended  the page left it; the server is to be told
 *
 * @typedef {object} Event
 * @property {string} key  of its session
 * @property {"segments" | "seeks"} kind
 * @property {{ clientEventId: string } & Record<string, unknown>} item  as it is sent
 *
 * @typedef {Event & { n: number, at?: number }} Kept  numbered in the order of keeping, below 0 in memory; `at`: when it
 *   was set aside
 *
 * @typedef {object} Settled
 * @property {Kept[]} gone  what the server has or refuses
 * @property {(Kept & { session: Session, problem: unknown })[]} aside  what of it it refuses
 * @property {Map<string, Partial<Session> | null>} sessions  what changed; null: it is over
 */

export class Store {
  #name;
  #env;
  #told;
  /** @type {Promise<IDBDatabase> | undefined} */
  #db;
  /** @type {Map<string, Session>} */
  #sessions = new Map();
  /** @type {Map<number, Kept>} */
  #events = new Map();
  #next = -1;
  #durable = true;

  /**
   * @param {string} name
   * @param {import("./browser.js").Environment} env
   * @param {(durable: boolean, cause: unknown) => void} told  when that changes
   */
  constructor(name, env, told) {
    this.#name = name;
    this.#env = env;
    this.#told = told;
  }

  /**
   * Keep a session, and an event of it; when this resolves it is on the disk, or in memory and `told`.
   *
   * @param {Session} session
   * @param {Event} [event]
   */
  async keep(session, event) {
    const [kept, unkept] = [[...this.#sessions], [...this.#events]];
    try {
      await this.#run("readwrite", (sessions, events) => {
        for (const [key, session] of kept) change(sessions, key, (found) => ({ ...found, ...session }));
        for (const [, { n, ...event }] of unkept) events.add(event);
        change(sessions, session.key, (found) => ({ ...found, ...session }));
        if (event) events.add(event);
      });
      for (const [key] of kept) this.#sessions.delete(key);
      for (const [n] of unkept) this.#events.delete(n);
      this.#tell(true);
    } catch (cause) {
      this.#sessions.set(session.key, { ...this.#sessions.get(session.key), ...session });
      if (event) this.#events.set(this.#next, { ...event, n: this.#next-- });
      this.#tell(false, cause);
    }
  }

  /** The oldest events, and every session. */
  async oldest(/** @type {number} */ limit) {
    /** @type {Session[]} */
    let sessions = [];
    /** @type {Kept[]} */
    let events = [];
    try {
      [sessions, events] = await this.#run("readonly", (sessions, events) => {
        const found = [sessions.getAll(), events.getAll(null, limit)];
        return () => found.map((request) => request.result);
      });
    } catch (cause) {
      this.#tell(false, cause);
    }
    const known = new Map(sessions.map((session) => [session.key, session]));
    for (const [key, session] of this.#sessions) known.set(key, { ...known.get(key), ...session }); // the newer of both
    return { sessions: [...known.values()], events: [...events, ...this.#events.values()].slice(0, limit) };
  }

  /** Forget what the server has, and put away what it does not take. Rejects if that is on the disk and cannot be. */
  async settle(/** @type {Settled} */ settled) {
    const isOnDisk = !this.#sessions.size || settled.gone.some(({ n }) => n > 0);
    for (const { n } of settled.gone) this.#events.delete(n);
    const isOver = (/** @type {string} */ key, /** @type {Event[]} */ left) =>
      settled.sessions.get(key) === null && !left.some((event) => event.key === key); // one may have come meanwhile
    for (const [key, news] of settled.sessions) {
      const session = this.#sessions.get(key);
      if (session) this.#sessions.set(key, { ...session, ...news });
      if (isOver(key, [...this.#events.values()])) this.#sessions.delete(key);
    }
    try {
      await this.#run("readwrite", (sessions, events, aside) => {
        for (const { n } of settled.gone) if (n > 0) events.delete(n);
        for (const { n, ...refused } of settled.aside) aside.add({ at: this.#env.date(), ...refused });
        for (const [key, news] of settled.sessions)
          change(sessions, key, (found) => found && news && { ...found, ...news });
        const left = events.getAll();
        left.onsuccess = () => {
          for (const key of settled.sessions.keys()) if (isOver(key, left.result)) sessions.delete(key);
        };
      });
    } catch (cause) {
      this.#tell(false, cause);
      if (isOnDisk) throw cause; // it is sent again, which changes nothing, but not at once
    }
  }

  /** @param {boolean} durable  @param {unknown} [cause] */
  #tell(durable, cause) {
    if (durable !== this.#durable) this.#told((this.#durable = durable), cause);
  }

  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(sessions: IDBObjectStore, events: IDBObjectStore, aside: IDBObjectStore) => (() => T) | void} work
   * @returns {Promise<T>}
   */
  async #run(mode, work) {
    const db = await (this.#db ??= this.#open());
    return new Promise((resolve, reject) => {
      const tables = Object.keys(TABLES);
      const transaction = db.transaction(tables, mode, { durability: "strict" });
      const [sessions, events, aside] = tables.map((table) => transaction.objectStore(table));
      const result = work(sessions, events, aside);
      transaction.oncomplete = () => resolve(/** @type {T} */ (result?.()));
      transaction.onabort = () => reject(transaction.error);
    });
  }

  /** @returns {Promise<IDBDatabase>} */
  #open() {
    return new Promise((resolve, reject) => {
      this.#env.setTimeout(() => reject(new Error("No IndexedDB")), OPENING_MS);
      const request = /** @type {IDBFactory} */ (this.#env.indexedDB).open(this.#name, 1);
      request.onerror = () => reject(request.error);
      request.onupgradeneeded = () => {
        for (const [table, options] of Object.entries(TABLES)) request.result.createObjectStore(table, options);
      };
      request.onsuccess = () => {
        const db = request.result;
        const again = () => (db.close(), (this.#db = undefined));
        db.onclose = db.onversionchange = again;
        this.#db = Promise.resolve(db); // also if it was given up
        resolve(db);
        this.#restore();
      };
    });
  }

  /** Each opening gives what was set aside another chance. */
  async #restore() {
    await this.#run("readwrite", (sessions, events, aside) => {
      const found = aside.getAll();
      found.onsuccess = () => {
        aside.clear();
        for (const { problem, session, ...event } of found.result) {
          if (event.at < this.#env.date() - ASIDE_MS) continue;
          change(sessions, event.key, (found) => found ?? { ...session, ended: true });
          events.add(event);
        }
      };
    }).catch(() => {});
  }
}

/**
 * Change a row by what is there; what `news` gives is put, unless it is nothing.
 *
 * @param {IDBObjectStore} table
 * @param {string} key
 * @param {(found: Session | undefined) => Session | null | undefined} news
 */
function change(table, key, news) {
  const found = table.get(key);
  found.onsuccess = () => {
    const row = news(found.result);
    if (row) table.put(row);
  };
}
