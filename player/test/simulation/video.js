// A media element as browsers have it: places move with the clock, events come late, `played` is exact.

import { Target } from "./world.js";

const TIMEUPDATE_MS = 266;

export class Video extends Target {
  paused = true;
  ended = false;
  seeking = false;
  readyState = 4;
  isCounted = true;
  loads = 0;
  freezes = 0;
  truth = []; // {start, end, speed}: what it really played while it was counted
  #rate = 1;
  #place = 0;
  #since = null; // when the playhead began to move from #place; null: it stands
  #stalled = false;
  #ranges = [];
  #lastEvent = 0;
  #seek = null;
  #tick = null;

  constructor(world, tab, duration, source = "lesson.mp4") {
    super();
    Object.assign(this, { world, tab, duration, currentSrc: source });
  }

  get currentTime() {
    if (this.#since === null) return this.#place;
    return Math.min(this.#place + ((this.world.now - this.#since) / 1000) * this.#rate, this.duration);
  }

  set currentTime(to) {
    this.#stand();
    this.ended = false;
    this.seeking = true;
    this.#place = Math.min(Math.max(to, 0), this.duration);
    this.#tell("seeking");
    this.world.cancel(this.#seek);
    this.#seek = this.world.after(
      Math.max(this.world.between(5, 400), this.#lastEvent - this.world.now), // it takes longer than the news of it
      () => {
        this.seeking = false;
        this.#tell("timeupdate");
        this.#tell("seeked");
        this.#go();
      },
      this.tab,
    );
  }

  get playbackRate() {
    return this.#rate;
  }

  set playbackRate(rate) {
    const moved = this.#since !== null;
    const ready = (this.#rate - rate) * 0.2; // what was made ready at the speed of before is played at that
    this.#stand();
    this.#rate = rate;
    if (moved) this.#move();
    if (moved && ready > 0) this.world.after(this.world.between(0, 200), () => this.#leap(ready), this.tab);
    if (this.world.likely(0.3)) this.#tell("timeupdate"); // it was on its way
    this.#tell("ratechange");
  }

  get played() {
    const ranges = this.#since === null ? this.#ranges : joined(this.#ranges, [this.#place, this.currentTime]);
    return { length: ranges.length, start: (i) => ranges[i][0], end: (i) => ranges[i][1] };
  }

  play() {
    if (!this.paused) return;
    if (this.ended) this.currentTime = 0;
    this.paused = false;
    this.#tell("play");
    this.#go();
  }

  pause() {
    if (this.paused) return;
    this.#stand();
    this.paused = true;
    this.#tell("timeupdate");
    this.#tell("pause");
  }

  stall(ms) {
    if (this.#since === null) return;
    this.#stand();
    this.#stalled = true;
    this.readyState = 2;
    this.#tell("waiting");
    this.world.after(ms, () => ((this.#stalled = false), (this.readyState = 4), this.#go()), this.tab);
  }

  /** Another source, or the same once more. */
  load(source) {
    this.#stand();
    this.loads++;
    this.world.cancel(this.#seek);
    Object.assign(this, { paused: true, ended: false, seeking: false, currentSrc: source });
    this.#place = 0;
    this.#ranges = [];
    this.#tell("emptied");
  }

  /** The machine sleeps, or the page is put away: nothing moves, and nobody is told. */
  freeze() {
    this.freezes++;
    const moved = this.#since !== null;
    this.#stand();
    return () => {
      if (moved && !this.paused && !this.seeking) this.#move();
    };
  }

  /** The client is told to stop. */
  uncount() {
    const goOn = this.freeze();
    this.isCounted = false;
    goOn();
  }

  #go() {
    if (this.paused || this.seeking || this.#stalled || this.#since !== null || this.#place >= this.duration) return;
    this.#move();
    this.#tell("playing");
  }

  #stand() {
    if (this.#since === null) return;
    const end = this.currentTime;
    if (end > this.#place) this.#play(end);
    this.#since = null;
  }

  #play(end) {
    if (this.isCounted) this.truth.push({ start: this.#place, end, speed: this.#rate });
    this.#ranges = joined(this.#ranges, [this.#place, end]);
    this.#place = end;
  }

  /** Play some seconds at once. */
  #leap(seconds) {
    if (this.#since === null) return;
    this.#stand();
    this.#play(Math.min(this.#place + seconds, this.duration));
    this.#move();
  }

  /** The playhead moves from now on. */
  #move() {
    this.#since = this.world.now;
    this.world.cancel(this.#tick);
    const tick = () => {
      this.#tick = this.world.after(
        TIMEUPDATE_MS,
        () => {
          if (this.#since === null) return;
          const isOver = this.currentTime >= this.duration;
          if (isOver) {
            this.#stand();
            Object.assign(this, { ended: true, paused: true });
          }
          this.#tell("timeupdate");
          if (isOver) {
            this.#tell("pause");
            this.#tell("ended");
          } else {
            tick();
          }
        },
        this.tab,
      );
    };
    tick();
  }

  /** Events are tasks: they come later, in their order. */
  #tell(name) {
    const { world } = this;
    const late = world.likely(0.02) ? world.between(0, 150) : world.between(0, 8);
    this.#lastEvent = Math.max(this.#lastEvent, world.now + late);
    world.after(this.#lastEvent - world.now, () => this.dispatchEvent(new Event(name)), this.tab);
  }
}

/** Ranges with one more, in their order, those that touch made one. */
export function joined(ranges, range) {
  const sorted = [...ranges, range].sort(([a], [b]) => a - b);
  const [first, ...others] = sorted;
  const result = [[...first]];
  for (const [start, end] of others) {
    const last = result.at(-1);
    if (start <= last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
