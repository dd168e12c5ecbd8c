"""Months that come: their partitions are there before them, and when not, nothing is lost and it is told."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Event
from uuid import UUID

import pytest
from pydantic_core import to_json

from common import db, partitions, progress
from common.archive import ids_of
from common.auth import Caller, Role
from common.models import PartitionsMaintained, RecordProgress
from common.parsing import parse
from common.partitions import after
from tests.conftest import Viewer, database, deployed, run, seek, segment
from tests.months import rows, watched_in

ROUNDS = 10

# The rows of a month lie in the default partitions, as if its own had never been made.
LOSE = [
    "ALTER TABLE {parent} DETACH PARTITION {month}",
    "INSERT INTO {parent} SELECT * FROM {month}",
    "DROP TABLE {month}",
]


@pytest.fixture(autouse=True)
def own_database(own_url: str) -> Iterator[None]:
    with deployed(DATABASE_URL=own_url):
        yield
        partitions.maintain()


def months() -> list[date]:
    """This one and the three to come."""
    return partitions.months_from(datetime.now(UTC))


def lose(url: str, *lost: date) -> None:
    with closing(db.direct(url, 60_000)) as connection:
        connection.run("BEGIN")
        for month in lost:
            for parent in ("watch_segment", "seek_event"):
                for statement in LOSE:
                    connection.run(statement.format(parent=parent, month=f"{parent}_{month:%Y%m}"))
        connection.run("COMMIT")


def there(url: str) -> set[str]:
    found = run(
        url,
        "SELECT inhrelid::regclass::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE c.relkind = 'r'",
    )
    return {name for [name] in found}


def names(*of: date) -> list[str]:
    return [f"{month:%Y-%m}" for month in of]


def test_of_a_new_database_the_months_to_come_are_there() -> None:
    assert partitions.maintain() == PartitionsMaintained(
        months_made=[], months_ahead=3, late_by=0, rows_in_default=0, rows_moved=0, more_to_do=False
    )


def test_a_month_that_is_missing_is_made_as_the_others_are(own_url: str) -> None:
    before = there(own_url)
    *_, last = months()
    lose(own_url, last)

    done = partitions.maintain()

    assert (done.months_made, done.months_ahead) == (names(last), 2)
    assert there(own_url) == before
    shape = """
        SELECT c.relkind, i.indisprimary, pg_get_indexdef(i.indexrelid), x.inhparent::regclass::text
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_inherits AS x ON x.inhrelid = i.indexrelid
        WHERE i.indrelid = '{0}'::regclass ORDER BY 3
    """
    checks = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{0}'::regclass ORDER BY 1"
    for query in (shape, checks):
        for parent in ("watch_segment", "seek_event"):
            made, other = (
                str(run(own_url, query.format(f"{parent}_{month:%Y%m}"))).replace(f"{month:%Y%m}", "")
                for month in (last, months()[0])
            )
            assert made == other
            assert parent in made or query is checks


def test_upkeep_is_late_when_a_month_is_missing_that_it_should_have_made_two_days_ago(own_url: str) -> None:
    this, *ahead = months()
    late = [
        month for month in [this, *ahead] if month <= partitions.months_from(datetime.now(UTC) - timedelta(days=2))[-1]
    ]
    lose(own_url, *ahead)

    done = partitions.maintain()

    assert (done.months_ahead, done.late_by) == (0, len(late) - 1)
    assert done.months_made == names(*ahead)
    assert partitions.maintain().late_by == 0


def test_the_months_around_the_turn_of_a_month_are_not_late() -> None:
    for day in (date(2027, 1, 31), date(2027, 2, 1), date(2027, 2, 2)):
        now = datetime(day.year, day.month, day.day, tzinfo=UTC)
        ran_yesterday = set(partitions.months_from(now - timedelta(days=1)))
        due = set(partitions.months_from(now - partitions.SLACK))
        assert due - ran_yesterday - {partitions.before(now.date().replace(day=1))} == set()


def test_without_a_partition_writing_goes_on_and_upkeep_puts_the_rows_in_their_place(
    own_url: str, viewer: Viewer
) -> None:
    viewer.record(segment(0, 10), seeks=[seek(10, 50)])
    lose(own_url, *months())
    viewer.record(segment(10, 20), seeks=[seek(20, 60)])
    viewer.start()
    viewer.record(segment(20, 30))
    before = rows(own_url)

    done = partitions.maintain()

    assert (done.rows_in_default, done.rows_moved) == (5, 5)
    assert done.late_by > 0
    assert rows(own_url) == before
    places = run(own_url, "SELECT DISTINCT tableoid::regclass::text FROM watch_segment")
    assert places == [[f"watch_segment_{months()[0]:%Y%m}"]]
    assert partitions.maintain().rows_in_default == 0


def test_rows_of_a_month_long_past_come_to_a_partition_of_their_own(own_url: str) -> None:
    watched_in(date(2024, 2, 1))
    before = rows(own_url)

    assert partitions.maintain().months_made == ["2024-02"]

    assert rows(own_url) == before
    assert {"watch_segment_202402", "seek_event_202402"} <= there(own_url)


def test_a_dry_run_says_what_is_missing_and_changes_nothing(own_url: str, viewer: Viewer) -> None:
    viewer.watch((0, 10))
    lose(own_url, months()[0], months()[2])
    before = there(own_url)

    done = partitions.maintain(dry_run=True)

    assert (done.months_made, done.rows_moved) == (names(months()[0], months()[2]), done.rows_in_default)
    assert there(own_url) == before


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_month_is_one_of_utc_whatever_the_time_zone(own_url: str, zone: str) -> None:
    this, following, *_ = months()
    with closing(db.direct(own_url, 60_000)) as connection:
        connection.run(f"SET TimeZone = '{zone}'")
        for month, other in ((this, following), (following, after(following))):
            first, end = ids_of(month)
            assert connection.run("SELECT month_starts_at_id(CAST(:m AS date))", m=month) == [[first]]
            for found, expected in ((first, month), (UUID(int=end.int - 1), month), (end, other)):
                assert connection.run("SELECT month_of_id(:id)", id=found) == [[expected]]


def test_two_at_once_make_a_month_once(own_url: str) -> None:
    before = there(own_url)
    for _ in range(ROUNDS):
        lose(own_url, *months()[2:])
        begin = Barrier(2, timeout=60)

        def maintain(begin: Barrier = begin) -> PartitionsMaintained:
            begin.wait()
            return partitions.maintain()

        with ThreadPoolExecutor(2) as both:
            done = [future.result() for future in [both.submit(maintain) for _ in range(2)]]

        assert sorted(month for one in done for month in one.months_made) == names(*months()[2:])
        assert there(own_url) == before


def test_while_rows_move_nobodys_write_is_refused_or_lost(own_url: str) -> None:
    """Four write as fast as they can while the month's partition comes to be under their hands."""
    viewers = [Viewer(f"lesson-{n}") for n in range(4)]
    for viewer in viewers:
        viewer.start()
    for _ in range(ROUNDS):
        lose(own_url, months()[0])
        done, begin = Event(), Barrier(5, timeout=60)

        def write(viewer: Viewer, done: Event = done, begin: Barrier = begin) -> int:
            caller, session_id, times = Caller(viewer.user_id, Role.PLAYER), UUID(viewer.session_id), 0
            begin.wait()
            while not done.is_set() or not times:
                body = to_json({"segments": [segment(times % 90, times % 90 + 1)], "seeks": [seek(0, 1)]})
                times += progress.record(caller, session_id, parse(RecordProgress, body)).accepted
            return times

        before = sum(rows(own_url).values())
        with ThreadPoolExecutor(4) as writers:
            writing = [writers.submit(write, viewer) for viewer in viewers]
            begin.wait()
            maintained = partitions.maintain()
            done.set()
            accepted = sum(future.result() for future in writing)

        assert maintained.months_made == names(months()[0])
        found = rows(own_url)
        assert sum(found.values()) == before + accepted
        assert max(found.values()) == 1


