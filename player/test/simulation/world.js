// A world with its own time: everything that happens in it, happens in an order that a seed decides.

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Listeners with a signal are gone once it is given; Node's own may stay, as its garbage collector likes. */
export class Target extends EventTarget {
  addEventListener(type, listener, { signal, ...options } = {}) {
    super.addEventListener(type, listener, options);
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener));
  }
}

export class World {
  now = 0; // ms since the world began
  wall = Date.UTC(2026, 0, 5, 8); // what clocks show then
  #queue = [];
  #number = 0;

  constructor(seed) {
    this.random = chance(seed);
  }

  between(low, high) {
    return low + this.random() * (high - low);
  }

  likely(probability) {
    return this.random() < probability;
  }

  pick(choices) {
    return choices[Math.floor(this.random() * choices.length)];
  }

  /** Have something happen after a while, unless its tab is dead by then; a sleeping tab does it when it wakes. */
  after(ms, happen, tab) {
    const entry = { at: this.now + Math.max(0, ms), number: this.#number++, happen, tab };
    this.#push(entry);
    return entry;
  }

  cancel(entry) {
    if (entry) entry.happen = null;
  }

  async run(ms) {
    const end = this.now + ms;
    await new Promise(setImmediate); // what was asked for before now goes on first
    while (this.#queue.length && this.#queue[0].at <= end) {
      const entry = this.#pop();
      if (!entry.happen || entry.tab?.isDead) continue;
      if (entry.tab?.asleepUntil > entry.at) {
        this.#push(Object.assign(entry, { at: entry.tab.asleepUntil }));
        continue;
      }
      this.now = entry.at;
      entry.happen();
      if (this.failure) throw this.failure;
      await new Promise(setImmediate); // whatever waits for a promise goes on first
    }
    this.now = end;
  }

  #push(entry) {
    const queue = this.#queue;
    let place = queue.push(entry) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (before(queue[parent], entry)) break;
      queue[place] = queue[parent];
      place = parent;
    }
    queue[place] = entry;
  }

  #pop() {
    const queue = this.#queue;
    const top = queue[0];
    const last = queue.pop();
    if (queue.length) {
      let place = 0;
      for (;;) {
        let child = 2 * place + 1;
        if (child >= queue.length) break;
        if (child + 1 < queue.length && before(queue[child + 1], queue[child])) child++;
        if (before(last, queue[child])) break;
        queue[place] = queue[child];
        place = child;
      }
      queue[place] = last;
    }
    return top;
  }
}

function before(a, b) {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}
