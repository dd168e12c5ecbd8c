// The client as a page uses it, in a browser and against a server that the simulation makes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../src/sender.js";
import { Browser } from "./simulation/browser.js";

/** A browser with one lesson open, and means to let time pass. */
function opened(options) {
  const browser = new Browser(11);
  const tab = browser.open("ana", options);
  const run = (second) => browser.world.run(second * 1000);
  const requests = () => browser.network.requests.map(({ method, path }) => `${method} ${path}`);
  return { browser, tab, run, requests, server: browser.server, network: browser.network, disk: browser.disk };
}

const told = (tab, type) => tab.told.filter((event) => event.type === type);
const events = (server) => [...server.sessions.values()].flatMap((session) => [...session.events.values()]);
const segments = (server) =>
  events(server)
    .filter(({ kind }) => kind === "segments")
    .map(({ item }) => item);
const seeks = (server) =>
  events(server)
    .filter(({ kind }) => kind === "seeks")
    .map(({ item }) => item);

/** The most requests in any minute. */
function mostInAMinute(requests, from = 0) {
  const times = requests.map(({ at }) => at).filter((at) => at >= from);
  return Math.max(0, ...times.map((at) => times.filter((other) => other >= at && other < at + 60_000).length));
}

test("a lesson that is opened is started, and its state known", async () => {
  const { tab, run, server } = opened();
  await run(5);

  const { status, sessionId, attemptId, seekPolicy, pending, durable } = tab.ledger.state;
  assert.deepEqual(
    { status, attemptId, seekPolicy, pending, durable },
    {
      status: "open",
      attemptId: "a",
      seekPolicy: "flag",
      pending: 0,
      durable: true,
    },
  );
  assert.ok(server.sessions.has(sessionId));
  assert.equal(told(tab, "started").length, 1);
});

test("what was watched is at the server soon after a pause, and not pending any more", async () => {
  const { tab, run, server } = opened();
  await run(5);
  tab.video.play();
  await run(10);
  tab.video.pause();
  await run(3);

  const [{ startSecond, endSecond, speed, occurredAt }] = segments(server);
  assert.equal(startSecond, 0);
  assert.ok(Math.abs(endSecond - 10) < 0.05);
  assert.equal(speed, 1);
  assert.ok(Date.parse(occurredAt) > 0);
  assert.equal(tab.ledger.state.pending, 0);
  assert.equal(told(tab, "recorded").length, 1);
});

test("an event is on the disk before it is first sent", async () => {
  const { tab, run, disk, server } = opened();
  const progress = server.progress.bind(server);
  server.progress = (session, body) => {
    for (const { clientEventId } of body.segments) assert.ok(disk.written.has(clientEventId));
    return progress(session, body);
  };
  tab.video.play();
  await run(40);
  assert.ok(segments(server).length >= 3);
});

test("playing takes at most six requests a minute, whatever the person does", async () => {
  const { browser, tab, run, network } = opened();
  tab.video.play();
  for (let i = 0; i < 200; i++) {
    browser.world.pick([
      () => tab.video.pause(),
      () => tab.video.play(),
      () => tab.video.play(),
      () => (tab.video.currentTime = browser.world.between(0, 500)),
      () => (tab.video.playbackRate = browser.world.pick([1, 1.5, 2])),
    ])();
    await run(browser.world.between(0, 8));
  }
  assert.ok(network.requests.length > 50);
  assert.ok(mostInAMinute(network.requests) <= 6);
});

test("a page that is paused takes at most two requests a minute, and is kept alive by them", async () => {
  const { tab, run, network, server } = opened();
  tab.video.play();
  await run(20);
  tab.video.pause();
  await run(60);
  const { now } = { now: 80_000 };
  await run(600);
  assert.ok(mostInAMinute(network.requests, now) <= 2);
  assert.ok(server.heartbeats.length >= 18);
});

test("while progress goes out there are no heartbeats", async () => {
  const { tab, run, server } = opened();
  tab.video.play();
  await run(300);
  assert.deepEqual(server.heartbeats, []);
});

test("a page that is hidden and paused falls silent", async () => {
  const { tab, run, network } = opened();
  await run(5);
  tab.show("hidden");
  await run(5);
  const before = network.requests.length;
  await run(3600);
  assert.equal(network.requests.length, before);
});

test("a page that is hidden and plays goes on", async () => {
  const { tab, run, server } = opened();
  tab.video.play();
  tab.show("hidden");
  await run(120);
  assert.ok(segments(server).at(-1).endSecond > 100);
});

