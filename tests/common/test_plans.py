"""How PostgreSQL carries out what requests ask of it when there are a million segments in two years of partitions."""

import inspect
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pg8000.native import Connection, identifier, literal, to_statement
from uuid_utils.compat import uuid7

from common import attempts, crediting, db, engagement, evidence, lessons, progress, seeks, sessions, sweeping
from tests.conftest import database

BIG = Path(__file__).with_name("big.sql")
# Archiving reads months whole.
SERVING = (attempts, crediting, engagement, evidence, lessons, progress, seeks, sessions, sweeping)
SOURCES = "".join(inspect.getsource(module) for module in SERVING)
STATEMENTS = sorted(p.stem for p in (Path(db.__file__).parent / "sql").glob("*.sql") if f'"{p.stem}"' in SOURCES)
RAW = ("watch_segment", "seek_event")
PAGES = 100  # that a statement may touch at most; the tables have more than 15,000
RAW_PAGES = 100  # beside these, of a session whose raw rows are read: each of its segments may lie on another

LOCKED = """
    SELECT c.relname FROM pg_locks AS l INNER JOIN pg_class AS c ON l.relation = c.oid
    WHERE l.pid = pg_backend_pid() AND c.relkind IN ('r', 'p')
"""
SESSION = (
    "SELECT session_id::text, user_id, attempt_id::text, lesson_id FROM watch_session WHERE idempotency_key = :key"
)


@pytest.fixture(scope="module")
def big(server_url: str) -> Iterator[Connection]:
    """A connection to a big database."""
    with database(server_url) as url, closing(db.direct(url, 300_000)) as connection:
        for statement in BIG.read_text(encoding="utf-8").split(";\n"):
            connection.execute_simple(statement)
        yield connection


