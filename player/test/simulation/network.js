// Between the tabs and the server: what can go wrong there, goes wrong.

const MOST_REQUESTS = 5_000; // of a life; a client that goes round in circles makes more

export class Network {
  isOffline = false;
  mood = "good"; // good | bad | busy | broken | portal | small
  requests = []; // {tab, at, path, bytes, keepalive}
  #flying = new Set();

  constructor(world, server) {
    this.world = world;
    this.server = server;
  }

  fetch(tab, url, init) {
    const { world } = this;
    const path = url.replace(/^\/api/, "");
    const bytes = init.body?.length ?? 0;
    const request = { tab, at: world.now, path, bytes, method: init.method, keepalive: Boolean(init.keepalive) };
    if (this.requests.push(request) > MOST_REQUESTS) world.failure = new Error(`more than ${MOST_REQUESTS} requests`);
    if (!init.keepalive) {
      for (const other of this.#flying) {
        if (other.tab.user === tab.user && !other.tab.isDead && !(other.tab.asleepUntil > world.now))
          request.isSecond = true;
      }
      this.#flying.add(request);
    }
    const body = init.body && JSON.parse(init.body);
    return new Promise((resolve, reject) => {
      const fail = (ms) => {
        world.after(ms, () => (this.#flying.delete(request), reject(new TypeError("Failed to fetch"))), tab);
      };
      const arrive = (ms) => {
        world.after(ms, () => {
          const [status, answer, headers] = this.#answer(init, path, body, bytes);
          if (isAnswerLost) return fail(world.between(0, 2_000));
          const text = typeof answer === "string" ? answer : JSON.stringify(answer);
          world.after(
            world.between(5, 100),
            () => (this.#flying.delete(request), resolve(response(status, text, headers))),
            tab,
          );
        });
      };
      init.signal?.addEventListener("abort", () => {
        this.#flying.delete(request);
        reject(new DOMException("aborted", "AbortError"));
      });
      const isBad = this.mood === "bad";
      const isAnswerLost = isBad && world.likely(0.3);
      if (this.isOffline || (isBad && world.likely(0.3))) return fail(world.between(1, 3_000));
      const delay = isBad && world.likely(0.1) ? world.between(1_000, 90_000) : world.between(5, 200);
      arrive(delay);
      if (isBad && world.likely(0.1)) {
        world.after(delay + world.between(0, 600_000), () => this.#answer(init, path, body, bytes)); // comes twice
      }
    });
  }

  #answer(init, path, body, bytes) {
    const { world, mood } = this;
    if (mood === "busy") {
      const wait = Math.ceil(world.between(1, 120));
      const date = new Date(world.wall + world.now + wait * 1000).toUTCString();
      this.heldUntil = world.now + wait * 1000;
      return [
        world.pick([503, 429]),
        { status: 503, title: "busy" },
        { "retry-after": world.pick([String(wait), date]) },
      ];
    }
    if (mood === "broken") return [world.pick([500, 502, 504, 404, 403]), "<html>a proxy's page</html>"];
    if (mood === "portal") return [200, world.pick(["<html>log in to the hotel's network</html>", '{"logIn": true}'])];
    if (mood === "small" && bytes > 3_000) return [413, "<html>too large</html>"];
    return this.server.handle(init.method, path, init.headers, body);
  }
}

function response(status, text, headers = {}) {
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => headers[name.toLowerCase()] ?? null },
    json: async () => JSON.parse(text),
  };
}
