"""POST /jobs/archive-segments; what it promises is in tests/common/test_archive.py."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.store import Store
from infra import functions
from tests.conftest import Person, deployed, problem, send
from tests.months import MARCH, archived, forget, open_in, rows, watched_in

JOB = "/jobs/archive-segments"
NOTHING = {"months": [], "segments": 0, "seeks": 0, "bytes": 0, "waiting": [], "moreToDo": False}


@pytest.fixture(autouse=True)
def own_database(own_url: str, tmp_path: Path) -> Iterator[None]:
    forget(own_url)
    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=tmp_path.as_uri()):
        yield


def test_it_says_in_numbers_what_it_did(scheduler: Person, own_url: str, tmp_path: Path) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    done = scheduler.post(JOB)

    written = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert done == NOTHING | {"months": ["2024-03"], "segments": 5, "seeks": 3, "bytes": written}
    assert archived(own_url, Store(tmp_path.as_uri())) == before
    assert scheduler.post(JOB) == NOTHING


def test_a_month_that_waits_is_told_and_warned_of(scheduler: Person, capsys: pytest.CaptureFixture[str]) -> None:
    open_in(MARCH).watch((0, 10))
    capsys.readouterr()

    done = scheduler.post(JOB)

    assert done["waiting"] == [{"month": "2024-03", "reason": "open_sessions"}]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [warning] = [line for line in lines if line["severity"] == "WARNING"]
    assert (warning["function"], warning["month"], warning["reason"]) == (
        "archive_segments",
        "2024-03",
        "open_sessions",
    )


def test_without_its_store_it_fails_and_may_be_tried_again(scheduler: Person, own_url: str) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    with deployed(DATABASE_URL=own_url, ARCHIVE_URL="file:///dev/null/nowhere"):
        answer = scheduler.send("POST", JOB)

    assert problem(answer, 503)["type"].endswith("archive-unavailable")
    assert answer.headers["Retry-After"]
    assert rows(own_url) == before


def test_without_a_database_it_fails_and_may_be_tried_again(scheduler: Person) -> None:
    with deployed(DATABASE_URL="postgresql://nobody@/none?host=/nowhere"):
        problem(scheduler.send("POST", JOB), 503)


@pytest.mark.parametrize("role", ["player", "manager", "service", "scheduler"])
def test_nobody_who_claims_a_role_may_archive(own_url: str, role: str) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    problem(Person(role=role).send("POST", JOB), 403)

    assert rows(own_url) == before


def test_nobody_archives_without_a_token() -> None:
    problem(send("POST", JOB), 401)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_job_is_posted(scheduler: Person, method: str) -> None:
    assert scheduler.send(method, JOB).headers["Allow"] == "POST"


def test_arrow_is_not_loaded_before_there_is_something_to_archive() -> None:
    source = functions.FOLDER / "archive_segments" / "main.py"
    script = f"import runpy, sys\nrunpy.run_path({str(source)!r})\nsys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
