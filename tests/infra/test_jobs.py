"""The jobs from a terminal: what is printed where, and what the exit code says."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from common import db
from infra import jobs
from tests.conftest import Viewer, deployed, run, stored

SWEEP = "sweep-stale-sessions"


@pytest.fixture(autouse=True)
def own_database(own_url: str) -> Iterator[None]:
    run(own_url, "DELETE FROM watch_session")
    with deployed(DATABASE_URL=own_url):
        yield


@pytest.fixture
def silent(viewer: Viewer) -> Viewer:
    viewer.watch((0, 10))
    viewer.grow_older(301)
    return viewer


def command(*arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """The jobs as a process of their own."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.jobs", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | settings,
    )


def test_a_job_is_run_and_says_what_it_did(silent: Viewer, capsys: pytest.CaptureFixture[str]) -> None:
    assert jobs.main([SWEEP]) == 0

    told = capsys.readouterr()
    assert told.out.splitlines() == [SWEEP, "stale       1", "postponed   0", "more to do  no"]
    assert told.err == ""
    assert silent.progress()["sessions"][0]["status"] == "stale"


def test_with_json_the_numbers_are_all_there_is_on_standard_output(silent: Viewer) -> None:
    process = command(SWEEP, "--json")
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0
    assert json.loads(out) == {"stale": 1, "postponed": 0, "moreToDo": False}
    assert err == ""


