"""POST /jobs/archive-segments; what the archive promises is tested in tests/common/test_archive.py."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Person, database, deployed, ok, run
from tests.months import MARCH, open_in, watched_in

PATH = "/jobs/archive-segments"


@pytest.fixture
def own_url(server_url: str, tmp_path: Path, deployment: None) -> Iterator[str]:
    with database(server_url) as url, deployed(DATABASE_URL=url, ARCHIVE_URL=f"file://{tmp_path}/archive"):
        yield url


def test_a_month_that_is_due_leaves_the_database_for_the_archive(own_url: str, scheduler: Person) -> None:
    viewer = watched_in(MARCH, (0, 10), (5, 20))

    did = ok(scheduler.send("POST", PATH))

    assert (did["months"], did["segments"], did["seeks"], did["waiting"]) == (["2024-03"], 3, 3, [])
    assert did["bytes"] > 0 and did["moreToDo"] is False
    assert run(own_url, "SELECT count(*) FROM watch_segment") == [[0]]
    assert viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}).status_code == 410
    assert viewer.progress()["aggregates"]["coverageSecond"] == 30


def test_a_month_with_an_open_session_waits_and_the_log_says_why(
    own_url: str, scheduler: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    open_in(MARCH).watch((0, 10))
    capsys.readouterr()

    did = ok(scheduler.send("POST", PATH))

    assert did["waiting"] == [{"month": "2024-03", "reason": "open_sessions"}]
    assert run(own_url, "SELECT count(*) FROM watch_segment") == [[1]]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [warning] = [line for line in lines if line["severity"] == "WARNING"]
    assert (warning["month"], warning["reason"]) == ("2024-03", "open_sessions")


def test_again_there_is_nothing_to_do(own_url: str, scheduler: Person) -> None:
    watched_in(MARCH)
    ok(scheduler.send("POST", PATH))

    did = ok(scheduler.send("POST", PATH))

    assert (did["months"], did["segments"], did["moreToDo"]) == ([], 0, False)


def test_nobody_but_the_scheduler_archives(service: Person, manager: Person) -> None:
    assert [caller.send("POST", PATH).status_code for caller in (service, manager, Person())] == [403, 403, 403]
