import os
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from common import db
from infra import postgres, roles, standing
from infra.migrate import MIGRATIONS, migrate
from infra.roles import PREFIX, Right
from tests.conftest import open_to_postgres, run

LAST = max(path.name[:4] for path in MIGRATIONS.glob("versions/*.sql"))
FUNCTIONS = standing.functions()
WRITING = {
    "archive_segments": {("watch_session", "UPDATE")},
    "assign_lesson": {("lesson", "INSERT"), ("lesson_attempt", "INSERT"), ("lesson_attempt", "UPDATE")}
    | {("watch_session", "UPDATE")},
    "find_evidence": set(),
    "find_lesson": set(),
    "find_progress": set(),
    "list_unassigned_history": set(),
    "maintain_partitions": set(),
    "set_lesson": {("lesson", "INSERT"), ("lesson", "UPDATE")},
    "summarize_engagement": set(),
    "summarize_skips": set(),
}
MAY_CALL = {"archive_segments": {"drop_month", "ensure_month"}, "maintain_partitions": {"ensure_month"}}


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[Any]:
    with closing(db.direct(database_url, 60_000)) as connection:
        yield connection


@pytest.fixture(scope="module")
def needed(database_url: str) -> roles.Rights:
    with closing(db.direct(database_url, 60_000)) as connection:
        return roles.needed(connection)


# Who may do what


def test_every_role_may_do_what_its_functions_statements_need_and_no_more(
    connection: Any, needed: roles.Rights
) -> None:
    lacking = "".join(roles.changes(roles.granted(connection), needed))
    assert not lacking, f"write a migration of what python -m infra.roles prints:\n{lacking}"


def test_the_documented_rights_are_those_in_the_database(connection: Any) -> None:
    told = roles.document(roles.granted(connection))
    assert roles.PATH.read_text() == told, "run: python -m infra.roles --write"


@pytest.mark.parametrize("function", WRITING)
def test_who_only_reads_cannot_write_and_who_writes_can_write_nothing_else(connection: Any, function: str) -> None:
    rights = roles.granted(connection)[function]
    assert {(r.target, r.privilege) for r in rights if r.privilege not in ("SELECT", "EXECUTE")} == WRITING[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_but_the_upkeep_can_make_and_nobody_but_archival_can_drop_a_month(
    connection: Any, function: str
) -> None:
    of_upkeep = ("drop_month(date, timestamptz)", "ensure_month(date)", "stage_month(date)", "attach_month(date)")
    may_call = {
        routine.partition("(")[0]
        for routine in of_upkeep
        for [may] in connection.run(
            "SELECT has_function_privilege(:role, :routine, 'EXECUTE')", role=PREFIX + function, routine=routine
        )
        if may
    }
    assert may_call == MAY_CALL.get(function, set())


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "attempt",
    [
        "DROP TABLE watch_segment_default",
        "ALTER TABLE watch_segment DETACH PARTITION watch_segment_default",
        "TRUNCATE seek_event",
        "CREATE TABLE mine ()",
        "DELETE FROM watch_segment",
        "UPDATE watch_segment SET end_ms = 1",
        "UPDATE watch_session SET user_id = 'me'",
        "SELECT version_num FROM alembic_version",
    ],
)
def test_no_function_can_take_away_or_falsify_what_was_recorded(connection: Any, function: str, attempt: str) -> None:
    connection.run("BEGIN")
    connection.run(f"SET LOCAL ROLE {PREFIX}{function}")
    with pytest.raises(db.DatabaseError) as refusal:
        connection.run(attempt)
    connection.run("ROLLBACK")

    assert db.sqlstate(refusal.value) == "42501"


def test_roles_cannot_log_in_and_have_no_powers(connection: Any) -> None:
    powers = connection.run(
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, :prefix)"
        " AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)",
        prefix=PREFIX,
    )
    assert powers == []


def test_what_runs_with_its_owners_rights_looks_for_names_where_only_the_owner_can_put_them(connection: Any) -> None:
    found = connection.run("SELECT p.proname, p.proconfig FROM pg_proc AS p WHERE p.prosecdef")
    assert {name for name, _ in found} == {"drop_month", "ensure_month", "stage_month"}
    assert all("search_path=public, pg_temp" in settings for _, settings in found)


# Mutations


