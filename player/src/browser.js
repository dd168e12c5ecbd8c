// What the client needs of the browser, in one place, so that it can be given another.

/**
 * @typedef {object} Environment
 * @property {() => number} now  milliseconds of a clock that nobody sets
 * @property {() => number} date  milliseconds of the clock on the wall
 * @property {(f: () => void, ms: number) => unknown} setTimeout
 * @property {(id: any) => void} clearTimeout
 * @property {() => number} random  0 ≤ r < 1
 * @property {() => string} uuid
 * @property {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @property {boolean} keepalive  whether a fetch can outlive its page
 * @property {((url: string, body: Blob) => boolean) | undefined} beacon
 * @property {IDBFactory | undefined} indexedDB
 * @property {Locks} locks
 * @property {EventTarget & { readonly visibilityState: string }} document
 * @property {EventTarget} window
 *
 * @typedef {object} Locks  as navigator.locks
 * @property {<T>(name: string, held: () => Promise<T>) => Promise<T>} request
 * @property {(() => Promise<LockManagerSnapshot>)=} query
 */

/** @returns {Environment} */
export function browser() {
  return {
    now: () => performance.now(),
    date: Date.now,
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: (id) => clearTimeout(id),
    random: Math.random,
    uuid,
    fetch: (url, init) => fetch(url, init),
    keepalive: "keepalive" in Request.prototype,
    beacon: navigator.sendBeacon?.bind(navigator),
    indexedDB: stored(),
    locks: navigator.locks ?? { request: (_, held) => held() },
    document,
    window,
  };
}

/** Reading the property throws where a page may not store anything. */
function stored() {
  try {
    return indexedDB;
  } catch {
    return undefined;
  }
}

/** As `crypto.randomUUID`, which is there in secure contexts only. */
function uuid() {
  const random = (/** @type {any} */ digit) =>
    digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)));
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) => random(digit).toString(16));
}
