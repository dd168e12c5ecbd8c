import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { get, Problem } from "../../pages/shared/api.js";
import { reason } from "../../pages/shared/states.js";
import { expiry, SignedOut, token } from "../../pages/shared/session.js";

/** @typedef {{status: number, body?: unknown, headers?: Record<string, string>}} Answer */

/** What the platform answers at a path; each request is noted as "POST /path" with its bearer token, if any. */
/** @type {Record<string, (headers: import("node:http").IncomingHttpHeaders) => Answer>} */
const platform = {
  "/config.json": () => ({ status: 200, body: { tokenUrl: "/session/token" } }),
  "/session/token": () => ({ status: 200, body: { token: `token-${++issued}` } }),
};
let issued = 0;
/** @type {string[]} */
const asked = [];

const server = createServer((request, response) => {
  const path = request.url ?? "";
  asked.push([request.method, path, request.headers.authorization?.replace("Bearer ", "")].filter(Boolean).join(" "));
  const { status, body, headers = {} } = platform[path]?.(request.headers) ?? { status: 404, body: {} };
  response.writeHead(status, { "Content-Type": "application/json", Connection: "close", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(null)));
const address = server.address();
const port = typeof address === "object" ? address?.port : 0;
after(() => server.close());

// A browser takes an address without an origin for one of the page's origin; Node has none.
const fetchAnywhere = globalThis.fetch;
globalThis.fetch = (path, options) => fetchAnywhere(new URL(String(path), `http://127.0.0.1:${port}`), options);

/** @param {string} path @param {Answer[]} answers one after the other, the last for ever */
function answering(path, ...answers) {
  platform[path] = () => /** @type {Answer} */ (answers.length > 1 ? answers.shift() : answers[0]);
  asked.length = 0;
}

test("a token that the service refuses is asked for again, once, and nobody notices", async () => {
  answering("/video/a", { status: 401, body: {} }, { status: 200, body: { seen: true } });

  assert.deepEqual(await get("/video/a"), { seen: true });

  const [before, again] = [issued - 1, issued];
  assert.deepEqual(
    asked.filter((line) => line.includes("/video") || line.includes("token ")),
    [`GET /video/a token-${before}`, `GET /video/a token-${again}`],
  );
});

test("a token is kept for the next request", async () => {
  answering("/video/b", { status: 200, body: {} });

  await Promise.all([get("/video/b"), token(), token()]);

  assert.deepEqual(asked, [`GET /video/b token-${issued}`]);
});

test("what has not changed is the same object, whether the service says so or sends it again", async () => {
  const etag = { ETag: '"1"' };
  answering(
    "/video/c",
    { status: 200, body: { a: 1 }, headers: etag },
    { status: 304 },
    { status: 200, body: { a: 1 } },
    { status: 200, body: { a: 2 } },
  );

  const first = await get("/video/c");

  assert.equal(await get("/video/c"), first);
  assert.equal(await get("/video/c"), first);
  assert.notEqual(await get("/video/c"), first);
});

test("an error is told in words, with what support asks for", async () => {
  answering("/video/d", { status: 503, body: { title: "The record cannot be reached", traceId: "4bf9" } });

  const problem = await get("/video/d").catch((error) => error);

  assert.ok(problem instanceof Problem);
  assert.equal(problem.status, 503);
  assert.equal(problem.traceId, "4bf9");
  assert.equal(reason(problem, ["missing"])[0], "The record cannot be read at the moment");
});

test("an error that is no problem document is an error all the same", async () => {
  answering("/video/e", { status: 502 });

  const problem = await get("/video/e").catch((error) => error);

  assert.equal(problem.status, 502);
  assert.equal(reason(problem, ["missing"])[0], "Something went wrong on our side");
});

test("each state has words of its own", () => {
  const titles = [0, 401, 403, 404, 422, 500, 503].map(
    (status) => reason(new Problem(status), ["Nothing is recorded here"])[0],
  );

  assert.equal(new Set(titles).size, titles.length);
  assert.equal(reason(new Problem(404), ["Nothing is recorded here"])[0], "Nothing is recorded here");
  assert.equal(reason(new SignedOut(), ["missing"])[0], "You are not signed in");
});

test("nobody signed in at the platform is told apart from a failure", async () => {
  const before = platform["/session/token"];
  platform["/session/token"] = () => ({ status: 401, body: {} });

  await assert.rejects(token({ user: "", role: "manager" }, { fresh: true }), SignedOut);

  platform["/session/token"] = before;
});

test("a token's end is read from it, and guessed where it does not tell", () => {
  const jwt = (/** @type {object} */ claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

  assert.equal(expiry(jwt({ exp: 1_800_000_000, sub: "žofie?>" })), 1_800_000_000_000);
  for (const opaque of ["opaque", jwt({}), "a.b.c"]) {
    assert.ok(Math.abs(expiry(opaque) - Date.now() - 300_000) < 5_000, opaque);
  }
});
