// What the service promises its players, in the fewest words: sessions by key, events by id, each once.

const problem = (status, type, more) => [
  status,
  { type: `urn:watchledger:problem:${type}`, status, title: type, ...more },
];

export class Server {
  sessions = new Map();
  keys = new Map();
  tokens = new Map(); // token → user
  poisoned = () => false; // whether an event is one that the service refuses
  refused = new Set(); // ids of events that it did not take
  heartbeats = [];
  closed = () => {}; // told of a session that was
  policy = "flag";

  constructor(world) {
    this.world = world;
  }

  handle(method, path, headers, body) {
    const user = this.tokens.get((headers.Authorization ?? "").slice("Bearer ".length));
    if (!user) return problem(401, "token-rejected");
    const [, id, action] = /^\/video\/sessions\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const session = id && this.sessions.get(id);
    const isTheirs = session && session.user === user && !session.isGone;
    if (path === "/video/sessions") return this.start(user, headers["Idempotency-Key"], body);
    if (path === "/video/progress/bulk") return this.bulk(user, body);
    if (!isTheirs) return this.unknown(body);
    if (action === "progress") return this.progress(session, body);
    if (action === "close") {
      const [status, answer] = body ? this.progress(session, body) : [200];
      if (status !== 200) return [status, answer];
      this.close(session);
      return [200, { sessionId: id, status: "closed", attemptId: "a" }];
    }
    this.heartbeats.push({ at: this.world.now, session });
    if (session.isClosed) return problem(409, "session-closed");
    return [200, { sessionId: id, status: "open" }];
  }

  unknown({ segments = [], seeks = [] } = {}) {
    for (const { clientEventId } of [...segments, ...seeks]) this.refused.add(clientEventId);
    return problem(404, "session-not-found");
  }

  close(session) {
    session.isClosed = true;
    this.closed(session);
  }

  start(user, key, { userId, lessonId }) {
    if (!userId || !lessonId) return problem(422, "invalid-request");
    if (userId !== user) return problem(404, "user-not-found");
    if (!key) throw new Error("a start without a key");
    const isReplay = this.keys.has(key);
    if (!isReplay) {
      const session = { id: `session-${this.sessions.size}`, key, user, lessonId, events: new Map(), isClosed: false };
      this.keys.set(key, session);
      this.sessions.set(session.id, session);
    }
    const { id } = this.keys.get(key);
    return [
      isReplay ? 200 : 201,
      {
        sessionId: id,
        attemptId: "a",
        seekPolicy: this.policy,
        maxVerifiedSecond: 0,
        resumeSecond: null,
        coverageRatio: 0,
      },
    ];
  }

  progress(session, { segments = [], seeks = [], ...rest }) {
    if (Object.keys(rest).length) throw new Error(`not of a progress: ${Object.keys(rest)}`);
    const sent = [...segments.map((item) => ["segments", item]), ...seeks.map((item) => ["seeks", item])];
    if (sent.length > 500) return problem(422, "invalid-request");
    const bad = sent.filter(([, item]) => this.poisoned(item));
    const rejected = bad.map(([, { clientEventId }]) => ({ pointer: "/", clientEventId, detail: "bad" }));
    for (const { clientEventId } of rejected) this.refused.add(clientEventId);
    if (bad.length && bad.length === sent.length) return problem(422, "invalid-request", { errors: rejected });
    let accepted = 0;
    for (const [kind, item] of sent) {
      if (bad.some(([, other]) => other === item)) continue;
      const known = session.events.get(item.clientEventId);
      if (known && JSON.stringify(known.item) !== JSON.stringify(item)) throw new Error("one id for two events");
      if (!known) (session.events.set(item.clientEventId, { kind, item, at: this.world.now }), accepted++);
    }
    const duplicates = sent.length - bad.length - accepted;
    return [
      200,
      {
        sessionId: session.id,
        attemptId: "a",
        status: session.isClosed ? "closed" : "open",
        late: session.isClosed,
        accepted,
        duplicates,
        conflicts: [],
        rejected,
        maxVerifiedSecond: 0,
        seekPolicy: this.policy,
      },
    ];
  }

  bulk(user, { items }) {
    if (!items.length || items.length > 50) return problem(422, "invalid-request");
    const results = items.map(({ sessionId, close, ...item }) => {
      const session = this.sessions.get(sessionId);
      if (session?.user !== user || session.isGone) {
        const [status, document] = this.unknown(item);
        return { sessionId, ...document, status };
      }
      const [status, answer] = this.progress(session, item);
      if (status === 200 && close) this.close(session);
      return { ...answer, status, sessionStatus: session.isClosed ? "closed" : "open" };
    });
    return [200, { results }];
  }
}
