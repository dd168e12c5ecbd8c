"""POST /jobs/maintain-partitions."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from common.partitions import after
from tests.conftest import Person, database, deployed, ok, run
from tests.months import rows, watched_in

PATH = "/jobs/maintain-partitions"


@pytest.fixture
def own_url(server_url: str, deployment: None) -> Iterator[str]:
    with database(server_url) as url, deployed(DATABASE_URL=url):
        yield url


def this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)


def months(url: str) -> list[str]:
    found = run(
        url,
        "SELECT right(relname, 6) FROM pg_class"
        " WHERE relname ~ '^watch_segment_[0-9]{6}$' AND relkind = 'r' ORDER BY 1",
    )
    return [name for [name] in found]


def drop(url: str, month: date) -> None:
    for parent in ("watch_segment", "seek_event"):
        run(url, f"DROP TABLE {parent}_{month:%Y%m}")


def test_this_month_and_three_ahead_have_partitions(own_url: str, scheduler: Person) -> None:
    ahead = [this_month()]
    while len(ahead) < 4:
        ahead.append(after(ahead[-1]))
    drop(own_url, ahead[3])

    did = ok(scheduler.send("POST", PATH))

    assert did["monthsMade"] == [f"{ahead[3]:%Y-%m}"]
    assert (did["monthsAhead"], did["rowsInDefault"], did["moreToDo"]) == (2, 0, False)
    assert months(own_url) == [f"{month:%Y%m}" for month in ahead]


def test_again_there_is_nothing_to_do(own_url: str, scheduler: Person) -> None:
    did = ok(scheduler.send("POST", PATH))

    assert (did["monthsMade"], did["monthsAhead"], did["lateBy"], did["rowsMoved"]) == ([], 3, 0, 0)


def test_without_a_partition_writing_goes_on_and_its_rows_move_when_there_is_one(
    own_url: str, scheduler: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    drop(own_url, this_month())
    watched_in(this_month())
    before = rows(own_url)
    capsys.readouterr()

    did = ok(scheduler.send("POST", PATH))

    assert did["monthsMade"] == [f"{this_month():%Y-%m}"]
    assert did["lateBy"] >= 1
    assert did["rowsInDefault"] == did["rowsMoved"] == sum(before.values()) == 8
    assert rows(own_url) == before
    assert run(own_url, "SELECT count(*) FROM watch_segment_default") == [[0]]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [warning] = [line for line in lines if line["severity"] == "WARNING"]
    assert (warning["function"], warning["rowsInDefault"]) == ("maintain_partitions", 8)


def test_nobody_but_the_scheduler_makes_partitions(service: Person, manager: Person) -> None:
    assert [caller.send("POST", PATH).status_code for caller in (service, manager, Person())] == [403, 403, 403]