test("hours offline come in few requests, the oldest first, with the session that was never started", async () => {
  const { browser, tab, run, server, network } = opened();
  browser.online(false);
  for (let i = 0; i < 12; i++) {
    tab.video.currentTime = 0;
    tab.video.play();
    await run(610);
  }
  await run(3600);
  const before = network.requests.length;
  assert.equal(events(server).length, 0);
  browser.online();
  await run(30);

  const sent = network.requests.slice(before);
  assert.ok(sent.length <= 5, `${sent.length} requests`);
  for (const { bytes } of sent) assert.ok(bytes <= 60_000);
  const times = segments(server).map(({ occurredAt }) => occurredAt);
  assert.ok(times.length > 500);
  assert.deepEqual(times, [...times].sort());
});

test("what a killed tab left is brought by the next one, and its session closed", async () => {
  const { browser, tab, run, server } = opened();
  browser.online(false);
  tab.video.play();
  await run(60);
  tab.die();
  browser.online();
  browser.open("ana");
  await run(10);

  const watched = segments(server);
  assert.ok(watched.at(-1).endSecond > 45);
  const [left, next] = [...server.sessions.values()].sort((a, b) => a.events.size - b.events.size).reverse();
  assert.ok(left.isClosed);
  assert.ok(!next.isClosed);
});

test("another person's record is not touched", async () => {
  const { browser, tab, run, server } = opened();
  browser.online(false);
  tab.video.play();
  await run(60);
  tab.die();
  browser.online();
  browser.open("ben");
  await run(60);
  assert.deepEqual(events(server), []);
});

test("a session that lives in another tab is not closed, only brought", async () => {
  const { browser, tab, run, server } = opened();
  const other = browser.open("ana");
  tab.video.play();
  other.video.play();
  await run(120);
  assert.equal(server.sessions.size, 2);
  for (const session of server.sessions.values()) {
    assert.ok(!session.isClosed);
    assert.ok(session.events.size >= 9);
  }
});

test("a refused token is asked for anew, saying which was refused, and nothing is lost", async () => {
  const refusals = [];
  const { browser, tab, run, server } = opened({
    token: (refused) => (refused && refusals.push(refused), browser_().token("ana", refused)),
  });
  function browser_() {
    return browser;
  }
  tab.video.play();
  await run(20);
  const old = browser.tokens.get("ana");
  server.tokens.clear();
  await run(20);
  tab.video.pause();
  await run(5);

  assert.deepEqual(refusals, [old]);
  assert.equal(tab.ledger.state.pending, 0);
  assert.deepEqual(told(tab, "delayed"), []);
});

test("while no token can be had, everything waits, and that is told", async () => {
  let isOut = false;
  const { browser, tab, run, server } = opened({
    token: (refused) => {
      if (isOut) throw new Error("logged out");
      return browser.token("ana", refused);
    },
  });
  tab.video.play();
  await run(20);
  isOut = true;
  await run(120);
  assert.ok(told(tab, "delayed").some(({ cause }) => cause.message === "logged out"));
  isOut = false;
  tab.video.pause();
  await run(90);
  assert.equal(tab.ledger.state.pending, 0);
  assert.ok(segments(server).at(-1).endSecond > 139);
});

test("a Retry-After is waited for, even when the page comes back or hurries", async () => {
  const { browser, tab, run, network } = opened();
  await run(5);
  network.mood = "busy";
  tab.video.play();
  await run(14);
  const { heldUntil } = network;
  const before = network.requests.length;
  assert.ok(heldUntil > browser.world.now);
  tab.show("hidden");
  tab.show("visible");
  browser.online();
  const completing = tab.ledger.complete().catch(({ status }) => status);
  await run(0.5);
  assert.equal(await completing, 0);
  await run((heldUntil - browser.world.now) / 1000 - 1.1);
  assert.equal(network.requests.length, before);
});

test("while the server fails it is asked ever less often, and never not at all", async () => {
  const { tab, run, network } = opened();
  network.mood = "broken";
  tab.video.play();
  await run(600);
  const first = network.requests.filter(({ at }) => at < 60_000).length;
  const last = network.requests.filter(({ at }) => at > 540_000).length;
  assert.ok(first <= 6 && last >= 1 && last <= 2, `${first} ${last}`);
});

