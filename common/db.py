"""The one door to PostgreSQL: pooled connections, prepared statements from `common/sql`, transactions.

A statement is named by its file and returns rows whose columns become fields by name:

    db.one("touch_session", SessionTouched, session_id=…, user_id=…)   exactly one row
    db.maybe(…)                                                         one row or None
    db.many(…)                                                          a list of rows

Outside a transaction each statement is its own: one round trip, one commit. Every write of this project may be
repeated without harm, so work whose connection broke is done once more on a new one. Whatever happens, the caller
hears of it within `STATEMENT_TIMEOUT_MS` and half a second.
"""

import math
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pg8000.core
from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError as DatabaseError
from pg8000.exceptions import InterfaceError as InterfaceError
from pg8000.native import Connection, PreparedStatement

from common.config import Settings, settings
from common.errors import DatabaseUnavailable

T = TypeVar("T")
Row = dict[str, Any]  # for what needs no class of its own
P = ParamSpec("P")
Connect = Callable[[float], CoreConnection]  # within so many seconds

ATTEMPTS = 3
WAIT_FOR_CONNECTION_S = 0.4
CONNECT_TIMEOUT_S = 1.2  # long enough for the second try of TCP, which comes after one second
SPARE_S = 0.4  # what a piece of work may take beside the database's own time limit, and the rounding of it
PAUSE_S = 0.02  # before a transaction is done again that stood in another's way
LAST_WORDS_S = 0.1  # to end a transaction whose time is over
TIMESTAMPTZ_OID = 1184

# The driver asks for an answer to each message (Flush) of a statement and then to all of them (Sync). Only the last is
# needed: one packet and one wake-up instead of three.
pg8000.core.FLUSH_MSG = b""

# SQLSTATEs (PostgreSQL, appendix A): classes and codes after which …
LOST = ("08", "57P", "25P03", "25006")  # … the connection is of no use any more
STALE = ("0A000", "26000")  # … a prepared statement is: its tables changed, or a pooler dropped it
CONFLICT = ("40001", "40P01")  # … the transaction may simply be done again
BUSY = ("53", "57014", "55P03")  # … the database has no room or no time at the moment
SSL_MODES = {"disable": False, "prefer": None, "require": True, "verify-full": True}  # as the driver has them
FAILURES = (DatabaseError, InterfaceError, OSError)  # the server's refusals, the driver's, the network's


class Tx:
    """A connection in the hands of one thread, until a deadline (of `time.monotonic`)."""

    def __init__(self, connection: CoreConnection, deadline: float) -> None:
        connection.register_in_adapter(TIMESTAMPTZ_OID, datetime.fromisoformat)  # the fast way
        self.connection = connection
        self.deadline = deadline
        self._limit_s = 0.0
        self.is_usable = True  # not while an answer is outstanding, and never again if it did not come
        self._statements: dict[str, tuple[PreparedStatement, list[str]]] = {}

    def many(self, name: str, row: Callable[..., T], /, **params: object) -> list[T]:
        """All rows of a statement, each made by `row(**columns)`."""
        prepared = self._statements.get(name)
        if prepared is None:
            statement = self._ask(PreparedStatement, self.connection, sql(name))
            prepared = (statement, [column["name"] for column in statement.cols or ()])
            self._statements[name] = prepared
        statement, columns = prepared
        return [row(**dict(zip(columns, values, strict=True))) for values in self._ask(statement.run, **params)]

    def maybe(self, name: str, row: Callable[..., T], /, **params: object) -> T | None:
        """The row of a statement that finds one or none."""
        rows = self.many(name, row, **params)
        if len(rows) > 1:
            raise CardinalityError(f"{name}: {len(rows)} rows where at most one is possible")
        return rows[0] if rows else None

    def one(self, name: str, row: Callable[..., T], /, **params: object) -> T:
        """The row of a statement that always has exactly one."""
        found = self.maybe(name, row, **params)
        if found is None:
            raise CardinalityError(f"{name}: no row where there is always one")
        return found

    def copy(self, name: str, chunks: Iterable[bytes]) -> None:
        """Send what a COPY … FROM STDIN takes."""
        self._ask(self.connection.execute_unnamed, sql(name), (), (), chunks)

    def close(self) -> None:
        with suppress(InterfaceError, OSError):  # it was broken already: there is nobody to say goodbye to
            self.connection.close()

    def control(self, command: str) -> None:
        """BEGIN, COMMIT or ROLLBACK."""
        self._ask(self.connection.execute_simple, command)

    def _ask(self, send: Callable[..., Any], *args: object, **params: object) -> Any:
        """The server's answer to what the driver sends; only if it was read to its end may the next follow."""
        limit_s = max(math.ceil((self.deadline - time.monotonic()) * 10) / 10, LAST_WORDS_S)
        if limit_s != self._limit_s:  # in tenths: it is the same most often, and setting it is a system call
            self.connection._usock.settimeout(limit_s)
            self._limit_s = limit_s
        self.is_usable = False
        try:
            answer = send(*args, **params)
        except DatabaseError as error:
            self.is_usable = not sqlstate(error).startswith(LOST + STALE)
            raise
        self.is_usable = True
        return answer