@pytest.mark.parametrize(
    ("mutation", "complaint"),
    [
        (
            "GRANT UPDATE (coverage) ON watch_session TO watchledger_find_progress",
            "REVOKE UPDATE (coverage) ON watch_session FROM watchledger_find_progress;\n",
        ),
        (
            "GRANT DELETE ON watch_segment TO watchledger_record_progress",
            "REVOKE DELETE ON watch_segment FROM watchledger_record_progress;\n",
        ),
        (
            "GRANT SELECT ON lesson TO watchledger_find_lesson",
            "REVOKE SELECT ON lesson FROM watchledger_find_lesson;\n",
        ),
        (
            "GRANT EXECUTE ON FUNCTION drop_month(date, timestamptz) TO watchledger_maintain_partitions",
            "REVOKE EXECUTE ON FUNCTION drop_month(date,timestamp with time zone)"
            " FROM watchledger_maintain_partitions;\n",
        ),
        (
            "REVOKE INSERT (speed) ON watch_segment FROM watchledger_record_progress",
            "GRANT INSERT (speed) ON watch_segment TO watchledger_record_progress;\n",
        ),
        (
            "REVOKE SELECT (duration_ms) ON lesson FROM watchledger_touch_session",
            "GRANT SELECT (duration_ms) ON lesson TO watchledger_touch_session;\n",
        ),
    ],
)
def test_a_role_that_may_do_more_or_less_than_it_needs_is_noticed(
    connection: Any, needed: roles.Rights, mutation: str, complaint: str
) -> None:
    connection.run("BEGIN")
    connection.run(mutation)
    found = list(roles.changes(roles.granted(connection), needed))
    connection.run("ROLLBACK")

    assert found == [complaint]


def test_a_role_that_no_function_has_any_more_is_noticed(connection: Any, needed: roles.Rights) -> None:
    connection.run("BEGIN")
    connection.run("CREATE ROLE watchledger_of_old")
    connection.run("GRANT SELECT (lesson_id) ON lesson TO watchledger_of_old")
    found = list(roles.changes(roles.granted(connection), needed))
    connection.run("ROLLBACK")

    assert found == ["REVOKE SELECT (lesson_id) ON lesson FROM watchledger_of_old;\n"]


def test_a_function_without_a_role_is_noticed(connection: Any, needed: roles.Rights) -> None:
    of_one = {function: rights for function, rights in roles.granted(connection).items() if function != "find_lesson"}

    connection.run("BEGIN")
    new_role, grant = roles.changes(of_one, needed)
    connection.run(new_role)
    connection.run(grant)
    connection.run("ROLLBACK")

    assert "CREATE ROLE watchledger_find_lesson" in new_role
    assert grant.endswith("ON lesson TO watchledger_find_lesson;\n")


def test_a_need_is_found_wherever_a_statement_hides_it(connection: Any) -> None:
    """In a row that is locked, an index that is inferred, a routine that is called, a column that is only sorted by."""
    every = {Right(*row) for row in connection.run(roles.statement("list_possible_rights"))}
    routines = [roles.Routine(*row) for row in connection.run(roles.statement("list_routines"))]
    needs: dict[str, set[tuple[str, str, str]]] = {}
    with closing(db.direct(os.environ["DATABASE_URL"], 60_000)) as own:
        for name in ("lock_attempt", "set_lesson", "drop_month", "list_silent_sessions", "end_silent_session"):
            own.run(roles.prepared(name))
            found = roles.needed_by(own, {name}, every, routines)
            needs[name] = {(right.target, right.column, right.privilege) for right in found}

    assert needs["lock_attempt"] == {
        ("lesson_attempt", "attempt_id", "SELECT"),
        ("lesson_attempt", "user_id", "SELECT"),
        ("lesson_attempt", "last_position_at", "UPDATE"),
    }
    assert ("lesson", "lesson_id", "SELECT") in needs["set_lesson"]
    assert needs["drop_month"] == {("drop_month(date,timestamp with time zone)", "", "EXECUTE")}
    assert {column for _, column, _ in needs["list_silent_sessions"]} == {
        "session_id",
        "user_id",
        "status",
        "last_heartbeat_at",
    }
    assert ("watch_session", "closed_at", "UPDATE") in needs["end_silent_session"]


