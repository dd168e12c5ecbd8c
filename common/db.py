"""The one door to PostgreSQL: pooled connections, prepared statements from `common/sql`, transactions.

A statement is named by its file and returns rows whose columns become fields by name:

    db.one("touch_session", SessionTouched, session_id=…, user_id=…)   exactly one row
    db.maybe(…)                                                         one row or None
    db.many(…)                                                          a list of rows

Outside a transaction each statement is its own: one round trip, one commit. Every write of this project may be
repeated without harm, so work whose connection broke is done once more on a new one.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError as DatabaseError
from pg8000.exceptions import InterfaceError
from pg8000.native import Connection, PreparedStatement

from common.config import Settings, settings
from common.errors import DatabaseUnavailable

T = TypeVar("T")
Row = dict[str, Any]  # for what needs no class of its own
P = ParamSpec("P")

WAIT_FOR_CONNECTION_S = 1.0
CONNECT_TIMEOUT_S = 1.5
TIMESTAMPTZ_OID = 1184

# SQLSTATEs (PostgreSQL, appendix A): classes and codes after which …
LOST = ("08", "57P", "25P03", "25006")  # … the connection is of no use any more
STALE = ("0A000", "26000")  # … a prepared statement is: its tables changed, or a pooler dropped it
CONFLICT = ("40001", "40P01")  # … the transaction may simply be done again
BUSY = ("53", "57014", "55P03")  # … the database has no room or no time at the moment


class Tx:
    """A connection in the hands of one thread."""

    def __init__(self, connection: CoreConnection) -> None:
        self.connection = connection
        self.used_at = time.monotonic()
        self._statements: dict[str, tuple[PreparedStatement, list[str]]] = {}

    def many(self, name: str, row: Callable[..., T], /, **params: object) -> list[T]:
        """All rows of a statement, each made by `row(**columns)`."""
        prepared = self._statements.get(name)
        if prepared is None:
            statement = PreparedStatement(self.connection, sql(name))
            prepared = (statement, [column["name"] for column in statement.cols or ()])
            self._statements[name] = prepared
        statement, columns = prepared
        return [row(**dict(zip(columns, values, strict=True))) for values in statement.run(**params)]

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
        def in_transaction(tx: Tx) -> T:
            tx.connection.execute_simple("BEGIN")
            try:
                result = work(tx, *args, **kwargs)
            except BaseException:
                tx.connection.execute_simple("ROLLBACK")
                raise
            tx.connection.execute_simple("COMMIT")
            return result

        return pool().run(in_transaction)

    return run


def one(name: str, row: Callable[..., T], /, **params: object) -> T:
    """As `Tx.one`; the statement is its own transaction."""
    return pool().run(lambda tx: tx.one(name, row, **params))


def maybe(name: str, row: Callable[..., T], /, **params: object) -> T | None:
    """As `Tx.maybe`; the statement is its own transaction."""
    return pool().run(lambda tx: tx.maybe(name, row, **params))


def many(name: str, row: Callable[..., T], /, **params: object) -> list[T]:
    """As `Tx.many`; the statement is its own transaction."""
    return pool().run(lambda tx: tx.many(name, row, **params))


@cache
def sql(name: str) -> str:
    """A statement's text without its comments."""
    text = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


class Pool:
    """At most `size` connections, each lent to one thread at a time; the last one given back is lent first."""

    def __init__(self, connect: Callable[[], CoreConnection], size: int) -> None:
        self._connect = connect
        self._places = threading.BoundedSemaphore(size)
        self._idle: list[Tx] = []

    def run(self, work: Callable[[Tx], T]) -> T:
        """Do work with a connection, at most twice more if the first may simply be tried again.

        Raises:
            DatabaseUnavailable: no connection could be had, or the database had no time for it.
        """
        if not self._places.acquire(timeout=WAIT_FOR_CONNECTION_S):
            raise DatabaseUnavailable("All connections are in use.")
        try:
            return self._run(work, attempts=3)
        finally:
            self._places.release()

    def _run(self, work: Callable[[Tx], T], attempts: int) -> T:
        try:
            tx = self._idle.pop()
        except IndexError:
            tx = self._open()
        try:
            result = work(tx)
        except (DatabaseError, InterfaceError, OSError) as error:
            state = sqlstate(error)
            if state is None or state.startswith(LOST + STALE):
                discard(tx)
                if state is None or state.startswith(LOST):  # the others were lost with it
                    self.close()
                retry = not timed_out(error)
            else:
                self._idle.append(tx)
                retry = state in CONFLICT
            if retry and attempts > 1:
                return self._run(work, attempts - 1)
            if state is None or state.startswith(LOST + STALE + CONFLICT + BUSY):
                raise DatabaseUnavailable from error
            raise
        except BaseException:
            self._idle.append(tx)
            raise
        self._idle.append(tx)
        return result

    def _open(self) -> Tx:
        try:
            return Tx(self._connect())
        except (DatabaseError, InterfaceError, OSError) as error:
            raise DatabaseUnavailable from error

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            try:
                discard(self._idle.pop())
            except IndexError:
                return


