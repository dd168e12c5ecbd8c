"""The Cloud SQL connector, really run: the Admin API, the certificates and the TLS door are a Cloud SQL of our own."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from common import cloud_sql, config, db
from common.db import Pool, Row
from common.errors import DatabaseUnavailable
from tests.clock import in_time
from tests.common.cloud_sql import CONNECTION_NAME, CloudSql, ServiceAccount
from tests.common.cloud_sql import cloud_sql as new_cloud_sql
from tests.conftest import Viewer, run


@pytest.fixture
def cloud(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudSql]:
    with new_cloud_sql(database_url, tmp_path) as cloud:
        monkeypatch.setattr("google.cloud.sql.connector.connector.SERVER_PROXY_PORT", cloud.port)
        yield cloud


@pytest.fixture
def pool(cloud: CloudSql, database_url: str) -> Iterator[Pool]:
    """The pool that a deployed function makes, with the Admin API elsewhere."""
    settings = replace(
        config.settings(),
        instance_connection_name=CONNECTION_NAME,
        database_user="postgres",
        database_name=urlsplit(database_url).path[1:],
    )
    api = {"credentials": ServiceAccount(), "sqladmin_api_endpoint": cloud.endpoint}
    with sockets_as_before():
        pool = Pool(cloud_sql.connector(settings, db.limits(settings.statement_timeout_ms), **api), 4, 2.5)
        yield pool
        pool.close()
        connector, loop = cloud_sql.of_this_process(**api)
        asyncio.run_coroutine_threadsafe(connector.close_async(), loop).result(timeout=60)
        loop.call_soon_threadsafe(loop.stop)


@contextmanager
def sockets_as_before() -> Iterator[None]:
    timeout = socket.getdefaulttimeout()
    try:
        yield
    finally:
        socket.setdefaulttimeout(timeout)


def test_a_viewers_session_runs_over_the_connector(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, new_lesson: Callable[..., str], database_url: str
) -> None:
    monkeypatch.setattr(db, "pool", lambda: pool)
    viewer = Viewer(new_lesson(durationSecond=100))
    viewer.start()
    viewer.watch((0, 10), (5, 20))
    viewer.touch()
    assert viewer.close()["coverageSecond"] == 20
    query = "SELECT count(*) FROM watch_segment WHERE session_id = :session_id::uuid"
    assert run(database_url, query, session_id=viewer.session_id) == [[2]]


def test_its_connections_have_their_limits_from_the_start_and_are_reused(pool: Pool) -> None:
    names = [*db.limits(2000), "application_name"]
    query = "SELECT pg_backend_pid(), " + ", ".join(f"current_setting('{name}')" for name in names)

    def look(_: int) -> Any:
        return pool.run(lambda tx: tx.connection.execute_simple(query).rows)

    [first, second] = map(look, range(2))
    assert first == second
    assert first[0][1:] == ["2s", "1500ms", "10s", "15min", "UTC", "force_generic_plan", "watchledger"]


def test_each_statement_is_its_own_transaction(pool: Pool, database_url: str) -> None:
    lesson_id = "over-the-connector"
    pool.run(lambda tx: tx.maybe("add_lesson", Row, lesson_id=lesson_id))
    assert run(database_url, "SELECT 1 FROM lesson WHERE lesson_id = :lesson_id", lesson_id=lesson_id) == [[1]]


def test_the_certificate_is_asked_for_once_and_only_when_it_is_needed(pool: Pool, cloud: CloudSql) -> None:
    assert cloud.calls == []
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda _: pool.run(lambda tx: tx.connection.execute_simple("SELECT 1")), range(4)))
    assert sorted(cloud.calls) == [":generateEphemeralCert", "connectSettings"]


def test_an_instance_that_falls_silent_is_given_up_in_time_and_used_again_when_it_answers(
    pool: Pool, cloud: CloudSql
) -> None:
    pool.run(lambda tx: tx.connection.execute_simple("SELECT 1"))
    pool.close()
    cloud.is_paused = True
    with ThreadPoolExecutor(4) as workers, in_time(3):
        waiting = [workers.submit(pool.run, lambda tx: None) for _ in range(4)]
        for request in waiting:
            with pytest.raises(DatabaseUnavailable):
                request.result()
    cloud.is_paused = False
    pool.run(lambda tx: tx.connection.execute_simple("SELECT 1"))


def test_an_admin_api_that_cannot_be_reached_makes_the_database_unavailable(pool: Pool, cloud: CloudSql) -> None:
    cloud.close()
    with in_time(3), pytest.raises(DatabaseUnavailable):
        pool.run(lambda tx: None)


def test_the_settings_choose_the_connector_where_an_instance_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(cloud_sql, "connector", lambda *given: asked.append(given))
    named = replace(config.settings(), instance_connection_name=CONNECTION_NAME)
    db.connector(named)
    assert asked == [(named, db.limits(named.statement_timeout_ms))]