class CardinalityError(Exception):
    """A statement returned another number of rows than its caller counts on."""


def transaction(work: Callable[Concatenate[Tx, P], T]) -> Callable[P, T]:
    """Run a function in one transaction; it gets the `Tx` as its first argument.

    Commits when the function returns, rolls back when it raises. It is run again when the connection broke or
    the transaction lost a deadlock, so it must do nothing that can't be done twice.

    Raises:
        DatabaseUnavailable: no connection could be had, or the database had no time for it.
    """

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return pool().transact(lambda tx: work(tx, *args, **kwargs))

    return run


def one(name: str, row: Callable[..., T], /, **params: object) -> T:
    """As `Tx.one`; the statement is its own transaction."""
    return pool().one(name, row, **params)


def maybe(name: str, row: Callable[..., T], /, **params: object) -> T | None:
    """As `Tx.maybe`; the statement is its own transaction."""
    return pool().maybe(name, row, **params)


def many(name: str, row: Callable[..., T], /, **params: object) -> list[T]:
    """As `Tx.many`; the statement is its own transaction."""
    return pool().many(name, row, **params)


@cache
def sql(name: str) -> str:
    """A statement's text without its comments."""
    text = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


class Pool:
    """At most `size` connections, each lent to one thread at a time; the last one given back is lent first."""

    def __init__(self, connect: Connect, size: int, patience_s: float) -> None:
        self._connect = connect
        self._places = threading.BoundedSemaphore(size)
        self._patience_s = patience_s
        self._idle: list[Tx] = []

    def run(self, work: Callable[[Tx], T]) -> T:
        """Do work with a connection, at most twice more if it may simply be tried again.

        Raises:
            DatabaseUnavailable: no connection could be had, or the database had no time for it.
        """
        deadline = time.monotonic() + self._patience_s
        if not self._places.acquire(timeout=WAIT_FOR_CONNECTION_S):
            raise DatabaseUnavailable("All connections are in use.")
        try:
            return self._lend(self._take(deadline), work)
        finally:
            self._places.release()

    def one(self, name: str, row: Callable[..., T], /, **params: object) -> T:
        return self.run(lambda tx: tx.one(name, row, **params))

    def maybe(self, name: str, row: Callable[..., T], /, **params: object) -> T | None:
        return self.run(lambda tx: tx.maybe(name, row, **params))

    def many(self, name: str, row: Callable[..., T], /, **params: object) -> list[T]:
        return self.run(lambda tx: tx.many(name, row, **params))

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Do work in one transaction, see `transaction`."""

        def in_transaction(tx: Tx) -> T:
            tx.control("BEGIN")
            try:
                result = work(tx)
            except BaseException:
                if tx.is_usable:
                    with suppress(*FAILURES):  # it ends with the connection then
                        tx.control("ROLLBACK")
                raise
            tx.control("COMMIT")
            return result

        return self.run(in_transaction)

    @contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Hold a lock on a connection of its own, for as long as that lives; False: somebody else holds it."""
        tx = self._open(time.monotonic() + self._patience_s)
        try:
            tx.control("BEGIN")
            yield tx.one("try_lock", Row, name=name)["is_ours"]
        finally:
            with suppress(*FAILURES):
                tx.control("ROLLBACK")  # closing alone would leave the server to notice when it may
            tx.close()

    def _lend(self, tx: Tx, work: Callable[[Tx], T]) -> T:
        attempt = 1
        try:
            while True:
                try:
                    return work(tx)
                except FAILURES as error:
                    state = sqlstate(error)
                    if tx.is_usable and not state.startswith(CONFLICT + BUSY):
                        raise
                    if not tx.is_usable and not state.startswith(STALE):
                        self.close()  # the idle ones are most likely lost with it
                    if attempt == ATTEMPTS or state.startswith(BUSY) or time.monotonic() >= tx.deadline:
                        raise DatabaseUnavailable from error
                if tx.is_usable:
                    time.sleep(PAUSE_S)
                else:
                    tx.close()
                    tx = self._open(tx.deadline)
                attempt += 1
        finally:
            if tx.is_usable:
                self._idle.append(tx)
            else:
                tx.close()

    def _take(self, deadline: float) -> Tx:
        try:
            tx = self._idle.pop()
        except IndexError:
            return self._open(deadline)
        tx.deadline = deadline
        return tx

    def _open(self, deadline: float) -> Tx:
        try:
            return Tx(self._connect(max(deadline - time.monotonic(), LAST_WORDS_S)), deadline)
        except Exception as error:  # the network's, the driver's, the connector's: there is no connection
            raise DatabaseUnavailable from error

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of what PostgreSQL answered; empty when it did not answer."""
    return str(error.args[0]["C"]) if isinstance(error, DatabaseError) else ""


def pool() -> Pool:
    """The pool of this process, made at the first use: the framework forks after it has loaded the function."""
    with _making_the_pool:
        return _pool()


_making_the_pool = threading.Lock()


@cache
def _pool() -> Pool:
    config = settings()
    return Pool(connector(config), config.database_connections, config.statement_timeout_ms / 1000 + SPARE_S)


def patient(limit_s: float, size: int = 1) -> Pool:
    """A pool of a job's own, whose statements and transactions may take so long; to be closed."""
    config = replace(settings(), statement_timeout_ms=round(limit_s * 1000))
    return Pool(connector(config), size, limit_s + SPARE_S)


