"""Connections: kept, bounded, never shared, replaced when broken; what happens when the database does not answer."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from common import db
from common.config import settings
from common.db import DatabaseError, Pool, Row, Tx
from common.errors import DatabaseUnavailable, SessionNotFound
from infra import postgres
from infra.postgres import Cluster
from tests.clock import in_time
from tests.conftest import database as new_database
from tests.conftest import deployed, open_to_postgres, run

STATEMENTS = {
    "pid": "SELECT pg_backend_pid() AS pid",
    "setting": "SELECT current_setting(:name) AS value",
    "sleep": "SELECT pg_sleep(:seconds::float8)::text AS slept",
    "numbers": "SELECT n FROM generate_series(1, :count::int) AS n",
    "many_numbers": "SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 1000) AS n",
    "lock": "SELECT lesson_id FROM lesson WHERE lesson_id = :lesson_id FOR UPDATE",
    "read_changing_table": "SELECT x FROM changing",
    "divide_by_zero": "SELECT 1 / :zero::int AS quotient",
}


@pytest.fixture(autouse=True)
def statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements above beside those of the project."""
    of_the_project = db.sql
    monkeypatch.setattr(db, "sql", lambda name: STATEMENTS.get(name) or of_the_project(name))


@contextmanager
def pool_on(url: str, size: int = 2, statement_timeout_ms: int = 2000) -> Iterator[Pool]:
    """A pool as the functions have it."""
    config = replace(settings(), database_url=url, statement_timeout_ms=statement_timeout_ms)
    pool = Pool(db.connector(config), size, statement_timeout_ms / 1000 + db.SPARE_S)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with pool_on(database_url) as pool:
        yield pool


