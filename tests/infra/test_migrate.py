import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from difflib import unified_diff
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError, ProgrammingError

from common import db
from infra import migrate as module
from infra.migrate import MIGRATIONS, ContractWaits, migrate
from tests.conftest import run

REPOSITORY = Path(__file__).parents[2]
VERSIONS = sorted(path.name[:4] for path in MIGRATIONS.glob("versions/*.sql"))
LAST = VERSIONS[-1]
DOCUMENTED = (REPOSITORY / "docs/schema.sql").read_text()

# What a database is made of, told so that two databases that work alike tell alike: no ids, no order of columns.
# Months of raw rows come and go; how far Alembic is, is not part of the schema.
OURS = """
    WITH ours AS (
        SELECT c.oid, c.relname AS name
        FROM pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND c.relname !~ '_[0-9]{6}$' AND c.relname <> 'alembic_version'
    )
"""
CATALOG = {
    "relation": """
        SELECT format('%s kind %s', ours.name, c.relkind)
            || coalesce(' partition by ' || pg_get_partkeydef(c.oid), '')
            || coalesce(' of ' || i.inhparent::regclass || ' ' || pg_get_expr(c.relpartbound, c.oid), '')
            || coalesce(' with ' || array_to_string(c.reloptions, ', '), '')
            || coalesce(' as ' || pg_get_viewdef(c.oid), '')
        FROM ours
        JOIN pg_class AS c USING (oid)
        LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
    """,
    "column": """
        SELECT format('%s.%s %s', ours.name, a.attname, format_type(a.atttypid, a.atttypmod))
            || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
            || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
            || a.attidentity::text || a.attgenerated::text
            || coalesce(' with ' || array_to_string(a.attoptions, ', '), '')
        FROM ours
        JOIN pg_attribute AS a ON a.attrelid = ours.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = ours.oid AND d.adnum = a.attnum
    """,
    "constraint": """
        SELECT format('%s %s %s', ours.name, c.conname, pg_get_constraintdef(c.oid))
        FROM ours JOIN pg_constraint AS c ON c.conrelid = ours.oid
    """,
    "index": """
        SELECT pg_get_indexdef(i.indexrelid) FROM ours JOIN pg_index AS i ON i.indrelid = ours.oid
    """,
    "trigger": """
        SELECT pg_get_triggerdef(t.oid) FROM ours
        JOIN pg_trigger AS t ON t.tgrelid = ours.oid AND NOT t.tgisinternal
    """,
    "function": """
        SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
        WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e'
        )
    """,
    "type": """
        SELECT format('%s kind %s', t.typname, t.typtype) FROM pg_type AS t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e', 'r')
    """,
    "extension": "SELECT e.extname FROM pg_extension AS e",
}


