"""POST /jobs/maintain-partitions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from common.partitions import months_from
from tests.conftest import Person, Viewer, deployed, problem, run, send

JOB = "/jobs/maintain-partitions"
NOTHING = {"monthsMade": [], "monthsAhead": 3, "lateBy": 0, "rowsInDefault": 0, "rowsMoved": 0, "moreToDo": False}


@pytest.fixture(autouse=True)
def own_database(own_url: str) -> Iterator[None]:
    with deployed(DATABASE_URL=own_url):
        yield


def warnings(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["severity"] == "WARNING"]


def test_when_all_is_well_it_says_so_and_warns_nobody(scheduler: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert scheduler.post(JOB) == NOTHING
    assert warnings(capsys) == []


def test_when_it_is_late_it_makes_up_for_it_and_a_warning_says_by_how_much(
    scheduler: Person, viewer: Viewer, own_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    months = months_from(datetime.now(UTC))
    for month in months:
        run(own_url, f"DROP TABLE watch_segment_{month:%Y%m}, seek_event_{month:%Y%m}")
    viewer.watch((0, 10), (10, 20))
    capsys.readouterr()

    done = scheduler.post(JOB)

    assert done["monthsMade"] == [f"{month:%Y-%m}" for month in months]
    assert done["lateBy"] >= 3
    assert (done["monthsAhead"], done["rowsInDefault"], done["rowsMoved"]) == (0, 2, 2)
    [line] = warnings(capsys)
    assert (line["function"], line["message"]) == ("maintain_partitions", "upkeep was late")
    assert {name: line[name] for name in done} == done
    assert scheduler.post(JOB) == NOTHING


@pytest.mark.parametrize("role", ["player", "manager", "service", "scheduler"])
def test_nobody_who_claims_a_role_may_do_it(role: str) -> None:
    problem(Person(role=role).send("POST", JOB), 403)


def test_nobody_does_it_without_a_token() -> None:
    problem(send("POST", JOB), 401)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_job_is_posted(scheduler: Person, method: str) -> None:
    assert scheduler.send(method, JOB).headers["Allow"] == "POST"


def test_without_a_database_it_fails_and_may_be_tried_again(scheduler: Person) -> None:
    with deployed(DATABASE_URL="postgresql://nobody@/none?host=/nowhere"):
        problem(scheduler.send("POST", JOB), 503)