@pytest.fixture
def transaction(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`db.transaction` on the test's own pool."""
    monkeypatch.setattr(db, "pool", lambda: pool)
    return db.transaction


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(port: int) -> Iterator[Cluster]:
    """A server of our own, also by TCP; whoever stops it starts it again."""
    with (
        TemporaryDirectory(prefix="watchledger-tests-") as folder,
        postgres.running(
            open_to_postgres(folder),
            durable=False,
            pg_bin=os.environ.get("PG_BIN"),
            settings={"listen_addresses": "127.0.0.1", "port": str(port)},
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def cluster_url(cluster: Cluster, port: int) -> str:
    return f"{cluster.dsn('postgres')}&port={port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def pid_of(tx: Tx) -> int:
    return int(tx.one("pid", Row)["pid"])


def pid(pool: Pool) -> int:
    """The backend that serves the pool's next statement."""
    return pool.run(pid_of)


def end(url: str, backend: int) -> None:
    [[ended]] = run(url, "SELECT pg_terminate_backend(:pid::int, 5000)", pid=backend)
    assert ended


def cause(caught: pytest.ExceptionInfo[DatabaseUnavailable]) -> str:
    """The SQLSTATE behind a 503."""
    assert caught.value.__cause__ is not None
    return db.sqlstate(caught.value.__cause__)


# Kept, bounded, never shared


def test_a_connection_is_kept_and_used_again_outside_and_inside_of_transactions(
    pool: Pool, transaction: Callable[..., Any]
) -> None:
    assert len({pid(pool), pid(pool), transaction(pid_of)(), db.one("pid", Row)["pid"]}) == 1


def test_work_at_the_same_time_never_shares_a_connection(database_url: str) -> None:
    threads, rounds = 8, 25
    together = threading.Barrier(threads, timeout=10)

    def hold(tx: Tx) -> int:
        backend = pid_of(tx)
        together.wait()
        return backend

    def hold_again_and_again(pool: Pool) -> list[int]:
        backends = []
        for _ in range(rounds):
            backends.append(pool.run(hold))
            together.wait()
        return backends

    with pool_on(database_url, size=threads) as pool, ThreadPoolExecutor(threads) as workers:
        held = list(workers.map(hold_again_and_again, [pool] * threads))
    assert all(len(set(in_this_round)) == threads for in_this_round in zip(*held, strict=True))
    assert len({backend for of_thread in held for backend in of_thread}) == threads


@contextmanager
def all_in_use(pool: Pool, size: int = 2) -> Iterator[threading.Event]:
    """Every connection is held until the event is set, at the end at the latest."""
    held, let_go = threading.Barrier(size + 1, timeout=10), threading.Event()

    def hold(tx: Tx) -> None:
        held.wait()
        let_go.wait(10)

    with ThreadPoolExecutor(size) as workers:
        for _ in range(size):
            workers.submit(pool.run, hold)
        held.wait()
        try:
            yield let_go
        finally:
            let_go.set()


def test_when_all_connections_are_in_use_the_next_is_told_so_in_under_a_second(pool: Pool) -> None:
    with all_in_use(pool), in_time(1), pytest.raises(DatabaseUnavailable, match="in use"):
        pid(pool)
    assert pid(pool)


def test_who_waits_for_a_connection_gets_the_first_that_is_given_back(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "WAIT_FOR_CONNECTION_S", 10)
    with all_in_use(pool) as let_go, ThreadPoolExecutor(1) as waiting:
        answer = waiting.submit(pid, pool)
        let_go.set()
        assert answer.result(5)


def test_a_process_has_one_pool_even_if_its_first_requests_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, two_make_one = threading.Barrier(4, timeout=10), threading.Barrier(2, timeout=0.2)

    def connector(_: object) -> Any:
        with suppress(threading.BrokenBarrierError):
            two_make_one.wait()

    def first(_: int) -> Pool:
        at_once.wait()
        return db.pool()

    with deployed(), ThreadPoolExecutor(4) as requests:
        monkeypatch.setattr(db, "connector", connector)
        assert len(set(requests.map(first, range(4)))) == 1


# Replaced when broken


def test_a_connection_that_was_ended_while_idle_is_replaced_unnoticed(pool: Pool, database_url: str) -> None:
    first = pid(pool)
    end(database_url, first)
    assert pid(pool) != first


def test_a_connection_that_is_ended_at_work_is_replaced_and_the_work_done_again(pool: Pool, database_url: str) -> None:
    lesson_id = f"lesson-{uuid4()}"
    pool.run(lambda tx: tx.maybe("add_lesson", Row, lesson_id=lesson_id))
    seen: list[int] = []

    def lock(tx: Tx) -> str:
        seen.append(pid_of(tx))
        return str(tx.one("lock", Row, lesson_id=lesson_id)["lesson_id"])

    with closing(db.direct(database_url, 60_000)) as other, ThreadPoolExecutor(1) as worker:
        other.run("BEGIN")
        other.run(STATEMENTS["lock"], lesson_id=lesson_id)
        [[us]] = other.run("SELECT pg_backend_pid()")
        answer = worker.submit(pool.run, lock)
        wait_until_blocked_by(database_url, us)
        end(database_url, seen[0])
        other.run("COMMIT")
        assert answer.result(5) == lesson_id
    assert len(set(seen)) == 2


def wait_until_blocked_by(url: str, backend: int) -> None:
    query = "SELECT 1 FROM pg_stat_activity WHERE :pid::int = ANY (pg_blocking_pids(pid))"
    deadline = monotonic() + 5
    with closing(db.direct(url, 60_000)) as watcher:
        while not watcher.run(query, pid=backend):
            assert monotonic() < deadline


def test_after_a_restart_of_the_server_no_request_notices_it(cluster: Cluster, cluster_url: str) -> None:
    threads = 4
    all_hold_one = threading.Barrier(threads, timeout=10)

    def hold(tx: Tx) -> int:
        backend = pid_of(tx)
        all_hold_one.wait()
        return backend

    with pool_on(cluster_url, size=threads) as pool, ThreadPoolExecutor(threads) as workers:
        before = set(workers.map(lambda _: pool.run(hold), range(threads)))
        cluster.stop()
        with in_time(1), pytest.raises(DatabaseUnavailable):
            pid(pool)
        cluster.start()
        after = set(workers.map(lambda _: pool.run(hold), range(threads)))
    assert len(before) == len(after) == threads
    assert not before & after


def test_when_one_connection_is_lost_the_idle_ones_are_not_trusted_any_more(pool: Pool, database_url: str) -> None:
    both_hold_one = threading.Barrier(2, timeout=10)

    def hold(tx: Tx) -> int:
        backend = pid_of(tx)
        both_hold_one.wait()
        return backend

    with ThreadPoolExecutor(2) as workers:
        before = set(workers.map(lambda _: pool.run(hold), range(2)))
        end(database_url, pid(pool))
        pid(pool)
        after = set(workers.map(lambda _: pool.run(hold), range(2)))
    assert not before & after


def test_what_changed_under_a_prepared_statement_is_prepared_again(server_url: str) -> None:
    with new_database(server_url) as url, pool_on(url) as pool:
        run(url, "CREATE TABLE changing AS SELECT 1 AS x")
        assert pool.run(lambda tx: tx.one("read_changing_table", Row)) == {"x": 1}
        run(url, "ALTER TABLE changing ALTER x TYPE text")
        assert pool.run(lambda tx: tx.one("read_changing_table", Row)) == {"x": "1"}


def test_a_prepared_statement_that_a_pooler_dropped_is_prepared_again(pool: Pool) -> None:
    before = pid(pool)
    pool.run(lambda tx: tx.connection.run("DEALLOCATE ALL"))
    assert pid(pool) != before


class Interrupted(BaseException):
    """What ends a worker: KeyboardInterrupt and SystemExit are no Exceptions either."""


@pytest.mark.parametrize("interruption", [Interrupted, ValueError])
def test_an_answer_that_was_read_half_is_never_taken_for_the_next_one(
    pool: Pool, interruption: type[BaseException]
) -> None:
    def interrupt(_: str) -> int:
        raise interruption

    def read_half(tx: Tx) -> None:
        tx.connection.register_in_adapter(23, interrupt)
        tx.many("many_numbers", Row)

    before = pid(pool)
    with pytest.raises(interruption):
        pool.run(read_half)
    assert pool.run(lambda tx: tx.one("numbers", Row, count=1)) == {"n": 1}
    assert pid(pool) != before


# Limits


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "2s"),
        ("lock_timeout", "1500ms"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("idle_session_timeout", "15min"),
        ("timezone", "UTC"),
        ("application_name", "watchledger"),
    ],
)
def test_a_connection_has_its_limits_from_the_start(pool: Pool, name: str, value: str) -> None:
    assert pool.run(lambda tx: tx.one("setting", Row, name=name)) == {"value": value}


def test_nothing_is_set_in_a_session_that_a_pooler_could_give_to_somebody_else(pool: Pool) -> None:
    query = "SELECT name FROM pg_settings WHERE source = 'session'"
    pid(pool)
    assert pool.run(lambda tx: tx.connection.run(query)) == []


def test_a_statement_that_takes_too_long_is_given_up_and_its_connection_kept(database_url: str) -> None:
    tries: list[int] = []

    def sleep(tx: Tx) -> None:
        tries.append(pid_of(tx))
        tx.one("sleep", Row, seconds=60)

    with pool_on(database_url, statement_timeout_ms=100) as pool:
        with pytest.raises(DatabaseUnavailable) as caught:
            pool.run(sleep)
        assert cause(caught) == "57014"
        assert tries == [pid(pool)]


def test_each_piece_of_work_has_the_whole_time(database_url: str) -> None:
    with pool_on(database_url, statement_timeout_ms=200) as pool:
        for _ in range(8):
            pool.run(lambda tx: tx.one("sleep", Row, seconds=0.1))


def test_a_lock_that_is_not_had_in_time_is_given_up_and_its_connection_kept(database_url: str) -> None:
    lesson_id = f"lesson-{uuid4()}"
    run(database_url, "INSERT INTO lesson (lesson_id) VALUES (:lesson_id)", lesson_id=lesson_id)
    with pool_on(database_url, statement_timeout_ms=200) as pool, closing(db.direct(database_url, 60_000)) as other:
        before = pid(pool)
        other.run("BEGIN")
        other.run(STATEMENTS["lock"], lesson_id=lesson_id)
        with pytest.raises(DatabaseUnavailable) as caught:
            pool.run(lambda tx: tx.one("lock", Row, lesson_id=lesson_id))
        assert cause(caught) == "55P03"
        assert pid(pool) == before


def test_a_server_that_falls_silent_is_given_up_in_time_and_only_once(database_url: str) -> None:
    """The server's own limit is taken away, so that nothing but the client's patience ends the wait."""
    with pool_on(database_url, statement_timeout_ms=200) as pool:
        tries: list[int] = []

        def sleep(tx: Tx) -> None:
            tx.connection.run("SET statement_timeout = 0")
            tries.append(pid_of(tx))
            tx.one("sleep", Row, seconds=60)

        began = monotonic()
        with in_time(1.5), pytest.raises(DatabaseUnavailable):
            pool.run(sleep)
        assert monotonic() - began > 0.6
        assert len(tries) == 1
        assert pid(pool) != tries[0]
        end(database_url, tries[0])


# Transactions


def test_a_transaction_that_raises_is_rolled_back_and_its_connection_kept(
    pool: Pool, transaction: Callable[..., Any], database_url: str
) -> None:
    lesson_id = f"lesson-{uuid4()}"

    @transaction
    def add_and_fail(tx: Tx) -> None:
        tx.one("add_lesson", Row, lesson_id=lesson_id)
        raise SessionNotFound

    before = pid(pool)
    with pytest.raises(SessionNotFound):
        add_and_fail()
    assert not is_stored(database_url, lesson_id)
    pool.run(lambda tx: tx.one("add_lesson", Row, lesson_id=lesson_id))
    assert is_stored(database_url, lesson_id)
    assert pid(pool) == before


def is_stored(url: str, lesson_id: str) -> bool:
    return bool(run(url, "SELECT 1 FROM lesson WHERE lesson_id = :lesson_id", lesson_id=lesson_id))


def test_what_a_transaction_raises_is_told_even_if_its_connection_is_gone(
    pool: Pool, transaction: Callable[..., Any], database_url: str
) -> None:
    @transaction
    def fail_without_connection(tx: Tx) -> None:
        end(database_url, pid_of(tx))
        raise SessionNotFound

    with pytest.raises(SessionNotFound):
        fail_without_connection()
    assert pid(pool)


def test_a_transaction_that_failed_is_never_taken_for_committed(transaction: Callable[..., Any]) -> None:
    @transaction
    def swallow(tx: Tx) -> str:
        with pytest.raises(DatabaseError):
            tx.one("divide_by_zero", Row, zero=0)
        return "all is well"

    with pytest.raises(DatabaseUnavailable):
        swallow()


def test_a_mistake_of_ours_is_raised_as_it_is_and_not_tried_again(pool: Pool) -> None:
    tries: list[int] = []

    def divide(tx: Tx) -> None:
        tries.append(pid_of(tx))
        tx.one("divide_by_zero", Row, zero=0)

    with pytest.raises(DatabaseError) as caught:
        pool.run(divide)
    assert db.sqlstate(caught.value) == "22012"
    assert tries == [pid(pool)]


def test_a_transaction_that_lost_a_deadlock_is_done_again(
    pool: Pool, transaction: Callable[..., Any], database_url: str
) -> None:
    lessons = [f"lesson-{uuid4()}" for _ in range(2)]
    for lesson_id in lessons:
        run(database_url, "INSERT INTO lesson (lesson_id) VALUES (:lesson_id)", lesson_id=lesson_id)
    each_has_one = threading.Barrier(2, timeout=10)
    tries: list[list[str]] = []

    @transaction
    def lock(tx: Tx, order: list[str]) -> list[str]:
        first_try = order not in tries
        tries.append(order)
        tx.one("lock", Row, lesson_id=order[0])
        if first_try:
            each_has_one.wait()
        tx.one("lock", Row, lesson_id=order[1])
        return order

    orders = [lessons, lessons[::-1]]
    with ThreadPoolExecutor(2) as workers:
        assert list(workers.map(lock, orders)) == orders
    assert len(tries) > 2


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_rows_than_the_caller_counts_on_is_a_mistake(pool: Pool, count: int) -> None:
    with pytest.raises(db.CardinalityError, match="numbers"):
        pool.run(lambda tx: tx.one("numbers", Row, count=count))
    assert pool.run(lambda tx: len(tx.many("numbers", Row, count=count))) == count


def test_none_or_one_row_is_none_or_the_row(pool: Pool) -> None:
    assert pool.run(lambda tx: tx.maybe("numbers", Row, count=0)) is None
    assert pool.run(lambda tx: tx.maybe("numbers", Row, count=1)) == {"n": 1}
    with pytest.raises(db.CardinalityError, match="at most one"):
        pool.run(lambda tx: tx.maybe("numbers", Row, count=2))


# No connection to be had


def test_a_port_where_nobody_listens_is_known_at_once() -> None:
    url = f"postgresql://u@127.0.0.1:{free_port()}/x"
    with pool_on(url) as pool, in_time(0.5), pytest.raises(DatabaseUnavailable):
        pid(pool)


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for sslmode in ("disable", "prefer"):
            url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x?sslmode={sslmode}"
            with pool_on(url) as pool, in_time(2), pytest.raises(DatabaseUnavailable):
                pid(pool)


def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # from some point on the system drops what knocks
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(full.getsockname())
        url = f"postgresql://u@127.0.0.1:{full.getsockname()[1]}/x"
        with pool_on(url) as pool, in_time(2), pytest.raises(DatabaseUnavailable):
            pid(pool)


def test_a_server_without_room_for_another_connection_is_unavailable(server_url: str) -> None:
    role = f"test_{uuid4().hex[:12]}"
    parts = urlsplit(server_url)
    as_role = parts._replace(query=f"{parts.query}&user={role}".lstrip("&"), netloc=parts.netloc.rpartition("@")[2])
    run(server_url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1 PASSWORD NULL")
    try:
        with pool_on(as_role.geturl()) as pool:

            def ask_for_another(tx: Tx) -> None:
                pid_of(tx)
                pid(pool)

            with pytest.raises(DatabaseUnavailable) as caught:
                pool.run(ask_for_another)
            assert cause(caught) == "53300"
            assert pid(pool)
    finally:
        run(server_url, f"DROP ROLE {role}")


def test_a_server_that_is_shutting_down_is_unavailable(cluster: Cluster, cluster_url: str) -> None:
    with pool_on(cluster_url) as pool:
        with closing(db.direct(cluster_url, 60_000)) as keeps_it_up:
            keeps_it_up.run("SELECT 1")
            os.kill(cluster.pid, 15)  # smart: those who are connected may finish, nobody new may come
            wait_until_refused(cluster_url)
            with pytest.raises(DatabaseUnavailable) as caught:
                pid(pool)
            assert cause(caught) == "57P03"
        cluster.stop()
        cluster.start()
        assert pid(pool)


def wait_until_refused(url: str) -> None:
    deadline = monotonic() + 5
    while monotonic() < deadline:
        try:
            db.direct(url, 60_000).close()
        except DatabaseError:
            return
    raise TimeoutError


def test_a_primary_that_became_a_replica_is_left_and_writes_go_to_the_new_one(server_url: str) -> None:
    """What a client sees of a failover: the sessions it has may only read."""
    add = Row(lesson_id="lesson")
    with new_database(server_url) as url, pool_on(url) as pool:
        name = urlsplit(url).path[1:]
        run(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        before = pid(pool)
        with pytest.raises(DatabaseUnavailable) as caught:
            pool.run(lambda tx: tx.maybe("add_lesson", Row, **add))
        assert cause(caught) == "25006"
        run(server_url, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert pool.run(lambda tx: tx.maybe("add_lesson", Row, **add)) == add
        assert pid(pool) != before


# Where the database is


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40ss@db.example:6432/ledger", ("u", "p@ss", "db.example", 6432, "ledger", None)),
        ("postgres://db.example/ledger", ("postgres", None, "db.example", 5432, "ledger", None)),
        ("postgresql://u@[::1]:5433/ledger?sslmode=disable", ("u", None, "::1", 5433, "ledger", False)),
        ("postgresql://u@h/a%2Fb?sslmode=require", ("u", None, "h", 5432, "a/b", True)),
        (
            "postgresql:///ledger?host=db.example&port=6432&user=a%25b",
            ("a%b", None, "db.example", 6432, "ledger", None),
        ),
        ("postgresql://h", ("postgres", None, "h", 5432, None, None)),
    ],
)
def test_a_url_says_where_the_database_is(url: str, expected: tuple[object, ...]) -> None:
    chosen = db.options(url, 2000)
    assert tuple(chosen[k] for k in ("user", "password", "host", "port", "database", "ssl_context")) == expected


def test_a_folder_as_host_is_that_of_the_socket() -> None:
    chosen = db.options("postgresql://u@/ledger?host=%2Ftmp%2Fwith%20space&port=6432", 2000)
    assert chosen["unix_sock"] == "/tmp/with space/.s.PGSQL.6432"
    assert chosen["ssl_context"] is False
    assert "host" not in chosen


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/ledger",
        "u:secret@h/ledger",
        "postgresql://u:secret/x@h/ledger",
        "postgresql://u:secret#x@h/ledger",
        "postgresql://u:[secret@h/ledger",
        "postgresql://u:secret@h:65536/ledger",
        "postgresql://u:secret@h/ledger?port=secret",
        "postgresql://u:secret@h/ledger?ssl_mode=verify-full",
        "postgresql://u:secret@h/ledger?sslmode=verify-secretly",
        "postgresql://u:secret@h/ledger?sslmode",
        "host=h password=secret dbname=ledger",
    ],
)
def test_what_is_not_understood_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="database URL") as caught:
        db.options(url, 2000)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="database URL"):
        db.connector(replace(settings(), database_url=url))


@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
@pytest.mark.usefixtures("cluster")
def test_a_server_without_tls_serves_who_does_not_ask_for_it(port: int, sslmode: str) -> None:
    with pool_on(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode={sslmode}") as pool:
        assert pid(pool)


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
@pytest.mark.usefixtures("cluster")
def test_a_server_without_tls_serves_nobody_who_asks_for_it(port: int, sslmode: str) -> None:
    with (
        pool_on(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode={sslmode}") as pool,
        pytest.raises(DatabaseUnavailable),
    ):
        pid(pool)


def test_a_tool_is_told_why_the_server_refused_it(server_url: str) -> None:
    """The server hangs up after it has said why; the driver's goodbye then fails, and must not hide it."""
    url = urlsplit(server_url)._replace(path="/nowhere").geturl()
    for _ in range(20):
        with pytest.raises(DatabaseError) as caught:
            db.direct(url, 2000)
        assert db.sqlstate(caught.value) == "3D000"