def schema(url: str) -> list[str]:
    """Everything in a database, line by line."""
    told = [f"{kind} {text}" for kind, query in CATALOG.items() for [text] in run(url, OURS + query)]
    return [line for text in sorted(told) for line in text.splitlines()]


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """The URL of a database that does not exist yet, dropped at the end."""
    name = f"watchledger_migrate_{uuid4().hex[:12]}"
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        run(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with database(server_url) as url:
        yield url


@pytest.fixture
def add_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Add a migration after the last: `add_migration("0099", "CREATE TABLE …")`, or `…, kind="contract")`."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    monkeypatch.setattr(module, "MIGRATIONS", folder)
    revisions = [*VERSIONS]

    def add(revision: str, sql: str, kind: str = "expand") -> None:
        path = folder / "versions" / f"{revision}_{kind}_test"
        path.with_suffix(".sql").write_text(sql)
        path.with_suffix(".py").write_text(
            "from infra.migrate import run_sql\n"
            f"revision = {revision!r}\n"
            f"down_revision = {revisions[-1]!r}\n"
            "def upgrade(): run_sql(__file__)\n"
        )
        revisions.append(revision)

    return add


def tables(url: str) -> set[str]:
    return {name for [name] in run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.migrate", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
    )


def test_a_database_that_does_not_exist_is_made_and_gets_the_whole_schema(url: str) -> None:
    assert migrate(url) == (None, LAST)
    assert {"lesson", "lesson_attempt", "watch_session", "watch_segment", "seek_event"} < tables(url)


def test_a_second_run_changes_nothing(url: str) -> None:
    migrate(url)
    before = schema(url)

    assert migrate(url) == (LAST, LAST)
    assert schema(url) == before


def migrate_with_another(barrier: Barrier, url: str, results: "SimpleQueue[tuple[str | None, str | None]]") -> None:
    barrier.wait(timeout=60)
    results.put(migrate(url))


def test_of_two_at_once_one_migrates_and_the_other_finds_nothing_to_do(url: str) -> None:
    context = get_context("spawn")
    barrier, results = context.Barrier(2, timeout=60), context.SimpleQueue()
    processes = [context.Process(target=migrate_with_another, args=(barrier, url, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    assert Counter(results.get() for _ in processes) == {(None, LAST): 1, (LAST, LAST): 1}


def test_who_holds_the_lock_may_be_idle_for_as_long_as_it_takes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    direct = db.direct

    def listening(*args: Any, **kwargs: Any) -> Any:
        connection = direct(*args, **kwargs)
        limits.append(connection.run("SHOW idle_session_timeout")[0][0])
        return connection

    monkeypatch.setattr(db, "direct", listening)
    migrate(url)

    assert limits == ["15min", "0"]


def test_migrating_can_stop_at_a_revision_and_go_on_from_there(url: str) -> None:
    assert migrate(url, to=VERSIONS[0]) == (None, VERSIONS[0])
    assert run(url, "SELECT to_regproc('ensure_month')") == [[None]]

    assert migrate(url) == (VERSIONS[0], LAST)


BEFORE_ENGAGEMENT = """
    INSERT INTO lesson (lesson_id) VALUES ('a lesson');
    INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no)
    VALUES (md5('try')::uuid, 'ada', 'a lesson', 1);
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, closed_at, archived_at, idempotency_key
    )
    SELECT
        md5(name)::uuid, 'ada', md5('try')::uuid, 'a lesson', false, CASE WHEN ended THEN 'closed' ELSE 'open' END,
        CASE WHEN ended THEN now() END, CASE WHEN archived THEN now() END, name
    FROM (VALUES ('again', true, false), ('skipped', true, false), ('archived', true, true), ('open', false, false))
        AS session (name, ended, archived);
    INSERT INTO watch_segment
    SELECT md5(name)::uuid, gen_random_uuid(), 'ada', start_ms, end_ms, end_ms - start_ms, 1, now(), now()
    FROM (VALUES ('again'), ('open')) AS session (name)
    CROSS JOIN (VALUES (0, 1000), (100, 200), (150, 900), (1000, 3000)) AS segment (start_ms, end_ms);
    INSERT INTO seek_event
    SELECT md5(name)::uuid, gen_random_uuid(), 'ada', from_ms, to_ms, 0, is_skip, true, NULL, now(), now()
    FROM (VALUES ('again'), ('skipped')) AS session (name)
    CROSS JOIN (VALUES (3000, 9000, true), (5000, 6000, true), (9000, 9500, false)) AS seek (from_ms, to_ms, is_skip);
"""


def test_of_sessions_that_ended_before_it_is_noted_what_they_watched_again_and_jumped_over(url: str) -> None:
    migrate(url, to="0004")
    run(url, BEFORE_ENGAGEMENT)

    migrate(url)

    noted = run(url, "SELECT idempotency_key, rewatched::text, jumped_over::text FROM watch_session ORDER BY 1")
    assert noted == [
        ["again", "{[100,900)}", "{[3000,9000)}"],
        ["archived", "{}", "{}"],
        ["open", "{}", "{}"],
        ["skipped", "{}", "{[3000,9000)}"],
    ]


def test_a_migration_that_commits_on_its_way_can_be_run_again_from_its_beginning(url: str) -> None:
    migrate(url, to="0005")
    before = schema(url)
    run(url, "UPDATE alembic_version SET version_num = '0004'")

    assert migrate(url, to="0005") == ("0004", "0005")
    assert schema(url) == before


def test_an_older_revision_than_the_databases_takes_nothing_away(url: str) -> None:
    migrate(url)
    before = schema(url)

    assert migrate(url, to=VERSIONS[0]) == (LAST, LAST)
    assert schema(url) == before


def test_a_migration_that_fails_leaves_nothing_of_itself_and_all_of_those_before(
    url: str, add_migration: Callable[..., None]
) -> None:
    add_migration("0098", "CREATE TABLE before_it ();")
    add_migration("0099", "CREATE TABLE half_done (); CREATE TABLE lesson ();")

    with pytest.raises(ProgrammingError, match='relation "lesson" already exists'):
        migrate(url)

    assert "before_it" in tables(url)
    assert "half_done" not in tables(url)
    assert run(url, "SELECT version_num FROM alembic_version") == [["0098"]]


def test_a_migration_gives_up_rather_than_hold_up_everybody_behind_who_has_the_table(
    url: str, add_migration: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(url)
    add_migration("0099", "CREATE TABLE half_done (); ALTER TABLE lesson ADD note text;")
    monkeypatch.setattr(module, "PATIENCE_MS", 100)

    with closing(db.direct(url, 60_000)) as reader:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM lesson")
        with pytest.raises(DBAPIError, match="lock timeout"):
            migrate(url)
    assert "half_done" not in tables(url)

    assert migrate(url) == (LAST, "0099")


def test_a_migration_whose_revision_cannot_be_noted_leaves_nothing_of_itself(
    url: str, add_migration: Callable[..., None]
) -> None:
    migrate(url)
    add_migration("0099", "CREATE TABLE half_done (); DROP TABLE alembic_version;")

    with pytest.raises(ProgrammingError, match="alembic_version"):
        migrate(url)

    assert {"alembic_version"} == tables(url) & {"alembic_version", "half_done"}


def test_what_takes_something_away_waits_until_it_is_asked_for(url: str, add_migration: Callable[..., None]) -> None:
    add_migration("0098", "CREATE TABLE made ();")
    add_migration("0099", "DROP TABLE made;", kind="contract")

    assert migrate(url, contract=False) == (None, "0098")
    assert migrate(url, contract=False) == ("0098", "0098")
    assert "made" in tables(url)

    assert migrate(url) == ("0098", "0099")
    assert "made" not in tables(url)


def test_what_makes_room_is_not_left_out_because_something_before_it_waits(
    url: str, add_migration: Callable[..., None]
) -> None:
    add_migration("0097", "CREATE TABLE made ();")
    add_migration("0098", "DROP TABLE made;", kind="contract")
    add_migration("0099", "CREATE TABLE needed_by_the_next_functions ();")

    with pytest.raises(
        ContractWaits, match="0098_contract_test takes something away, and 0099_expand_test comes behind"
    ):
        migrate(url, contract=False)

    assert tables(url) == set()
    assert migrate(url) == (None, "0099")


def test_the_migrations_come_to_the_documented_schema(server_url: str, url: str) -> None:
    migrate(url)
    with database(server_url) as documented:
        migrate(documented, to="base")
        run(documented, DOCUMENTED)
        difference = list(
            unified_diff(schema(documented), schema(url), "docs/schema.sql", "the migrations", n=2, lineterm="")
        )

    assert not difference, "\n".join(difference)


def test_every_documented_column_says_what_it_is() -> None:
    tables = re.findall(r"CREATE TABLE \w+ \((.*?)\n\)", DOCUMENTED, re.DOTALL)
    columns = [line for table in tables for line in table.splitlines() if re.match(r" {4}[a-z]", line)]
    assert len(columns) > 60
    assert [line for line in columns if not re.search(r" -- \w", line)] == []


def test_the_command_tells_what_it_did(url: str) -> None:
    first, second = command(url), command(url)
    assert (first.returncode, first.stdout) == (0, f"schema empty → {LAST}\n")
    assert (second.returncode, second.stdout) == (0, f"schema {LAST}, nothing to do\n")


def test_the_command_knows_no_revision_that_does_not_exist(url: str) -> None:
    done = command(url, "--to", "0000")
    assert done.returncode == 2
    assert done.stderr.endswith("error: Can't locate revision identified by '0000'\n")
