// A browser: its tabs, each with a page that shows a lesson, and what the client sees of it.

import { Ledger } from "../../src/ledger.js";
import { Disk } from "./disk.js";
import { Network } from "./network.js";
import { Server } from "./server.js";
import { Video } from "./video.js";
import { Target, World } from "./world.js";

export class Browser {
  tabs = [];
  ids = 0;
  asleepUntil = 0;
  tokens = new Map(); // user → the app's token
  #issued = 0;

  /** @param {number} seed  @param {typeof Ledger} [Client]  another client than ours */
  constructor(seed, Client = Ledger) {
    this.Client = Client;
    this.world = new World(seed);
    this.server = new Server(this.world);
    this.network = new Network(this.world, this.server);
    this.disk = new Disk(this.world);
    this.locks = new Locks(this.world);
  }

  /** The app's way to a token: the one it has, until it is told that the server refused it. */
  async token(user, refused) {
    if (!this.tokens.has(user) || this.tokens.get(user) === refused) {
      const token = `token-${++this.#issued}`;
      this.tokens.set(user, token);
      this.server.tokens.set(token, user);
    }
    return this.tokens.get(user);
  }

  /** A tab with a lesson in it. */
  open(user, options) {
    return new Tab(this, user).open(options);
  }

  get living() {
    return this.tabs.filter((tab) => !tab.isDead);
  }

  /** The person has it forget everything. */
  clear() {
    this.wasCleared = true;
    this.disk.clear();
    for (const { connections } of this.living) {
      for (const connection of connections.splice(0)) {
        connection.close();
        connection.onclose?.();
      }
    }
  }

  online(isOnline = true) {
    this.network.isOffline = !isOnline;
    if (isOnline) for (const tab of this.living) tab.window.dispatchEvent(new Event("online"));
  }
}

export class Tab {
  isDead = false;
  asleepUntil = 0;
  connections = [];
  ledgers = [];
  videos = [];
  ids = new Set(); // that it gave out
  told = []; // by the ledgers' events
  document = Object.assign(new Target(), { visibilityState: "visible" });
  window = new Target();

  constructor(browser, user) {
    Object.assign(this, { browser, world: browser.world, user });
    this.number = browser.tabs.push(this);
  }

  /** A player, beside those that are there. */
  open(options = {}) {
    const { browser, user } = this;
    const video = new Video(this.world, this, 600);
    this.videos.push(video);
    const ledger = new browser.Client(
      /** @type {any} */ (video),
      {
        api: "/api",
        userId: user,
        lessonId: "lesson",
        token: (refused) => browser.token(user, refused),
        ...options,
      },
      /** @type {any} */ ({ ...this.environment(), ...options.environment }),
    );
    for (const type of ["started", "recorded", "aside", "blocked", "delayed", "lost", "storage", "switched"]) {
      ledger.addEventListener(type, ({ detail }) => this.told.push({ type, ...detail }));
    }
    this.ledgers.push(ledger);
    return this;
  }

  /** Another element shows the same lesson from where the one before was. */
  replace() {
    const { video, ledger } = this;
    if (ledger.state.status === "closed") return;
    video.pause();
    const next = new Video(this.world, this, 600);
    this.videos.push(next);
    ledger.attach(/** @type {any} */ (next));
    next.currentTime = video.currentTime;
    next.play();
    video.uncount();
  }

  get ledger() {
    return this.ledgers.at(-1);
  }

  get video() {
    return this.videos.at(-1);
  }

  environment() {
    const { world, browser } = this;
    return {
      now: () => world.now,
      date: () => world.wall + world.now,
      setTimeout: (f, ms) => world.after(this.isThrottled ? Math.max(ms, 60_000 - (world.now % 60_000)) : ms, f, this),
      clearTimeout: (entry) => world.cancel(entry),
      random: () => world.random(),
      uuid: () => {
        const id = `id-${++browser.ids}`;
        this.ids.add(id);
        return id;
      },
      fetch: (url, init) => {
        if (this.isDead) throw new Error("a dead tab asks");
        return browser.network.fetch(this, url, init);
      },
      keepalive: true,
      beacon: undefined,
      indexedDB: browser.disk.for(this),
      locks: browser.locks.for(this),
      document: this.document,
      window: this.window,
    };
  }

  /** A hidden page that makes no sound has its timers throttled. */
  get isThrottled() {
    return this.document.visibilityState === "hidden" && this.video?.paused;
  }

  show(visibility) {
    if (this.document.visibilityState === visibility) return;
    this.document.visibilityState = visibility;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  /** The page goes away as pages do: with notice. */
  leave() {
    this.show("hidden");
    this.wakes = this.videos.map((video) => video.freeze());
    this.window.dispatchEvent(new Event("pagehide"));
  }

  /** Whatever it was at, it is no more. */
  die() {
    for (const video of this.videos) video.freeze();
    this.lostMemory = this.ledgers.some((ledger) => !ledger.state.durable);
    this.isDead = true;
    for (const connection of this.connections) connection.close();
    this.browser.disk.abandon(this);
    this.browser.locks.abandon(this);
  }
}

/** As navigator.locks. */
export class Locks {
  #held = new Map(); // name → [{tab, held, resolve}], the first has it

  constructor(world) {
    this.world = world;
  }

  for(tab) {
    return {
      request: (name, held) =>
        new Promise((resolve, reject) => {
          if (tab.isDead) return;
          const waiting = this.#held.get(name) ?? [];
          this.#held.set(name, waiting);
          waiting.push({ tab, held, resolve, reject });
          if (waiting.length === 1) this.#grant(name);
        }),
      query: async () => ({ held: [...this.#held].flatMap(([name, { length }]) => (length ? [{ name }] : [])) }),
    };
  }

  holds(tab, name) {
    return this.#held.get(name)?.[0]?.tab === tab;
  }

  abandon(tab) {
    for (const [name, waiting] of this.#held) {
      const had = waiting[0]?.tab === tab;
      const left = waiting.filter((request) => request.tab !== tab);
      waiting.splice(0, waiting.length, ...left);
      if (had) this.#grant(name);
    }
  }

  #grant(name) {
    const waiting = this.#held.get(name);
    const [first] = waiting;
    if (!first) return void this.#held.delete(name);
    if (first.tab.isPutAway) return first.tab.die(); // as browsers do with a page that stands in the way
    this.world.after(
      0,
      async () => {
        try {
          first.resolve(await first.held());
        } catch (error) {
          first.reject(error);
        } finally {
          if (waiting[0] === first) {
            waiting.shift();
            this.#grant(name);
          }
        }
      },
      first.tab,
    );
  }
}
