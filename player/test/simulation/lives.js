// Lives of a browser, decided by a seed: tabs opened, played in, slept through, killed; networks and servers that fail.
// In the end everything works again, and the server must hold exactly what was watched.

import { Browser } from "./browser.js";
import { joined } from "./video.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const UNSEEN_S = 12.5; // a killed tab loses what played since the last cut
const EXACT_S = 0.002; // places are rounded to milliseconds, and a stretch has two
const UNSURE_S = 0.5; // where an element was emptied: nobody can tell any more how far it had come
const TIME_S = 0.02; // a speed changes when the page is told, a little after it did
const MOST_IN_A_MINUTE = 40; // requests of a tab, however much it has to catch up with

/** Something a person does with a page. */
function act(browser, tab) {
  const { world } = browser;
  const { video, ledger } = tab;
  const choices = {
    play: () => video.play(),
    play2: () => video.play(),
    play3: () => video.play(),
    pause: () => video.pause(),
    pauseAndSeek: () => (video.pause(), (video.currentTime = world.between(0, 600))),
    skip: () => (video.currentTime += world.between(1, 200)),
    back: () => (video.currentTime -= world.between(1, 100)),
    twitch: () => (video.currentTime += world.between(-1, 1)),
    scrub: () => {
      let at = 0;
      for (let i = world.between(2, 20); i > 0; i--) {
        world.after((at += world.between(10, 150)), () => (video.currentTime = world.between(0, 600)), tab);
      }
    },
    speed: () => (video.playbackRate = world.pick([0.5, 1, 1, 1.5, 2, 16])),
    stall: () => video.stall(world.between(50, 20_000)),
    hide: () => tab.show("hidden"),
    show: () => tab.show("visible"),
    sleep: () => {
      const ms = world.between(1_000, 2 * HOUR);
      const wakes = browser.living.flatMap((living) => living.videos.map((v) => v.freeze()));
      for (const living of browser.living) living.asleepUntil = Math.max(living.asleepUntil, world.now + ms);
      browser.asleepUntil = world.now + ms;
      world.after(ms, () => wakes.forEach((wake) => wake()));
    },
    clock: () => (world.wall += world.between(-3 * HOUR, 3 * HOUR)),
    kill: () => tab.die(),
    leave: () => {
      tab.leave();
      if (world.likely(0.5)) return tab.die();
      const ms = world.between(100, HOUR);
      tab.asleepUntil = world.now + ms;
      const flies = browser.locks.holds(tab, `watchledger /api ${tab.user}`);
      if (flies) return tab.die(); // such a page is not kept
      tab.isPutAway = true;
      const comeBack = () => {
        tab.isPutAway = false;
        for (const wake of tab.wakes) wake();
        tab.document.visibilityState = "visible";
        tab.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
        tab.document.dispatchEvent(new Event("visibilitychange"));
      };
      world.after(ms, comeBack, tab);
    },
    close: () => {
      void ledger.close();
      video.uncount();
    },
    again: () => (ledger.state.status === "closed" ? tab.open() : 0),
    second: () => tab.videos.length < 3 && tab.open(),
    replace: () => tab.replace(),
    reload: () => (video.load("lesson.mp4"), video.play()),
    clear: () => world.likely(0.2) && browser.clear(),
    complete: () => void ledger.complete().catch(() => {}),
    open: () => browser.living.length < 4 && browser.open(world.pick(["ana", "ben"])),
    offline: () => browser.online(false),
    online: () => browser.online(),
    mood: () => (browser.network.mood = world.pick(["good", "bad", "bad", "busy", "broken", "portal", "small"])),
    good: () => (browser.network.mood = "good"),
    expire: () => browser.server.tokens.clear(),
    full: () => (browser.disk.isFull = true),
    free: () => (browser.disk.isFull = false),
    poison: () => (browser.server.poisoned = () => world.likely(0.01)),
    gone: () => {
      const session = world.pick([...browser.server.sessions.values()]);
      if (session && world.likely(0.1)) session.isGone = true;
    },
  };
  const does = world.pick(Object.keys(choices));
  choices[does]();
  return does;
}

/** A life, and what is wrong with what is left of it. */
export async function live(seed, { trace = false, Client } = {}) {
  const browser = new Browser(seed, Client);
  const { world, disk, network, server } = browser;
  const early = [];
  server.closed = ({ id }) => {
    const watching = browser.living.filter((tab) => !tab.isPutAway).flatMap(({ ledgers }) => ledgers);
    if (watching.some(({ state }) => state.sessionId === id && state.status === "open")) early.push(id);
  };
  browser.open("ana");
  const acts = Math.floor(world.between(5, 60));
  for (let i = 0; i < acts; i++) {
    if (browser.asleepUntil > world.now) await world.run(browser.asleepUntil - world.now + 1);
    const tab = world.pick(browser.living.filter(({ asleepUntil }) => asleepUntil <= world.now)) ?? browser.open("ana");
    const did = act(browser, tab);
    if (trace)
      console.log(
        `${(world.now / 1000).toFixed(3)} s  tab ${tab.number} at ${tab.video.currentTime.toFixed(3)}: ${did}`,
      );
    await world.run(world.likely(0.3) ? world.between(0, 1_000) : world.between(1_000, world.pick([20_000, 60_000])));
  }
  // All is well again; everybody stops, and a last page of each user brings what is left.
  Object.assign(network, { mood: world.pick(["good", "good", "small"]), isOffline: false });
  Object.assign(disk, { isFull: false });
  server.poisoned = () => false;
  await world.run(2 * HOUR + MINUTE);
  browser.online();
  for (const tab of browser.living) {
    for (const video of tab.videos) video.pause();
    await world.run(1_000);
    for (const ledger of tab.ledgers) void ledger.close();
  }
  await world.run(10 * MINUTE);
  const last = ["ana", "ben"].map((user) => browser.open(user));
  await world.run(10 * MINUTE);
  for (const tab of last) void tab.ledger.close();
  await world.run(10 * MINUTE);
  return {
    complaints: [...early.map((id) => `${id} was closed while its page was open`), ...complaints(browser)],
    browser,
  };
}