def connector(config: Settings) -> Connect:
    """How to open a connection: by the Cloud SQL connector if an instance is named, by the URL otherwise.

    Raises:
        ValueError: it is no such URL, see `options`.
    """
    url, limit_ms = config.database_url, config.statement_timeout_ms
    if config.instance_connection_name or not url:
        from common import cloud_sql  # half a second and 50 MiB that nobody else should pay

        return cloud_sql.connector(config, limits(limit_ms))
    options(url, limit_ms)
    return lambda within_s: direct(url, limit_ms, timeout=min(within_s, CONNECT_TIMEOUT_S))


def direct(url: str, statement_timeout_ms: int, **others: object) -> Connection:
    """A connection by a URL, see `options`, for tools; `others` come before what the URL says.

    Raises:
        DatabaseError: the server refused it.
        InterfaceError: it could not be reached.
    """
    try:
        connection = Connection(**options(url, statement_timeout_ms) | others)
    except InterfaceError as error:
        raise refusal(error) or error from error.__cause__
    connection._usock.settimeout(statement_timeout_ms / 1000 + SPARE_S)
    return connection


def refusal(error: BaseException | None) -> DatabaseError | None:
    """What the server said, where the driver hides it because its goodbye to a server that hung up failed, too."""
    while error is not None and not isinstance(error, DatabaseError):
        error = error.__context__
    return error


def options(url: str, statement_timeout_ms: int) -> dict[str, Any]:
    """The driver's arguments for `postgresql://user:password@host:port/database`, or `…@/database?host=/folder`.

    It may have the parameters `host`, `port`, `user` and `sslmode`, with libpq's meaning and defaults.

    Raises:
        ValueError: it is no such URL. The message does not repeat it: there may be a password in it.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        port = parts.port or int(query.pop("port", 5432))
    except ValueError:
        raise ValueError("the database URL cannot be read; special characters in it must be %-encoded") from None
    host = query.pop("host", parts.hostname or "localhost")
    sslmode = query.pop("sslmode", "prefer")
    user = query.pop("user", unquote(parts.username or "postgres"))
    if parts.scheme not in ("postgresql", "postgres") or parts.fragment or query or sslmode not in SSL_MODES:
        raise ValueError(
            f"a database URL is postgresql://user:password@host:port/database?sslmode={'|'.join(SSL_MODES)}"
        )
    chosen: dict[str, Any] = {
        "user": user,
        "password": unquote(parts.password) if parts.password else None,
        "database": unquote(parts.path.lstrip("/")) or None,
        "startup_params": limits(statement_timeout_ms),
        "application_name": "watchledger",
        "timeout": CONNECT_TIMEOUT_S,
    }
    tls = ssl.create_default_context() if sslmode == "verify-full" else SSL_MODES[sslmode]
    if host.startswith("/"):
        return chosen | {"unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return chosen | {"host": host, "port": port, "ssl_context": tls}


def limits(statement_timeout_ms: int) -> dict[str, str]:
    """The limits of a connection, sent as it starts, so that no session state has to be set."""
    return {
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(statement_timeout_ms * 3 // 4),  # longer than PostgreSQL takes to see a deadlock
        "idle_in_transaction_session_timeout": str(max(10_000, statement_timeout_ms)),
        "idle_session_timeout": "900000",
        "timezone": "UTC",
        "plan_cache_mode": "force_generic_plan",  # planned once: planning costs four times as much as running
    }
