// What a media element really plays, as stretches and jumps.
//
// A stretch runs from `playing` to whatever ends it, at one speed. Where it ends is read from `currentTime`, unless the
// playhead has been moved meanwhile; then from `played`, whose ends are exact at every speed; and where the ground ahead
// was played before, so that `played` tells nothing, from the last look and the clock.

const SEGMENT_S = 12; // a running stretch is cut this often
const LOOK_S = 0.5; // while it plays, it is looked at more often than this
const GAP_S = 2; // longer than this without moving, and it did not play: the machine slept
const SCRUB_MS = 300; // seeks closer together than this are one
const SLACK_S = 0.25; // how far from where the clock expects it the playhead may be, at speed 1
const EDGE_S = 0.02; // how far from a played range a place may be and still belong to it

/**
 * @typedef {object} Told
 * @property {(start: number, end: number, speed: number) => void} played  places in seconds
 * @property {(from: number, to: number) => void} jumped
 * @property {(from: number, to: number) => number} limit  how far a jump may go
 * @property {() => void} switched  the element plays something else now; nothing of that is counted
 */

export class Tracker {
  /** @type {number | null} where the running stretch began; null while nothing plays */
  #start = null;
  #since = 0; // when that was
  #ahead = 0; // up to where the ground there has been played before
  #speed = 1;
  #slack = SLACK_S; // what was made ready at the speed of before is still played at that
  #place = 0; // the last known place of the playhead…
  #at = 0; // …and when that was
  /** @type {number | null} where the seek under way came from */
  #origin = null;
  #landed = 0; // where it went
  /** @type {unknown} */
  #scrub;
  #media;
  #source;
  #told;
  #env;
  #listening = new AbortController();

  /**
   * @param {HTMLMediaElement} media
   * @param {Told} told
   * @param {import("./browser.js").Environment} env
   * @param {number} [place]  where another element left off that showed the same
   */
  constructor(media, told, env, place = media.currentTime) {
    this.#media = media;
    this.#source = media.currentSrc;
    this.#told = told;
    this.#env = env;
    this.#from(place);
    const cut = () => this.cut();
    const look = () => this.#look();
    const handlers = {
      playing: look,
      timeupdate: look,
      ratechange: look,
      seeking: () => this.#seeking(),
      seeked: () => this.#seeked(),
      pause: cut,
      waiting: cut,
      ended: cut,
      error: cut,
      emptied: cut,
    };
    for (const [name, handler] of Object.entries(handlers)) {
      media.addEventListener(name, handler, { signal: this.#listening.signal });
    }
    this.#run();
  }

  get place() {
    return this.#place;
  }

  get playing() {
    return this.#start !== null;
  }

  /** Count what was played up to now, and nothing from now on; it is not used after this. */
  stop() {
    this.cut();
    this.#settle();
    this.#listening.abort();
  }

  /** End the running stretch; or the one that played from where it rests, and was over before any event told of it. */
  cut() {
    const start = this.#start ?? this.#place;
    const end = this.#end();
    const speed = this.#speed;
    this.#start = null;
    this.#from(end);
    if (end > start) this.#told.played(start, end, speed);
  }

  /** End the running stretch and begin the next one, if it plays. */
  split() {
    if (this.playing) this.cut();
    this.#run();
  }

  /** What comes begins at this place. */
  #from(/** @type {number} */ place) {
    const { playbackRate } = this.#media;
    this.#place = place;
    this.#at = this.#now();
    this.#ahead = this.#playedTo(place);
    if (playbackRate !== this.#speed || this.#at - this.#since >= SEGMENT_S) {
      this.#slack = SLACK_S * Math.max(this.#speed, playbackRate);
    }
    this.#speed = playbackRate;
  }

  /** Seconds of a clock that nobody sets. */
  #now() {
    return this.#env.now() / 1000;
  }

  #run() {
    const { paused, ended, seeking, currentSrc, currentTime } = this.#media;
    if (this.playing || paused || ended || seeking || this.#listening.signal.aborted) return;
    this.#source ||= currentSrc;
    if (currentSrc !== this.#source) {
      this.#listening.abort();
      this.#told.switched();
      return;
    }
    this.#start = this.#isSoonAfter(this.#place) ? this.#place : currentTime;
    this.#from(currentTime);
    this.#since = this.#at;
  }

  /** Whether it played from a place to where it is now, before the event came that says so. */
  #isSoonAfter(/** @type {number} */ place) {
    const { currentTime, playbackRate } = this.#media;
    const unseen = currentTime - place;
    return unseen >= 0 && unseen <= LOOK_S * playbackRate && this.#playedTo(place) >= currentTime - EDGE_S;
  }

  /** See where the playhead is; called several times a second while it moves. */
  #look() {
    const { currentTime, playbackRate } = this.#media;
    const now = this.#now();
    const stood = now - this.#at - (currentTime - this.#place) / this.#speed;
    if (
      !this.playing ||
      playbackRate !== this.#speed ||
      this.#end() !== currentTime ||
      stood > GAP_S ||
      now - this.#since >= SEGMENT_S
    ) {
      this.split();
    } else {
      this.#from(currentTime);
    }
  }

  /** Where it has come to: the running stretch, or what nobody was told of. */
  #end() {
    const { seeking, currentSrc, currentTime } = this.#media;
    const elapsed = this.#now() - this.#at;
    const most = this.#place + elapsed * this.#speed + this.#slack;
    const reach = this.#playedTo(this.#place);
    const isNear = currentTime >= this.#place && currentTime <= most && currentTime <= reach + EDGE_S;
    if (this.playing && !seeking && isNear) return currentTime;
    if (reach > this.#ahead && reach <= most && currentSrc === this.#source) return reach;
    if (!this.playing) return this.#place;
    return Math.min(reach, this.#place + Math.min(elapsed, LOOK_S) * this.#speed);
  }

  /** The end of the played range that a place is in. */
  #playedTo(/** @type {number} */ place) {
    const { played } = this.#media;
    let reach = place;
    for (let i = 0; i < played.length; i++) {
      if (played.start(i) <= place + EDGE_S && place <= played.end(i) + EDGE_S) reach = played.end(i);
    }
    return reach;
  }

  #seeking() {
    this.cut();
    this.#env.clearTimeout(this.#scrub);
    this.#origin ??= this.#place;
    this.#landed = this.#media.currentTime;
    this.#from(this.#landed);
    const most = this.#told.limit(this.#origin, this.#landed);
    if (most < this.#landed) this.#media.currentTime = most; // and that is the next `seeking`
  }

  #seeked() {
    if (this.#media.seeking) return; // on its way to the next place
    if (!this.#isSoonAfter(this.#landed)) this.#landed = this.#start ?? this.#media.currentTime; // a seek may be inexact
    if (!this.playing) this.#from(this.#landed);
    this.#env.clearTimeout(this.#scrub);
    this.#scrub = this.#env.setTimeout(() => this.#settle(), SCRUB_MS);
    this.#run();
  }

  #settle() {
    const from = this.#origin;
    this.#origin = null;
    if (from !== null && Math.abs(from - this.#landed) > EDGE_S) this.#told.jumped(from, this.#landed);
  }
}
