// As much of IndexedDB as the client uses. A transaction works on a copy that is put in place when it completes; of a
// killed page's transactions only the completed ones are left.

export class Disk {
  databases = new Map();
  written = new Map(); // clientEventId → its event, of completed transactions
  isFull = false;
  isBroken = false;

  constructor(world) {
    this.world = world;
  }

  /** What a tab sees of it. */
  for(tab) {
    return {
      open: (name) => {
        const request = { result: null, error: null };
        this.world.after(
          this.world.between(0, 20),
          () => {
            if (this.isBroken) {
              request.error = new DOMException("no", "UnknownError");
              return request.onerror?.();
            }
            const isNew = !this.databases.has(name);
            if (isNew) this.databases.set(name, { tables: new Map(), turn: [] });
            request.result = new Connection(this, this.databases.get(name), tab);
            tab.connections.push(request.result);
            if (isNew) request.onupgradeneeded?.();
            request.onsuccess?.();
          },
          tab,
        );
        return request;
      },
    };
  }

  /** A tab died: what it had not completed is undone, and who waited for it goes on. */
  abandon(tab) {
    for (const database of this.databases.values()) {
      const [first] = database.turn;
      database.turn = database.turn.filter((transaction) => transaction.tab !== tab);
      if (first?.tab === tab) database.turn[0]?.begin();
    }
  }

  /** The person has the browser forget everything. */
  clear() {
    this.databases.clear();
    this.written.clear();
  }
}

class Connection {
  isClosed = false;

  constructor(disk, database, tab) {
    Object.assign(this, { disk, database, tab });
  }

  createObjectStore(name, { keyPath, autoIncrement }) {
    this.database.tables.set(name, { keyPath, autoIncrement, next: 1, rows: new Map() });
  }

  transaction(names, mode, { durability }) {
    if (this.isClosed && !this.tab.isDead) throw new DOMException("closed", "InvalidStateError");
    if (durability !== "strict") throw new Error("not durable");
    const transaction = new Transaction(this, mode);
    if (this.tab.isDead) return transaction;
    const { turn } = this.database;
    turn.push(transaction);
    if (turn.length === 1) transaction.begin();
    return transaction;
  }

  close() {
    this.isClosed = true;
  }
}

class Transaction {
  #requests = [];
  #copy;
  #added = [];
  #grows = false;
  error = null;

  constructor(connection, mode) {
    const { disk, database, tab } = connection;
    Object.assign(this, { connection, disk, database, tab, mode });
  }

  objectStore(name) {
    const ask = (work) => {
      const request = { result: undefined };
      this.#requests.push(() => {
        request.result = structuredClone(work(this.#copy.get(name)));
        request.onsuccess?.();
      });
      return request;
    };
    const write = (work) => {
      if (this.mode !== "readwrite") throw new DOMException("read only", "ReadOnlyError");
      return ask(work);
    };
    return {
      get: (key) => ask(({ rows }) => rows.get(key)),
      getAll: (_, limit) =>
        ask(({ rows }) =>
          [...rows]
            .sort(byKey)
            .slice(0, limit)
            .map(([, row]) => row),
        ),
      add: (row) => this.#put(write, name, structuredClone(row), true),
      put: (row) => this.#put(write, name, structuredClone(row), false),
      delete: (key) => write(({ rows }) => void rows.delete(key)),
      clear: () => write(({ rows }) => rows.clear()),
    };
  }

  #put(write, name, row, isNew) {
    return write((table) => {
      const { keyPath, autoIncrement, rows } = table;
      const key = (keyPath && row[keyPath]) ?? (autoIncrement ? table.next++ : undefined);
      if (key === undefined) throw new DOMException("no key", "DataError");
      if (isNew && rows.has(key)) throw new DOMException("exists", "ConstraintError");
      if (keyPath) row[keyPath] = key;
      rows.set(key, row);
      this.#grows = true;
      if (name === "events") this.#added.push(row);
      return key;
    });
  }

  begin() {
    this.#after(5, () => this.#step());
  }

  /** Also while its page sleeps: else it would stand in the way of the others' transactions. */
  #after(ms, happen) {
    const { world } = this.disk;
    world.after(world.between(0, ms), () => this.tab.isDead || happen());
  }

  #step() {
    this.#copy ??= new Map([...this.database.tables].map(([name, t]) => [name, { ...t, rows: new Map(t.rows) }]));
    const request = this.#requests.shift();
    if (request) {
      request();
      this.#after(2, () => this.#step());
    } else {
      this.#after(30, () => this.#finish());
    }
  }

  #finish() {
    const { turn } = this.database;
    turn.shift();
    turn[0]?.begin();
    const isFull = this.mode === "readwrite" && this.disk.isFull && this.#grows;
    if (isFull || this.disk.isBroken || this.connection.isClosed) {
      this.error = new DOMException("full", "QuotaExceededError");
      this.onabort?.();
      return;
    }
    if (this.mode === "readwrite") this.database.tables = this.#copy;
    for (const event of this.#added) this.disk.written.set(event.item.clientEventId, event);
    this.oncomplete?.();
  }
}

function byKey([a], [b]) {
  return a < b ? -1 : 1;
}