def test_a_month_to_come_is_made_while_somebody_writes_for_long(own_url: str, viewer: Viewer) -> None:
    lose(own_url, months()[3])
    with closing(db.direct(own_url, 60_000)) as writer:
        writer.run("BEGIN")
        for table in ("watch_segment", f"watch_segment_{months()[0]:%Y%m}", "seek_event"):  # as an INSERT does
            writer.run(f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE")

        done = partitions.maintain()

    assert done.months_made == names(months()[3])


def test_who_writes_for_long_keeps_the_month_that_runs_from_being_made_and_nobody_else_waits_for_it(
    own_url: str, viewer: Viewer
) -> None:
    lose(own_url, months()[0])
    with closing(db.direct(own_url, 60_000)) as writer:
        writer.run("BEGIN")
        writer.run("LOCK TABLE ONLY watch_segment IN ROW EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as upkeep, deployed(DATABASE_URL=own_url, STATEMENT_TIMEOUT_MS="1500"):
            maintaining = upkeep.submit(partitions.maintain)
            answers = Counter(viewer.watch((0, 1))["accepted"] for _ in range(20))
            done = maintaining.result()

    assert (done.months_made, done.more_to_do) == ([], True)
    assert answers == {1: 20}
    assert partitions.maintain().months_made == names(months()[0])


@pytest.mark.parametrize(
    ("ask", "answer"),
    [("SELECT drop_month('2024-03-01', now())", "gone"), ("SELECT outcome FROM ensure_month('2024-03-01')", "made")],
)
def test_who_waited_for_the_one_that_dropped_a_month_knows_that_it_is_gone(
    server_url: str, ask: str, answer: str
) -> None:
    with (
        database(server_url) as url,
        closing(db.direct(url, 60_000)) as dropping,
        closing(db.direct(url, 60_000)) as waiting,
        ThreadPoolExecutor(1) as beside,
    ):
        run(url, "ALTER FUNCTION drop_month(date, timestamptz) SET lock_timeout = 0")
        run(url, "ALTER FUNCTION ensure_month(date) SET lock_timeout = 0")
        waiting.run("SELECT ensure_month('2024-03-01')")
        for _ in range(2):  # and it remembers what it found
            waiting.run("SELECT ensure_month('2024-03-01'), drop_month('2024-02-01', now())")
        dropping.run("BEGIN")
        assert dropping.run("SELECT drop_month('2024-03-01', now())") == [["dropped"]]
        told = beside.submit(waiting.run, ask)
        while not run(url, "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"):
            assert not told.done()
        dropping.run("COMMIT")

        assert told.result() == [[answer]]