function* complaints(browser) {
  const { disk, network, server, tabs } = browser;
  const aside = new Set(
    tabs.flatMap(({ told }) => told.flatMap(({ events = [] }) => events)).map(({ item }) => item.clientEventId),
  );
  for (const id of aside) {
    if (!server.refused.has(id)) yield `${id} was set aside, and the server never refused it`;
  }
  const stored = new Map();
  for (const session of server.sessions.values()) {
    for (const [id, { kind, item }] of session.events) {
      if (stored.has(id)) yield `${id} is in two sessions`;
      stored.set(id, { session, kind, item });
    }
  }
  for (const id of disk.written.keys()) {
    if (!stored.has(id) && !aside.has(id)) yield `${id} was in the store and never came to the server`;
  }
  for (const { tables } of disk.databases.values()) {
    const left = [...tables.get("events").rows.values()];
    if (left.length) yield `${left.length} events are left in the store`;
    const sessions = [...tables.get("sessions").rows.values()];
    if (sessions.length) yield `${sessions.length} sessions are left in the store: ${JSON.stringify(sessions)}`;
  }
  for (const { id, key } of server.sessions.values()) {
    if (!tabs.some(({ ids }) => ids.has(key))) yield `${id} has a key that nobody gave it`;
  }
  for (const request of network.requests) {
    if (request.isSecond) yield `at ${request.at} a second request was in flight`;
    if (request.bytes > 61_000) yield `a request of ${request.bytes} bytes`;
  }
  for (const tab of tabs) {
    const times = network.requests.filter((request) => request.tab === tab).map(({ at }) => at);
    const hasty = times.find((at, i) => times[i + MOST_IN_A_MINUTE] < at + MINUTE);
    if (hasty !== undefined)
      yield `tab ${tab.number} asked more than ${MOST_IN_A_MINUTE} times in a minute from ${hasty}`;
  }
  for (const session of server.sessions.values()) {
    const isForgotten = tabs.some(({ ids, lostMemory }) => lostMemory && ids.has(session.key));
    if (session.events.size && !(session.isClosed || session.isGone || isForgotten || browser.wasCleared))
      yield `${session.id} was never closed`;
  }
  const refused = aside.size > 0;
  for (const tab of tabs) yield* differences(tab, stored, refused);
}

/** What a tab really played, against what the server has of it. */
function* differences(tab, stored, refused) {
  const truth = tab.videos.flatMap((video) => video.truth);
  const told = [...stored.values()]
    .filter(({ kind, item }) => kind === "segments" && tab.ids.has(item.clientEventId))
    .map(({ item }) => ({ start: item.startSecond, end: item.endSecond, speed: item.speed }));
  const seen = union(truth);
  const counted = union(told);
  const cuts = truth.length + told.length + 1;
  const invented = length(counted) - length(intersection(counted, seen));
  if (invented > EXACT_S * cuts) yield `tab ${tab.number}: ${invented.toFixed(3)} s were counted and never played`;
  if (refused || tab.lostMemory || tab.browser.wasCleared) return;
  const missing = length(seen) - length(intersection(counted, seen));
  const most = Math.max(0, ...truth.map(({ speed }) => speed));
  const unseen = (tab.isDead ? UNSEEN_S : 0) * tab.videos.length;
  const unsure = UNSURE_S * tab.videos.reduce((sum, { loads }) => sum + loads, 0);
  if (missing > EXACT_S * cuts + (unseen + unsure) * most) {
    yield `tab ${tab.number}: ${missing.toFixed(3)} s were played and not counted`;
  }
  const spent = (stretches) => stretches.reduce((sum, { start, end, speed }) => sum + (end - start) / speed, 0);
  const difference = spent(told) - spent(truth);
  const woken = UNSURE_S * tab.videos.reduce((sum, { freezes }) => sum + freezes, 0); // left before it was looked at
  if (difference > TIME_S * cuts + woken) yield `tab ${tab.number}: ${difference.toFixed(3)} s too much time`;
  if (-difference > TIME_S * cuts + unseen + unsure) yield `tab ${tab.number}: ${(-difference).toFixed(3)} s time lost`;
}

const union = (stretches) => stretches.reduce((ranges, { start, end }) => joined(ranges, [start, end]), []);
const length = (ranges) => ranges.reduce((sum, [start, end]) => sum + end - start, 0);
const intersection = (some, others) =>
  some
    .flatMap(([a, b]) => others.map(([c, d]) => [Math.max(a, c), Math.min(b, d)]))
    .filter(([start, end]) => start < end);
