// Who is looking at the page: a bearer token from the platform, or locally from the development issuer.

/**
 * What the platform says of itself in /config.json.
 * @typedef {object} Config
 * @property {string} tokenUrl on this origin; POST answers {"token": "…"} for who is signed in there, or 401
 * @property {string} [signInUrl] where to go to sign in; "{url}" in it becomes the address of the page
 * @property {string} [api] what stands before /video, if anything
 * @property {string} [video] where a lesson's video is, with "{lessonId}" in it
 * @property {boolean} [isDevelopment] the issuer believes the user and role that it is told
 */

/** @typedef {{user: string, role: "player" | "manager"}} Identity only the development issuer is told it */

/** Nobody is signed in at the platform. */
export class SignedOut extends Error {}

/** @type {Promise<Config> | undefined} */
let config;
/** @type {Map<string, {token: Promise<string>, until: number}>} */
const held = new Map();

/** The platform's settings, read once. */
export function settings() {
  config ??= fetch("/config.json")
    .then(accepted)
    .catch(forgetting(() => (config = undefined)));
  return config;
}

/**
 * A token that is valid for a while yet.
 * @param {Identity} [identity]
 * @param {{fresh?: boolean}} [options] fresh: the service refused the one that was given last
 * @returns {Promise<string>}
 * @throws {SignedOut}
 */
export async function token(identity = { user: "manager", role: "manager" }, { fresh = false } = {}) {
  const key = JSON.stringify(identity);
  const known = held.get(key);
  if (known && !fresh && Date.now() < known.until) return known.token;
  const asked = { token: ask(identity), until: Date.now() + 10_000 };
  held.set(key, asked);
  asked.token.then(
    (given) => (asked.until = expiry(given) - 30_000),
    () => held.delete(key),
  );
  return asked.token;
}

/** @param {Identity} identity */
async function ask(identity) {
  const { tokenUrl, isDevelopment } = await settings();
  const answer = await fetch(tokenUrl, {
    method: "POST",
    credentials: "same-origin",
    signal: AbortSignal.timeout(15_000),
    ...(isDevelopment && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(identity) }),
  });
  if (answer.status === 401 || answer.status === 403) throw new SignedOut();
  return (await accepted(answer)).token;
}

/** Where to sign in and come back from, if the platform says so. */
export async function signInAddress() {
  const { signInUrl } = await settings();
  return signInUrl?.replace("{url}", encodeURIComponent(location.href)) ?? null;
}

/**
 * When a token ends, in milliseconds of the epoch; one that does not tell is asked for again in five minutes.
 * @param {string} jwt
 */
export function expiry(jwt) {
  try {
    const { exp } = payload(jwt);
    return Number.isFinite(exp) ? exp * 1000 : Date.now() + 300_000;
  } catch {
    return Date.now() + 300_000;
  }
}

/**
 * Whom a token is for.
 * @param {string} jwt
 * @returns {string}
 */
export function subject(jwt) {
  return payload(jwt).sub;
}

/** @param {string} jwt */
function payload(jwt) {
  const part = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (character) => character.charCodeAt(0))));
}

/** @param {Response} answer */
async function accepted(answer) {
  if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}`);
  return answer.json();
}

/** @param {() => void} forget */
function forgetting(forget) {
  return (/** @type {unknown} */ error) => {
    forget();
    throw error;
  };
}
