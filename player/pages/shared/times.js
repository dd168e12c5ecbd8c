// Seconds, moments and shares as people read them.

/** @typedef {[number, number]} Range half-open, in seconds of the video */

/**
 * A place in the video: "02:10", from an hour on "1:02:10".
 * @param {number} second
 * @param {number} [decimals] 0 or 1
 */
export function clock(second, decimals = 0) {
  const unit = 10 ** decimals;
  const units = Math.max(0, Math.round(second * unit));
  const whole = Math.floor(units / unit);
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const fraction = decimals ? `.${units % unit}` : "";
  return `${hours ? `${hours}:` : ""}${two(minutes)}:${two(seconds)}${fraction}`;
}

/**
 * A stretch of the video: "02:10–05:40"; one that whole seconds cannot show has tenths.
 * @param {number} from
 * @param {number} to
 */
export function stretch(from, to) {
  const decimals = clock(from) === clock(to) ? 1 : 0;
  return `${clock(from, decimals)}–${clock(to, decimals)}`;
}

/**
 * Stretches in a sentence: "00:00–02:10, 03:00–03:10 and 5 more".
 * @param {readonly Range[]} ranges
 * @param {number} [atMost]
 */
export function stretches(ranges, atMost = 8) {
  const shown = ranges.length > atMost ? ranges.slice(0, atMost - 1) : ranges;
  const words = shown.map(([from, to]) => stretch(from, to));
  return listed(shown.length < ranges.length ? [...words, `${ranges.length - shown.length} more`] : words);
}

/**
 * "a", "a and b", "a, b and c".
 * @param {readonly string[]} words
 */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/**
 * A length of time in words: "0 s", "0.4 s", "45 s", "6 min 30 s", "1 h 2 min"; its spaces do not break.
 * @param {number} second
 */
export function length(second) {
  if (second < 9.95) return `${Number(Math.max(0, second).toFixed(1))}\u00a0s`;
  const whole = Math.round(second);
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3600) return parts(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  return parts(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

/**
 * A share to one decimal, rounded down: what falls short of a threshold never looks as if it reached it.
 * @param {number} ratio
 * @param {{isAligned?: boolean}} [options] isAligned: in a column, where also a whole number has its decimal
 */
export function percent(ratio, { isAligned = false } = {}) {
  const share = Math.floor(Math.round(ratio * 1e6) / 1e3) / 10;
  return `${isAligned ? share.toFixed(1) : share}%`;
}

/**
 * A moment in the reader's own time zone: "22 Nov 2026, 18:42".
 * @param {string} iso
 */
export function moment(iso) {
  return MOMENT.format(new Date(iso));
}

/**
 * The time of the day with its seconds: "18:42:07".
 * @param {Date} at
 */
export function timeOfDay(at) {
  return TIME.format(at);
}

/** The reader's time zone, as a printed page must name it: "Europe/London, GMT+1". */
export function timeZone(at = new Date()) {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = ZONE.formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? "";
  return [...new Set([name, offset])].filter(Boolean).join(", ");
}

/**
 * "1 session", "2 sessions".
 * @param {number} count
 * @param {string} noun
 * @param {string} [plural]
 */
export function counted(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? noun : plural}`;
}

const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const ZONE = new Intl.DateTimeFormat("en-GB", { timeZoneName: "shortOffset" });

/** @param {number} number */
function two(number) {
  return String(number).padStart(2, "0");
}

/** @param {number} large @param {string} unit @param {number} small @param {string} smallUnit */
function parts(large, unit, small, smallUnit) {
  return (small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`).replaceAll(" ", "\u00a0");
}