test("a page that is no answer of the service, though it says 200, confirms nothing", async () => {
  const { tab, run, network, server } = opened();
  await run(5);
  network.mood = "portal";
  tab.video.play();
  await run(60);
  assert.ok(tab.ledger.state.pending > 3);
  network.mood = "good";
  await run(90);
  tab.video.pause();
  await run(5);
  assert.equal(tab.ledger.state.pending, 0);
  assert.ok(segments(server).length > 10);
});

test("too large a request is halved until it passes", async () => {
  const { browser, tab, run, network, server } = opened();
  browser.online(false);
  tab.video.play();
  await run(590);
  network.mood = "small"; // 3,000 bytes
  browser.online();
  await run(60);
  tab.video.pause();
  await run(60);
  assert.equal(tab.ledger.state.pending, 0);
  assert.ok(segments(server).length > 45);
});

test("an event that the server refuses is put away and told, and those beside it are stored", async () => {
  const { browser, tab, run, server } = opened();
  browser.online(false);
  tab.video.play();
  await run(60);
  let poisoned;
  server.poisoned = ({ clientEventId, startSecond }) => {
    if (startSecond > 20 && startSecond < 30) poisoned = clientEventId;
    return clientEventId === poisoned;
  };
  browser.online();
  await run(30);

  assert.equal(tab.ledger.state.pending, 0);
  assert.equal(segments(server).length, 6);
  const [{ problem, events: refused }] = told(tab, "aside");
  assert.deepEqual(
    refused.map(({ item }) => item.clientEventId),
    [poisoned],
  );
  assert.deepEqual(
    problem.content.rejected.map(({ detail }) => detail),
    ["bad"],
  );
});

test("a session that the server does not know any more gives way to another", async () => {
  const { tab, run, server } = opened();
  tab.video.play();
  await run(30);
  const first = tab.ledger.state.sessionId;
  server.sessions.get(first).isGone = true;
  await run(60);

  assert.notEqual(tab.ledger.state.sessionId, first);
  assert.equal(told(tab, "lost").length, 1);
  assert.ok(server.sessions.get(tab.ledger.state.sessionId).events.size >= 2);
});

test("a lesson that cannot be started is told, and not asked for again", async () => {
  const { tab, run, network } = opened({ lessonId: "" });
  tab.video.play();
  await run(120);
  assert.equal(tab.ledger.state.status, "refused");
  assert.equal(told(tab, "lost")[0].problem.status, 422);
  assert.ok(network.requests.length <= 2);
});

test("closing sends what is left, closes the session and counts nothing more", async () => {
  const { tab, run, server } = opened();
  tab.video.play();
  await run(7);
  const closing = tab.ledger.close();
  await run(5);
  assert.equal(await closing, true);
  await run(60);

  const [session] = server.sessions.values();
  assert.ok(session.isClosed);
  assert.equal(tab.ledger.state.status, "closed");
  assert.ok(Math.abs(segments(server).at(-1).endSecond - 7) < 0.05);
  assert.deepEqual(server.heartbeats, []);
});

test("closing while offline says so, and is done later", async () => {
  const { browser, tab, run, server } = opened();
  tab.video.play();
  await run(7);
  browser.online(false);
  const closing = tab.ledger.close();
  await run(15);
  assert.equal(await closing, false);
  browser.online();
  await run(60);
  assert.ok([...server.sessions.values()][0].isClosed);
});

test("completing brings everything first, and gives the server's answer", async () => {
  const { tab, run, server } = opened();
  const handle = server.handle.bind(server);
  let atCompletion;
  server.handle = (method, path, ...rest) => {
    if (!path.endsWith("/complete")) return handle(method, path, ...rest);
    atCompletion = segments(server).at(-1).endSecond;
    return [200, { attemptId: "a", status: "completed" }];
  };
  tab.video.play();
  await run(7);
  const completing = tab.ledger.complete();
  await run(3);
  assert.deepEqual(await completing, { attemptId: "a", status: "completed" });
  assert.ok(Math.abs(atCompletion - 7) < 0.05);
});

test("completing with too little watched is refused with what is missing", async () => {
  const { tab, run, server } = opened();
  const handle = server.handle.bind(server);
  const missing = { type: "urn:watchledger:problem:attempt-below-threshold", missingRanges: [[7, 600]] };
  server.handle = (method, path, ...rest) =>
    path.endsWith("/complete") ? [409, missing] : handle(method, path, ...rest);
  await run(2);
  const completing = tab.ledger.complete().catch((problem) => problem);
  await run(3);
  const problem = await completing;
  assert.ok(problem instanceof Problem);
  assert.equal(problem.status, 409);
  assert.deepEqual(problem.content.missingRanges, [[7, 600]]);
});