def test_a_dry_run_tells_and_changes_nothing(silent: Viewer, own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = stored(own_url, silent.user_id)

    assert jobs.main([SWEEP, "--dry-run"]) == 0
    assert "dry run" in capsys.readouterr().out
    assert jobs.main([SWEEP, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stale"] == 1

    assert stored(own_url, silent.user_id) == before


def test_work_that_is_left_is_told_by_the_exit_code(silent: Viewer, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(JOB_TIME_BUDGET_S="0"):
        assert jobs.main([SWEEP]) == 3
    assert "more to do  yes" in capsys.readouterr().out

    assert jobs.main([SWEEP]) == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@/none?host=/nowhere", "No such file or directory"),
        ("postgresql://nobody@localhost:1/none", "port 1"),
        ("mysql://nobody@localhost/none", "a database URL is"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_clear_line(url: str, words: str) -> None:
    process = command(SWEEP, "--json", DATABASE_URL=url)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("python -m infra.jobs: ") and words in err


def test_what_postgresql_refuses_is_told_in_its_words(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(DATABASE_URL=server_url):  # a database without the schema
        assert jobs.main([SWEEP]) == 1

    told = capsys.readouterr()
    assert told.out == ""
    assert 'PostgreSQL says: relation "watch_session" does not exist' in told.err


@pytest.mark.parametrize("arguments", [[], ["sweep"], [SWEEP, "--all"], [SWEEP, SWEEP]])
def test_a_wrong_call_is_told_by_the_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        jobs.main(arguments)

    assert ended.value.code == 2
    assert "usage: python -m infra.jobs" in capsys.readouterr().err


def test_help_explains_every_job_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        jobs.main(["--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"  {name}" in told and job.what in told for name, job in jobs.JOBS.items())
    assert all(f"{code}: " in told for code in range(4))


def test_on_a_terminal_there_is_a_progress_bar_and_standard_output_stays_clean(silent: Viewer, own_url: str) -> None:
    terminal, end = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "infra.jobs", SWEEP, "--json"],
        stdout=subprocess.PIPE,
        stderr=end,
        timeout=60,
        check=True,
    )
    os.close(end)
    shown = read(terminal)

    assert json.loads(done.stdout)["stale"] == 1
    assert "█" * 30 + " 1 of 1 sessions" in shown
    assert shown.endswith("\r\x1b[K")


def read(terminal: int) -> str:
    """All that was written to a terminal whose other end is closed."""
    shown = b""
    try:
        while more := os.read(terminal, 65_536):
            shown += more
    except OSError:  # how Linux tells the end
        pass
    os.close(terminal)
    return shown.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_job_that_is_stopped_says_that_there_is_work_left(
    silent: Viewer, own_url: str, number: signal.Signals
) -> None:
    with closing(db.direct(own_url, 60_000)) as somebody_else:
        somebody_else.run("BEGIN")
        somebody_else.run("SELECT FROM lesson_attempt FOR UPDATE")
        process = command(SWEEP)
        while not run(own_url, "SELECT FROM pg_locks WHERE NOT granted"):
            assert process.poll() is None
        process.send_signal(number)
        somebody_else.run("ROLLBACK")
        out, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert (out, err) == ("", "python -m infra.jobs: stopped; the next run goes on from here\n")
    assert jobs.main([SWEEP]) == 0


def test_upkeep_makes_the_months_that_are_missing(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    [[month, suffix]] = run(
        own_url,
        "SELECT to_char(m, 'YYYY-MM'), to_char(m, 'YYYYMM') FROM (SELECT now() + interval '2 months' AS m) AS _",
    )
    run(own_url, f"DROP TABLE watch_segment_{suffix}, seek_event_{suffix}")

    for arguments in (["--dry-run"], []):
        assert jobs.main(["maintain-partitions", "--json", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["monthsMade"] == [month]
    assert jobs.main(["maintain-partitions"]) == 0
    assert "months made      none" in capsys.readouterr().out


OLD = (
    "INSERT INTO lesson (lesson_id) VALUES ('old') ON CONFLICT DO NOTHING",
    "INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no)"
    " VALUES ('0194abcd-0000-7000-8000-000000000001', 'ann', 'old', 1) ON CONFLICT DO NOTHING",
    """
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, status, started_at, closed_at,
        last_heartbeat_at, coverage, effective_ms, segment_count, last_position_ms, last_position_at
    )
    VALUES (
        '0194abcd-0000-7000-8000-000000000000', 'ann', '0194abcd-0000-7000-8000-000000000001', 'old', false, 'k',
        'closed', '2025-01-28', '2025-01-29', '2025-01-29', '{[0,9000)}', 9000, 1, 9000, '2025-01-29'
    )
    """,
    """
    INSERT INTO watch_segment
    SELECT session_id, gen_random_uuid(), user_id, 0, 9000, 9000, 1, closed_at, closed_at
    FROM watch_session
    WHERE user_id = 'ann'
    """,
)


def test_archival_brings_the_months_that_are_due_to_the_archive(
    own_url: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path_factory.mktemp("archive")
    for statement in OLD:
        run(own_url, statement)

    with deployed(ARCHIVE_URL=archive.as_uri()):
        assert jobs.main(["archive-segments", "--dry-run"]) == 0
        assert list(archive.rglob("*.parquet")) == []
        assert jobs.main(["archive-segments", "--json"]) == 0
        did = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (did["months"], did["segments"], did["moreToDo"]) == (["2025-01"], 1, False)
        assert len(list(archive.rglob("*.parquet"))) == 1
        assert jobs.main(["archive-segments"]) == 0
        assert "months      none" in capsys.readouterr().out


def test_a_setting_that_is_missing_is_told_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(ARCHIVE_URL=""):
        assert jobs.main(["archive-segments"]) == 1

    assert capsys.readouterr().err == "python -m infra.jobs: ARCHIVE_URL is not set\n"


def test_a_setting_that_is_no_number_is_told_by_its_name() -> None:
    job = command(SWEEP, RETENTION_DAYS="a year")

    assert job.communicate() == ("", "python -m infra.jobs: RETENTION_DAYS=a year is not a number\n")
    assert job.returncode == 1


def test_what_a_job_does_not_need_is_not_loaded(own_url: str) -> None:
    code = (
        "import sys; from infra import jobs; assert jobs.main(sys.argv[1:]) == 0;"
        "assert not {'pyarrow', 'alembic', 'sqlalchemy', 'flask'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, SWEEP], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_local_database_is_used_where_no_other_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    process = command(SWEEP, DATABASE_URL="", DATA_DIR=str(tmp_path_factory.mktemp("data")))
    _, err = process.communicate(timeout=120)

    assert process.returncode == 1
    assert 'database "watchledger" does not exist' in err
