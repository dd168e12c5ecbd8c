// Lives of a browser under a client that is right, and under clients that are wrong in one place: the first is never
// complained about, each of the others is.

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { live } from "./simulation/lives.js";

const LIVES = 50; // thousands: npm run simulate -- --runs 5000
const SOURCE = new URL("../src/", import.meta.url);

test(`in ${LIVES} lives the server comes to hold exactly what was watched`, async () => {
  for (let seed = 1; seed <= LIVES; seed++) {
    const { complaints } = await live(seed);
    assert.deepEqual(complaints, [], `again: npm run simulate -- --seed ${seed}`);
  }
});

test("a life is the same again with the same seed", async () => {
  const requests = async () => {
    const { browser } = await live(33);
    return browser.network.requests.map(({ at, method, path, bytes }) => `${at} ${method} ${path} ${bytes}`);
  };
  assert.deepEqual(await requests(), await requests());
});

/** What is wrong, where, and the line that makes it so; and from which life on to look, if the first ones have no occasion. */
const WRONGS = [
  ["what was jumped over counts as watched", "tracker.js", "!seeking && isNear", "currentTime > this.#place"],
  ["each speed is 1", "tracker.js", "this.#speed = playbackRate;", ""],
  ["a closed client counts on", "tracker.js", "this.#listening.abort();\n  }", "}"],
  ["an event is not kept", "ledger.js", "await this.#store.keep(session, event);", "await this.#store.keep(session);"],
  ["a lock is not held", "ledger.js", "(resolve(null), released)", "resolve(null)"],
  [
    "a retry has another id",
    "sender.js",
    "map(({ item }) => item)",
    "map(({ item }) => ({ ...item, clientEventId: `${Math.random()}` }))",
  ],
  ["any 200 is an answer", "sender.js", 'if ("accepted" in answer)', "if (true)", 75],
  ["after a 401 what was sent is dropped", "sender.js", "this.status === 413 ||", "this.status > 400 ||"],
  ["too large a request is not halved", "sender.js", "this.status === 413 ||", "", 64],
  ["tabs do not take turns", "sender.js", "this.#env.locks.request(this.#name, () => this.#drain())", "this.#drain()"],
  [
    "more is forgotten than was sent",
    "sender.js",
    "settled.gone.push(...events);",
    "settled.gone.push(...events, { n: events.at(-1)?.n + 1 });",
  ],
  ["nobody closes what a killed tab left", "sender.js", "!held.includes(key)", "false"],
  [
    "a start has another key each time",
    "sender.js",
    '"Idempotency-Key": session.key',
    '"Idempotency-Key": session.key + Math.random()',
  ],
];

test("clients that are wrong in one place are noticed", async (t) => {
  for (const [wrong, file, right, instead, first = 1] of WRONGS) {
    await t.test(wrong, async () => {
      const folder = await mkdtemp(join(tmpdir(), "watchledger-player-"));
      try {
        await cp(SOURCE, folder, { recursive: true });
        await writeFile(join(folder, "package.json"), '{"type": "module"}');
        const text = await readFile(join(folder, file), "utf8");
        const changed = text.replace(right, instead);
        assert.notEqual(changed, text, `${file} has no ${right}`);
        await writeFile(join(folder, file), changed);
        const { Ledger } = await import(pathToFileURL(join(folder, "ledger.js")).href);
        for (let seed = first; seed < first + LIVES; seed++) {
          const { complaints } = await live(seed, { Client: Ledger }).catch((error) => ({
            complaints: [error.message],
          }));
          if (complaints.length) return t.diagnostic(`life ${seed}: ${complaints[0]}`);
        }
        assert.fail("nobody noticed");
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});