test("completing while offline fails at once", async () => {
  const { browser, tab, run } = opened();
  await run(2);
  browser.online(false);
  tab.video.play();
  await run(5);
  const completing = tab.ledger.complete().catch((problem) => problem);
  await run(15);
  assert.equal((await completing).status, 0);
});

test("where the lesson blocks, a seek goes back to what is verified, what this page saw included", async () => {
  const { tab, run, server } = opened();
  server.policy = "block";
  await run(2);
  tab.video.play();
  await run(10);
  tab.video.currentTime = 300;
  await run(2);

  const [{ fromSecond, toSecond, maxVerifiedSecond }] = told(tab, "blocked");
  assert.ok(Math.abs(fromSecond - 10) < 0.05);
  assert.equal(toSecond, 300);
  assert.equal(maxVerifiedSecond, fromSecond);
  assert.ok(tab.video.currentTime < 13);
  tab.video.currentTime = 3;
  await run(2);
  tab.video.pause();
  await run(20);
  assert.equal(told(tab, "blocked").length, 1);
  assert.equal(seeks(server).length, 1); // only the one back: nothing was skipped
});

test("a page that goes away closes its session with what it played last", async () => {
  const { tab, run, server, network } = opened();
  tab.video.play();
  await run(7);
  tab.leave();
  tab.die();
  await run(5);

  const [session] = server.sessions.values();
  assert.ok(session.isClosed);
  assert.ok(Math.abs(segments(server).at(-1).endSecond - 7) < 0.05);
  const { keepalive, path } = network.requests.at(-1);
  assert.ok(keepalive);
  assert.match(path, /\/close$/);
});

test("where a fetch does not outlive its page, an app's beacon does", async () => {
  const sent = [];
  const { tab, run } = opened({
    beacon: (sessionId) => `/beacon/${sessionId}`,
    environment: { keepalive: false, beacon: (url, body) => sent.push([url, body]) },
  });
  tab.video.play();
  await run(7);
  tab.leave();
  tab.die();

  const [[url, body]] = sent;
  assert.match(url, /^\/beacon\/session-0$/);
  assert.equal(body.type, "application/json");
  const [{ endSecond }] = JSON.parse(await body.text()).segments;
  assert.ok(Math.abs(endSecond - 7) < 0.05);
});

test("a page that the browser kept and shows again is another opening", async () => {
  const { browser, tab, run, server } = opened();
  tab.video.play();
  await run(7);
  tab.leave();
  tab.asleepUntil = browser.world.now + 60_000;
  await run(60);
  for (const wake of tab.wakes) wake();
  tab.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  tab.show("visible");
  await run(10);
  tab.video.pause();
  await run(5);

  const [first, second] = server.sessions.values();
  assert.ok(first.isClosed);
  assert.ok(!second.isClosed);
  const [{ item }] = second.events.values();
  assert.ok(Math.abs(item.startSecond - 7) < 0.1 && Math.abs(item.endSecond - 17) < 0.1);
});

test("an element that takes another's place goes on in the same session, without a seek", async () => {
  const { tab, run, server } = opened();
  tab.video.play();
  await run(20);
  tab.replace();
  await run(20);
  tab.video.pause();
  await run(10);

  assert.equal(server.sessions.size, 1);
  assert.deepEqual(seeks(server), []);
  assert.ok(Math.abs(segments(server).at(-1).endSecond - 40) < 0.5);
});

test("a clock that is set back does not turn the order of events", async () => {
  const { browser, tab, run, server } = opened();
  tab.video.play();
  await run(30);
  browser.world.wall -= 3_600_000;
  await run(30);
  const times = segments(server).map(({ occurredAt }) => occurredAt);
  assert.deepEqual(times, [...new Set(times)].sort());
});

test("with a full disk nothing is lost while the page lives, and the app knows", async () => {
  const { browser, tab, run, server, disk } = opened();
  browser.online(false);
  disk.isFull = true;
  tab.video.play();
  await run(60);
  assert.equal(tab.ledger.state.durable, false);
  assert.equal(told(tab, "storage")[0].durable, false);
  browser.online();
  tab.video.pause();
  await run(60);
  assert.equal(tab.ledger.state.pending, 0);
  assert.ok(segments(server).at(-1).endSecond > 59.9);
});
