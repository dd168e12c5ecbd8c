// On an implementation of IndexedDB that is not our own.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { IDBFactory } from "fake-indexeddb";
import { Store } from "../src/store.js";

const DAY_MS = 86_400_000;
const SESSION = { key: "k1", at: 0, start: { userId: "ana" } };
const event = (id, key = "k1") => ({ key, kind: /** @type {const} */ ("segments"), item: { clientEventId: id } });
const ids = ({ events }) => events.map(({ item }) => item.clientEventId);

let disk, today, told;
beforeEach(() => {
  disk = new IDBFactory();
  today = 0;
  told = [];
});

/** A page's view of what is kept; each opens it anew. */
function open({ indexedDB = disk, setTimeout: patience = () => {} } = {}) {
  const environment = { indexedDB, date: () => today, setTimeout: patience };
  return new Store("watchledger", /** @type {any} */ (environment), (durable) => told.push(durable));
}

test("what one page kept the next one finds, the oldest first", async () => {
  const page = open();
  await page.keep(SESSION, event("e1"));
  await page.keep(SESSION, event("e2"));

  const { sessions, events } = await open().oldest(10);

  assert.deepEqual(sessions, [SESSION]);
  assert.deepEqual(ids({ events }), ["e1", "e2"]);
});

test("it gives as many of the oldest as are asked for", async () => {
  const page = open();
  for (const id of ["e1", "e2", "e3"]) await page.keep(SESSION, event(id));

  assert.deepEqual(ids(await page.oldest(2)), ["e1", "e2"]);
});

test("what is settled is gone, and the session knows its news", async () => {
  const page = open();
  await page.keep(SESSION, event("e1"));
  await page.keep(SESSION, event("e2"));
  const { events } = await page.oldest(1);
  await page.settle({ gone: events, aside: [], sessions: new Map([["k1", { sessionId: "s1" }]]) });
  await page.keep({ ...SESSION, ended: true });

  const left = await open().oldest(10);

  assert.deepEqual(ids(left), ["e2"]);
  assert.deepEqual(left.sessions, [{ ...SESSION, sessionId: "s1", ended: true }]);
});

test("news of a session that is gone do not bring it back", async () => {
  const page = open();
  await page.keep(SESSION);
  await page.settle({ gone: [], aside: [], sessions: new Map([["k1", null]]) });
  await page.settle({ gone: [], aside: [], sessions: new Map([["k1", { sessionId: "s1" }]]) });

  assert.deepEqual((await page.oldest(10)).sessions, []);
});

test("what was set aside is tried again by the next page, for 30 days", async () => {
  const page = open();
  await page.keep(SESSION, event("e1"));
  const { events } = await page.oldest(10);
  const aside = events.map((refused) => ({ ...refused, session: SESSION, problem: {} }));
  await page.settle({ gone: events, aside, sessions: new Map([["k1", null]]) });
  assert.deepEqual(ids(await page.oldest(10)), []);

  today = 29 * DAY_MS;
  const second = open();
  const again = await second.oldest(10).then(() => second.oldest(10));
  assert.deepEqual(ids(again), ["e1"]);
  assert.equal(again.sessions[0].ended, true);
  await second.settle({
    gone: again.events,
    aside: aside.map((e, i) => ({ ...e, ...again.events[i] })),
    sessions: new Map(),
  });

  today = 31 * DAY_MS;
  const third = open();
  assert.deepEqual(ids(await third.oldest(10).then(() => third.oldest(10))), []);
});

for (const [what, indexedDB] of Object.entries({
  "no IndexedDB": undefined,
  "an IndexedDB that fails": {
    open() {
      const request = { error: new Error("no") };
      queueMicrotask(() => request.onerror());
      return request;
    },
  },
})) {
  test(`with ${what} it is kept in memory, and that is told once`, async () => {
    const page = new Store(
      "watchledger",
      /** @type {any} */ ({ indexedDB, date: () => 0, setTimeout() {} }),
      (durable) => told.push(durable),
    );
    await page.keep(SESSION, event("e1"));
    await page.keep(SESSION, event("e2"));
    const { sessions, events } = await page.oldest(10);
    assert.deepEqual(sessions, [SESSION]);
    assert.deepEqual(ids({ events }), ["e1", "e2"]);
    assert.deepEqual(told, [false]);

    await page.settle({ gone: events, aside: [], sessions: new Map([["k1", { sessionId: "s1" }]]) });
    const left = await page.oldest(10);
    assert.deepEqual(ids(left), []);
    assert.equal(left.sessions[0].sessionId, "s1");
  });
}

test("an IndexedDB that never answers is given up", async () => {
  const page = open({ indexedDB: { open: () => ({}) }, setTimeout: (f) => void queueMicrotask(f) });
  await page.keep(SESSION, event("e1"));

  assert.deepEqual(told, [false]);
  assert.deepEqual(ids(await page.oldest(10)), ["e1"]);
});

test("once there is room again, what was in memory goes to the disk", async () => {
  let isFull = true;
  const open_ = disk.open.bind(disk);
  const indexedDB = {
    open(...which) {
      const request = open_(...which);
      request.addEventListener("success", () => {
        const { result } = request;
        const transaction = result.transaction.bind(result);
        result.transaction = (...asked) => {
          const opened = transaction(...asked);
          if (isFull && asked[1] === "readwrite") queueMicrotask(() => opened.abort());
          return opened;
        };
      });
      return request;
    },
  };
  const page = open({ indexedDB });
  await page.keep(SESSION, event("e1"));
  assert.deepEqual(told, [false]);
  isFull = false;
  await page.keep(SESSION, event("e2"));
  assert.deepEqual(told, [false, true]);

  assert.deepEqual(ids(await open().oldest(10)), ["e1", "e2"]);
});

test("an event counts as kept when its transaction is complete, not when its request is answered", async () => {
  const durabilities = [];
  const open_ = disk.open.bind(disk);
  let completed = false;
  const indexedDB = {
    open(...which) {
      const request = open_(...which);
      request.addEventListener("success", () => {
        const transaction = request.result.transaction.bind(request.result);
        request.result.transaction = (names, mode, options) => {
          durabilities.push(options.durability);
          const opened = transaction(names, mode, options);
          opened.addEventListener("complete", () => (completed = true));
          return opened;
        };
      });
      return request;
    },
  };
  await open({ indexedDB }).keep(SESSION, event("e1"));

  assert.ok(completed);
  assert.deepEqual([...new Set(durabilities)], ["strict"]);
});