@pytest.fixture(params=["key-19800", "eager-2500"])
def parameters(big: Connection, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Values for every parameter that any statement has: an open session and what it belongs to.

    Its user is one like all others, or the one who has a thousand times as much.
    """
    return parameters_of(big, request.param)


def parameters_of(big: Connection, key: str) -> dict[str, Any]:
    [[session_id, user_id, attempt_id, lesson_id]] = big.run(SESSION, key=key)
    segment = {"start_ms": 7, "end_ms": 11, "effective_ms": 4, "speed": 1, "occurred_at": None}
    seek = {"from_ms": 7, "to_ms": 90_007, "allowed": True, "reason": None, "occurred_at": None}
    return {
        "session_id": session_id,
        "user_id": user_id,
        "attempt_id": attempt_id,
        "lesson_id": lesson_id,
        "buckets": 100,
        "idempotency_key": key,
        "events": json.dumps(
            {
                "segments": [{"client_event_id": str(uuid4())} | segment for _ in range(3)],
                "seeks": [{"client_event_id": str(uuid4())} | seek],
            }
        ),
        "ended": False,
        "before": None,
        "assigned_at": None,
        "after": str(uuid7()),
        "limit": 50,
        "silent_s": 300,
        "client_info": None,
        "client_started_at": None,
        "duration_ms": 1000,
        "seek_policy": "flag",
        "skip_threshold_ms": 5000,
        "completion_threshold": None,
        "credit_window_days": 365,
        "max_credit_ratio": 1,
        "integrity_policy": "flag",
    }


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Plan:
    """A plan, carried out, and taken back."""

    def __init__(self, big: Connection, name: str, mode: str, parameters: dict[str, Any]) -> None:
        text, values_of = to_statement(db.sql(name))
        values = ", ".join(literal(value) for value in values_of(parameters))
        execute = f"EXECUTE {identifier(name)}" + (f" ({values})" if values else "")
        big.run(f"SET plan_cache_mode = {mode}")
        big.execute_simple(f"PREPARE {identifier(name)} AS {text}")
        for _ in ("to know what the catalogue has to say", "to be looked at"):
            big.run("BEGIN")
            try:
                [[[explained]]] = big.execute_simple(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}").rows
                self.locked = {table for [table] in big.run(LOCKED)}
            finally:
                big.run("ROLLBACK")
        big.run("DEALLOCATE ALL")
        self.top = explained["Plan"]
        self.nodes = list(walk(self.top))

    @property
    def pages(self) -> int:
        return int(self.top["Shared Hit Blocks"] + self.top["Shared Read Blocks"])

    def months(self, table: str) -> set[str]:
        """Which partitions of a table were really read."""
        carried_out = [node for node in self.nodes if node["Actual Loops"]]
        return {node["Relation Name"] for node in carried_out if node.get("Relation Name", "").startswith(f"{table}_")}


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_finds_its_rows_by_an_index_and_touches_one_month(
    big: Connection, name: str, mode: str, parameters: dict[str, Any]
) -> None:
    plan = Plan(big, name, mode, parameters)
    assert [node["Relation Name"] for node in plan.nodes if node["Node Type"] == "Seq Scan"] == []
    assert plan.pages < PAGES + RAW_PAGES * (name == "find_evidence")
    for table in RAW:
        assert len(plan.months(table)) <= 1


@pytest.mark.parametrize("name", STATEMENTS)
def test_an_attempts_total_is_planned_with_the_statement_it_stands_in(
    big: Connection, name: str, mode: str, parameters: dict[str, Any]
) -> None:
    plan = Plan(big, name, mode, parameters)
    assert "attempt_total" not in {node.get("Function Name") for node in plan.nodes}


def test_a_write_locks_the_partitions_of_its_month_and_no_other(
    big: Connection, mode: str, parameters: dict[str, Any]
) -> None:
    [[month]] = big.run(
        "SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYYMM') FROM watch_session WHERE session_id = :id",
        id=parameters["session_id"],
    )
    plan = Plan(big, "record_progress", mode, parameters)
    assert {table for table in plan.locked if table.startswith(RAW)} == {
        "watch_segment",
        "seek_event",
        f"watch_segment_{month}",
        f"seek_event_{month}",
    }


@pytest.mark.parametrize("key", ["key-100", "key-19800"])
@pytest.mark.parametrize("name", ["fold_attempts_of_session", "find_evidence"])
def test_raw_rows_are_read_of_the_sessions_month_and_no_other(big: Connection, mode: str, name: str, key: str) -> None:
    of_a_session = parameters_of(big, key)
    [[month]] = big.run(
        "SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYYMM') FROM watch_session WHERE session_id = :id",
        id=of_a_session["session_id"],
    )
    plan = Plan(big, name, mode, of_a_session)
    read = {table for table in plan.locked if table.startswith(RAW)}
    if name == "fold_attempts_of_session" and key == "key-19800":  # it is open: nothing is to be noted
        assert read == set()
    else:
        assert {"seek_event", f"seek_event_{month}"} <= read
        assert read <= {"seek_event", f"seek_event_{month}", "watch_segment", f"watch_segment_{month}"}


def test_the_engagement_of_ten_thousand_learners_reads_each_session_once_and_no_raw_row(
    big: Connection, mode: str
) -> None:
    plan = Plan(big, "summarize_engagement", mode, {"lesson_id": "crowded", "buckets": 200})
    [sessions] = [node for node in plan.nodes if node.get("Relation Name") == "watch_session"]
    assert (sessions["Actual Loops"], sessions["Actual Rows"]) == (1, 15_000)
    assert {table for table in plan.locked if table.startswith(RAW)} == set()
    assert plan.pages < 20 * PAGES


def test_a_plan_that_reads_a_table_whole_would_be_noticed(
    big: Connection, mode: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "sql", lambda name: "SELECT count(*) FROM watch_segment WHERE user_id = :user_id")
    plan = Plan(big, "anything", mode, parameters)
    assert "Seq Scan" in {node["Node Type"] for node in plan.nodes}
    assert plan.pages > PAGES
    assert len(plan.months("watch_segment")) > 20


def test_a_page_of_a_long_history_costs_the_page_and_not_the_history(big: Connection, mode: str) -> None:
    of_all_lessons = parameters_of(big, "eager-2500") | {"lesson_id": None}
    plan = Plan(big, "list_unassigned_history", mode, of_all_lessons)
    assert plan.top["Actual Rows"] == of_all_lessons["limit"]
    assert plan.pages < 10 * of_all_lessons["limit"]