def test_the_command_tells_what_a_migration_has_to_say(
    connection: Any, needed: roles.Rights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {**needed, "find_lesson": needed["find_lesson"] | {Right("lesson", 9, "created_at", "SELECT")}}
    monkeypatch.setattr("sys.argv", ["roles", "--check"])

    monkeypatch.setattr(roles, "needed", lambda connection: needed)
    roles.main()
    assert capsys.readouterr().out == ""

    monkeypatch.setattr(roles, "needed", lambda connection: more)
    with pytest.raises(SystemExit, match="roles and code differ"):
        roles.main()
    assert capsys.readouterr().out == "GRANT SELECT (created_at) ON lesson TO watchledger_find_lesson;\n"


# Made by whoever migrates


@pytest.fixture
def server() -> Iterator[postgres.Cluster]:
    """A server of its own, as Cloud SQL makes one: nobody who migrates is a superuser."""
    with TemporaryDirectory(prefix="watchledger-roles-") as folder:
        place = open_to_postgres(folder)
        with postgres.running(place, durable=False, pg_bin=os.environ.get("PG_BIN")) as cluster:
            run(cluster.dsn("postgres"), "CREATE ROLE cloudsqlsuperuser CREATEROLE CREATEDB")
            run(cluster.dsn("postgres"), 'CREATE ROLE "deployer@p.iam" LOGIN IN ROLE cloudsqlsuperuser')
            yield cluster


def by(name: str, cluster: postgres.Cluster, database: str) -> str:
    return cluster.dsn(database).replace("postgres@", f"{name.replace('@', '%40')}@")


def logged_in(function: str, cluster: postgres.Cluster) -> str:
    """A user as Terraform makes it for a function."""
    run(cluster.dsn("postgres"), f'CREATE ROLE "{function}@p.iam" LOGIN IN ROLE {PREFIX}{function}')
    return by(f"{function}@p.iam", cluster, "watchledger")


def test_somebody_who_is_no_superuser_migrates_and_everything_belongs_to_one_role(server: postgres.Cluster) -> None:
    url = by("deployer@p.iam", server, "watchledger")

    assert migrate(url, contract=False, role="cloudsqlsuperuser") == (None, LAST)
    assert migrate(url, contract=False, role="cloudsqlsuperuser") == (LAST, LAST)

    owners = run(url, "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [["cloudsqlsuperuser"]]
    own = logged_in("close_session", server)
    assert run(own, "SELECT count(status) FROM watch_session") == [[0]]
    with pytest.raises(db.DatabaseError) as refusal:
        run(own, "SELECT client_info FROM watch_session")
    assert db.sqlstate(refusal.value) == "42501"


def test_the_upkeep_works_for_users_who_own_nothing(server: postgres.Cluster) -> None:
    url = by("deployer@p.iam", server, "watchledger")
    migrate(url, role="cloudsqlsuperuser")
    upkeep, archival = logged_in("maintain_partitions", server), logged_in("archive_segments", server)

    made = run(upkeep, "SELECT outcome FROM ensure_month('2024-03-01')")
    with pytest.raises(db.DatabaseError) as refusal:
        run(upkeep, "SELECT drop_month('2024-03-01', now())")
    dropped = run(archival, "SELECT drop_month('2024-03-01', now())")

    assert (made, db.sqlstate(refusal.value), dropped) == ([["made"]], "42501", [["dropped"]])
    owners = run(url, "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [["cloudsqlsuperuser"]]


def test_a_month_that_somebody_brought_back_can_be_dropped_again(server: postgres.Cluster) -> None:
    url = by("deployer@p.iam", server, "watchledger")
    migrate(url, role="cloudsqlsuperuser")

    run(url, "SELECT stage_month('2024-03-01')")
    run(url, "SELECT attach_month('2024-03-01')")

    owners = run(url, "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [["cloudsqlsuperuser"]]
    assert run(logged_in("archive_segments", server), "SELECT drop_month('2024-03-01', now())") == [["dropped"]]


def migrate_with_others(barrier: Barrier, url: str) -> None:
    barrier.wait(timeout=60)
    migrate(url)


def test_two_databases_of_a_server_may_be_migrated_at_once(server: postgres.Cluster) -> None:
    context = get_context("spawn")
    barrier = context.Barrier(2, timeout=60)
    urls = [server.dsn(name) for name in ("one", "two")]
    processes = [context.Process(target=migrate_with_others, args=(barrier, url)) for url in urls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    for url in urls:
        with closing(db.direct(url, 60_000)) as connection:
            assert roles.document(roles.granted(connection)) == roles.PATH.read_text()