def sqlstate(error: Exception) -> str | None:
    """The SQLSTATE of what PostgreSQL answered; None when it did not answer."""
    if isinstance(error, DatabaseError) and error.args and isinstance(error.args[0], dict):
        return str(error.args[0].get("C"))
    return None


def timed_out(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)


def discard(tx: Tx) -> None:
    try:
        tx.connection.close()
    except (InterfaceError, OSError):
        pass  # it was broken already: there is nobody to say goodbye to


@cache
def pool() -> Pool:
    """The pool of this process, made at the first use: the framework forks after it has loaded the function."""
    return Pool(connector(settings()), settings().database_connections)


def connector(config: Settings) -> Callable[[], CoreConnection]:
    """How to open a connection: by the Cloud SQL connector if an instance is named, by the URL otherwise."""
    if config.instance_connection_name:
        return cloud_sql(config)
    assert config.database_url is not None
    return partial(direct, config.database_url, config.statement_timeout_ms)


def direct(url: str, statement_timeout_ms: int, **others: object) -> Connection:
    """A connection by a URL, see `options`, for tools; `others` come before what the URL says."""
    connection = Connection(**options(url, statement_timeout_ms) | others)
    ready(connection, statement_timeout_ms)
    return connection


def options(url: str, statement_timeout_ms: int) -> dict[str, Any]:
    """The driver's arguments for `postgresql://user:password@host:port/database`, or `…@/database?host=/folder`.

    `sslmode` is `disable`, `prefer` (the default), `require` or `verify-full`, as libpq has them.

    Raises:
        ValueError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("a database URL starts with postgresql://")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = query.get("host") or unquote(parts.hostname or "localhost")
    port = parts.port or int(query.get("port", 5432))
    chosen: dict[str, Any] = {
        "user": unquote(parts.username or query.get("user", "postgres")),
        "password": unquote(parts.password) if parts.password else None,
        "database": unquote(parts.path.lstrip("/")) or None,
        "startup_params": limits(statement_timeout_ms),
        "application_name": "watchledger",
        "timeout": CONNECT_TIMEOUT_S,
    }
    if host.startswith("/"):
        return chosen | {"unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return chosen | {"host": host, "port": port, "ssl_context": ssl_context(query.get("sslmode", "prefer"))}


def ssl_context(sslmode: str) -> Any:
    """What the driver makes of an sslmode."""
    match sslmode:
        case "disable":
            return False
        case "prefer":
            return None
        case "require":
            return True
        case "verify-full":
            import ssl

            return ssl.create_default_context()
    raise ValueError(f"sslmode {sslmode!r} is none of disable, prefer, require, verify-full")


def cloud_sql(config: Settings) -> Callable[[], CoreConnection]:
    """Connections by the Cloud SQL connector: private IP, IAM authentication, certificates refreshed when needed.

    Imported here: it costs half a second and 50 MiB that nobody else should pay.
    """
    from google.cloud.sql.connector import Connector, IPTypes

    cloud = Connector(refresh_strategy="lazy")

    def connect() -> CoreConnection:
        connection = cloud.connect(
            config.instance_connection_name,
            "pg8000",
            user=config.database_user,
            db=config.database_name,
            enable_iam_auth=True,
            ip_type=IPTypes.PRIVATE,
            startup_params=limits(config.statement_timeout_ms),
            timeout=CONNECT_TIMEOUT_S,
        )
        connection.autocommit = True
        ready(connection, config.statement_timeout_ms)
        return connection

    return connect


def limits(statement_timeout_ms: int) -> dict[str, str]:
    """The limits of a connection, sent as it starts, so that no session state has to be set."""
    return {
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(statement_timeout_ms),
        "idle_in_transaction_session_timeout": "10000",
        "idle_session_timeout": "900000",
        "timezone": "UTC",
    }


def ready(connection: CoreConnection, statement_timeout_ms: int) -> None:
    """Wait for an answer a little longer than the database may take, and read moments the fast way."""
    connection._usock.settimeout(statement_timeout_ms / 1000 + 0.5)
    connection.register_in_adapter(TIMESTAMPTZ_OID, datetime.fromisoformat)
