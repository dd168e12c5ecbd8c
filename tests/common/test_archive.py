"""What the archive promises, on a folder, on S3 and on Cloud Storage: a month is in one place, and nowhere lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from common import archive, columns, db, store
from common.columns import SEEKS, SEGMENTS
from common.errors import ArchiveUnavailable
from common.models import MonthsArchived
from common.store import Store
from tests import stores
from tests.conftest import deployed, problem, run, segment, stored
from tests.months import (
    APRIL,
    MARCH,
    archived,
    ask,
    copied,
    forget,
    id_in,
    manifests,
    open_in,
    rows,
    watched_in,
)

ALL_STORES = ["file", "s3", "gs"]


@pytest.fixture(params=["file"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which store; a test that is about stores asks for all of them."""
    return str(request.param)


on_all_stores = pytest.mark.parametrize("kind", ALL_STORES, indirect=True)


@pytest.fixture
def place(kind: str, tmp_path: Path, own_url: str) -> Iterator[Store]:
    """An empty archive beside an empty database."""
    url = stores.shared().new(kind, tmp_path / "archive")
    forget(own_url)
    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=url):
        yield Store(url)


@pytest.fixture(autouse=True)
def own_database(place: Store) -> None:
    """Every test here has them."""


def waits(reason: str, month: str = "2024-03") -> dict[str, Any]:
    return {"waiting": [{"month": month, "reason": reason}], "months": []}


def said(done: MonthsArchived) -> dict[str, Any]:
    return done.model_dump(include={"waiting", "months"})


@contextmanager
def patched(where: Any, name: str, made: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, made)
        yield


@contextmanager
def once(where: Any, name: str, then: Callable[[], object], before: bool = False) -> Iterator[None]:
    """When a method is called for the first time, something else happens right after it, or before it."""
    method, times = getattr(where, name), iter([then])

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        happens = next(times, lambda: None)
        if before:
            happens()
        result = method(*args, **kwargs)
        if not before:
            happens()
        return result

    with patched(where, name, wrapped):
        yield


# From the database to the archive


@on_all_stores
def test_a_month_whose_time_is_over_is_in_the_archive_and_not_in_the_database(own_url: str, place: Store) -> None:
    for user in ("plain", 'ünï "quoted", \\ 次', "x" * 128):
        watched_in(MARCH, user_id=user)
    watched_in(APRIL)
    before = rows(own_url)

    done = archive.run()

    assert done.months == ["2024-03", "2024-04"]
    assert (done.segments, done.seeks) == (4 * 5, 4 * 3)
    assert (done.waiting, done.more_to_do) == ([], False)
    assert not rows(own_url)
    assert archived(own_url, place) == before
    assert all(count == 1 for count in before.values())
    assert done.bytes == sum(file.bytes for manifest in manifests(own_url, place) for file in manifest.files)


def test_the_partitions_are_gone_and_the_months_to_come_are_not(own_url: str) -> None:
    watched_in(MARCH)
    partitions = "SELECT relname FROM pg_class WHERE relname ~ '^(watch_segment|seek_event)' AND relkind = 'r'"
    before = run(own_url, partitions)

    archive.run()

    assert sorted(run(own_url, partitions)) == sorted(before)


def test_a_month_whose_time_is_not_over_stays(own_url: str, place: Store) -> None:
    today = datetime.now(UTC).date()
    ended = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    watched_in(ended)
    before = rows(own_url)
    for retention in (today.day, 400):
        with deployed(RETENTION_DAYS=str(retention)):
            assert said(archive.run()) == {"months": [], "waiting": []}
    assert rows(own_url) == before
    assert place.list("") == []

    with deployed(RETENTION_DAYS=str(today.day - 1)):
        assert archive.run().months == [f"{ended:%Y-%m}"]


def test_an_empty_month_is_dropped(own_url: str) -> None:
    run(own_url, "SELECT ensure_month('2024-03-01')")

    assert archive.run().months == ["2024-03"]
    assert run(own_url, "SELECT to_regclass('watch_segment_202403')") == [[None]]


def test_a_session_without_events_is_sealed_with_its_month() -> None:
    viewer = open_in(MARCH)
    viewer.close()
    watched_in(MARCH)

    archive.run()

    problem(viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}), 410)


def test_duckdb_reads_the_coverage_that_the_service_tells(own_url: str, place: Store) -> None:
    viewers = [watched_in(MARCH), watched_in(MARCH, (0, 10), (10, 20), (5, 12), (30, 31.5)), watched_in(APRIL, (1, 2))]
    told = {
        UUID(viewer.session_id): [
            [round(a * 1000), round(b * 1000)] for a, b in viewer.progress()["aggregates"]["watchedRanges"]
        ]
        for viewer in viewers
    }

    archive.run()

    united = """
        SELECT session_id, list([start_ms, end_ms] ORDER BY start_ms) FROM (
            SELECT session_id, min(start_ms) AS start_ms, max(end_ms) AS end_ms FROM (
                SELECT *, sum(begins::int) OVER (PARTITION BY session_id ORDER BY start_ms, end_ms) AS stretch FROM (
                    SELECT *, start_ms > coalesce(max(end_ms) OVER earlier, -1) AS begins FROM
    """
    order = "PARTITION BY session_id ORDER BY start_ms, end_ms"
    earlier = f"WINDOW earlier AS ({order} ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW)"
    with copied(place, manifests(own_url, place), "watch_segment") as files:
        read = dict(ask(united, files, f"{earlier})) GROUP BY session_id, stretch) GROUP BY session_id"))
    assert read == told


def test_totals_and_history_are_what_they_were(own_url: str) -> None:
    viewer = watched_in(MARCH)
    before = viewer.progress()

    archive.run()

    assert viewer.progress() == before
    assert problem(viewer.send("GET", f"/video/sessions/{viewer.session_id}/skip-analytics"), 410)


def test_rows_without_a_partition_are_archived_too(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    before = rows(own_url)
    assert run(own_url, "SELECT count(*) FROM watch_segment_default") == [[5]]

    archive.run()

    assert archived(own_url, place) == before
    assert run(own_url, "SELECT count(*) FROM watch_segment_default") == [[0]]


@pytest.mark.parametrize(("part", "page"), [(1, 2), (12, 3), (40, 1)])
def test_a_month_in_many_parts_and_pages_is_the_same_month(
    own_url: str, place: Store, monkeypatch: pytest.MonkeyPatch, part: int, page: int
) -> None:
    for _ in range(5):
        watched_in(MARCH)
    before = rows(own_url)
    monkeypatch.setattr(archive, "PART_EVENTS", part)
    monkeypatch.setattr(archive, "PAGE_ROWS", page)

    assert archive.run().months == ["2024-03"]

    assert archived(own_url, place) == before
    [manifest] = manifests(own_url, place)
    assert len(manifest.parts) == {1: 5, 12: 5, 40: 2}[part]


def test_the_checksum_is_that_of_postgresqls_own_bytes_whatever_the_pages(
    own_url: str, place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        watched_in(MARCH)
    sha256 = "SELECT encode(sha256(string_agg({}, '' ORDER BY session_id, client_event_id)), 'hex') FROM {}"
    [[ids]] = run(own_url, sha256.format("uuid_send(session_id)", "watch_segment"))
    [[reasons]] = run(own_url, sha256.format("textsend(coalesce(reason, ''))", "seek_event"))
    found = set()
    for size in (2, 7, 1000):
        monkeypatch.setattr(archive, "PAGE_ROWS", size)
        with closing(db.patient(60)) as pool:
            for table, name, expected in ((SEGMENTS, "session_id", ids), (SEEKS, "reason", reasons)):
                checksum = columns.Checksum(table)
                for page in archive.pages(pool, table, *archive.ids_of(MARCH)):
                    checksum.add(columns.rows_of(table, page), page)
                assert checksum._columns[name].hexdigest() == expected
                found.add((table.name, checksum.hexdigest()))
    assert len(found) == 2


# What keeps a month


def test_a_month_with_an_open_session_waits(own_url: str, place: Store) -> None:
    viewer = open_in(MARCH)
    viewer.watch((0, 10))
    watched_in(MARCH)
    watched_in(APRIL)
    before = rows(own_url)

    done = archive.run()

    assert said(done) == waits("open_sessions") | {"months": ["2024-04"]}
    assert not done.more_to_do
    assert rows(own_url) + archived(own_url, place) == before
    assert viewer.watch((10, 20))["accepted"] == 1


def test_a_stale_session_does_not_keep_its_month(own_url: str) -> None:
    viewer = open_in(MARCH)
    viewer.watch((0, 10))
    viewer.fall_silent()

    assert archive.run().months == ["2024-03"]
    problem(viewer.send("PUT", f"/video/sessions/{viewer.session_id}/heartbeat"), 409)
    problem(viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}), 410)


@pytest.mark.parametrize("moment", ["_export", "_compare", "_written"])
def test_what_comes_while_a_month_is_archived_keeps_it_and_is_archived_by_the_next_run(
    own_url: str, place: Store, moment: str
) -> None:
    viewer = watched_in(MARCH)
    late = {"segments": [segment(90, 95)], "seeks": []}
    path = f"/video/sessions/{viewer.session_id}/progress"

    with once(archive.Archiver, moment, lambda: viewer.post(path, late)):
        done = archive.run()

    assert said(done) == waits("late_data")
    assert done.more_to_do
    before = rows(own_url)
    assert len(before) == 5 + 3 + 1
    assert viewer.post(path, late)["duplicates"] == 1

    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before
    problem(viewer.send("POST", path, late), 410)
    assert not rows(own_url)


def test_a_session_that_is_opened_again_meanwhile_keeps_its_month(own_url: str) -> None:
    viewer = open_in(MARCH)
    viewer.watch((0, 10))
    viewer.fall_silent()
    before = rows(own_url)

    with once(archive.Archiver, "_written", viewer.touch):
        assert said(archive.run()) == waits("late_data")

    assert said(archive.run()) == waits("open_sessions")
    assert rows(own_url) == before
    assert viewer.watch((10, 20))["accepted"] == 1


def test_an_archived_event_that_is_sent_again_is_stored_nowhere(own_url: str, place: Store) -> None:
    viewer = open_in(MARCH)
    sent = {"segments": [segment(0, 10)], "seeks": []}
    path = f"/video/sessions/{viewer.session_id}/progress"
    viewer.post(path, sent)
    viewer.close()
    archive.run()
    before = archived(own_url, place), stored(own_url, viewer.user_id)

    assert problem(viewer.send("POST", path, sent), 410)["type"].endswith("session-archived")
    item = {"sessionId": viewer.session_id, **sent}
    assert viewer.post("/video/progress/bulk", {"items": [item]})["results"][0]["status"] == 410

    assert not rows(own_url)
    assert (archived(own_url, place), stored(own_url, viewer.user_id)) == before


WRONG = {
    "a session's effective time": "UPDATE watch_session SET effective_ms = effective_ms + 1",
    "a session's coverage": "UPDATE watch_session SET coverage = coverage - '{[0,1)}'",
    "a session's count": "UPDATE watch_session SET segment_count = segment_count + 1",
    "a session's skips": "UPDATE watch_session SET skip_count = skip_count - 1",
    "an event more": "INSERT INTO watch_segment (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms,"
    " speed, occurred_at, recorded_at) SELECT session_id, gen_random_uuid(), user_id, 0, 1, 1, 1, now(), now()"
    " FROM watch_session",
    "an event less": "DELETE FROM seek_event WHERE to_ms = 0",
    "somebody else's event": "UPDATE watch_segment SET user_id = 'somebody else' WHERE start_ms = 0",
    "an event without a session": "UPDATE watch_segment SET session_id = CAST(:id AS uuid) WHERE start_ms = 0",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_month_whose_totals_are_not_what_its_rows_come_to_is_not_archived_away(
    own_url: str, place: Store, wrong: str
) -> None:
    watched_in(MARCH)
    run(own_url, WRONG[wrong], id=id_in(MARCH))
    before = rows(own_url)

    for _ in range(2):
        assert said(archive.run()) == waits("totals_differ")

    assert rows(own_url) == before
    assert manifests(own_url, place) == []


def test_a_month_of_which_a_part_was_archived_before_is_left_to_people(own_url: str) -> None:
    watched_in(MARCH)
    run(own_url, "UPDATE watch_session SET archived_at = now()")
    watched_in(MARCH)
    before = rows(own_url)

    assert said(archive.run()) == waits("partly_archived")
    assert rows(own_url) == before


def test_a_month_that_somebody_reads_for_long_is_not_dropped_and_nobody_waits_for_it(
    own_url: str, place: Store
) -> None:
    run(own_url, "SELECT ensure_month('2024-03-01')")
    viewer = watched_in(MARCH)
    before = rows(own_url)
    with closing(db.direct(own_url, 60_000)) as reader:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM watch_segment")
        assert said(archive.run()) == waits("in_use")
        reader.run("ROLLBACK")
    assert rows(own_url) == before
    problem(viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}), 410)
    written = place.list("2024-03")

    done = archive.run()

    assert (done.months, done.segments, done.bytes) == (["2024-03"], 0, 0)
    assert place.list("2024-03") == written
    assert archived(own_url, place) == before


# What goes wrong with the store


@on_all_stores
def test_a_file_that_is_damaged_before_it_is_read_back_is_written_again(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    for damage in (lambda data: data[:-1], lambda data: b"", flipped, lambda data: data + b"\0"):
        with once(archive.Archiver, "_export", partial(spoil, place, "watch_segment", damage)):
            assert said(archive.run()) == waits("not_read_back")
        assert rows(own_url) == before

    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before
    assert len(place.list("2024-03")) == 3


@on_all_stores
@pytest.mark.parametrize("what", ["watch_segment", "seek_event", "manifest"])
def test_a_file_that_is_damaged_after_it_was_compared_keeps_the_month_and_is_written_again(
    own_url: str, place: Store, what: str
) -> None:
    viewer = watched_in(MARCH)
    before = rows(own_url)

    with once(archive.Archiver, "_make_sure_of", lambda: spoil(place, what, flipped), before=True):
        assert said(archive.run()) == waits("not_read_back")

    assert rows(own_url) == before
    problem(viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}), 410)
    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before
    assert len(place.list("2024-03")) == 3


@on_all_stores
def test_an_upload_that_dies_half_way_leaves_no_archive_and_the_next_run_does(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    before = rows(own_url)
    write = store.Sink.write

    def dies(sink: store.Sink, data: bytes) -> int:
        write(sink, data)
        if sink.size > 1000:
            raise OSError("connection reset")
        return len(data)

    with patched(store.Sink, "write", dies), pytest.raises(ArchiveUnavailable):
        archive.run()

    assert rows(own_url) == before
    assert manifests(own_url, place) == []
    assert not [path for path in place.list("2024-03") if "manifest" in path]
    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before
    assert len(place.list("2024-03")) == 3


@on_all_stores
@pytest.mark.parametrize("trouble", [stores.Stores.without_a_bucket, stores.Stores.that_refuses])
def test_without_a_bucket_or_the_right_to_it_nothing_is_archived_and_it_may_be_tried_again(
    own_url: str, place: Store, kind: str, trouble: Callable[[stores.Stores, str], str]
) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=trouble(stores.shared(), kind)), pytest.raises(ArchiveUnavailable):
        archive.run()

    assert rows(own_url) == before
    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before


def test_an_archive_that_is_gone_when_the_month_was_sealed_is_made_again(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    def vanish() -> None:
        for path in place.list("2024-03"):
            place.delete(path)

    with once(archive.Archiver, "_make_sure_of", vanish, before=True):
        assert said(archive.run()) == waits("not_read_back")

    assert archive.run().months == ["2024-03"]
    assert archived(own_url, place) == before


def spoil(place: Store, what: str, damage: Callable[[bytes], bytes]) -> None:
    """Change the youngest file of a kind behind everybody's back."""
    path = [path for path in place.list("2024-03") if what in path][-1]
    content = place.read(path)
    assert content is not None
    place.write(path, damage(content))


def flipped(content: bytes) -> bytes:
    """One bit is another one, in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


# Runs that stop, and files that are left


def test_what_a_run_has_no_time_for_the_next_one_does_and_nothing_is_written_twice(
    own_url: str, place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        watched_in(MARCH)
    before = rows(own_url)
    monkeypatch.setattr(archive, "PART_EVENTS", 1)
    runs: list[MonthsArchived] = []
    real = time.monotonic
    written: dict[str, bytes | None] = {}

    while not runs or runs[-1].more_to_do:
        # its time is over as soon as something is done
        began = len(runs)
        with once(archive.Archiver, "_compare", lambda: monkeypatch.setattr(time, "monotonic", lambda: real() + 9999)):
            runs.append(archive.run())
        monkeypatch.setattr(time, "monotonic", real)
        assert rows(own_url) + archived(own_url, place) == before
        for path in place.list("2024-03"):
            if path.endswith(".parquet") and path in written:
                assert place.read(path) == written[path]
            written[path] = place.read(path)
        assert began < 10

    assert sum(done.segments for done in runs) == 4 * 5
    assert [done.months for done in runs] == [[]] * (len(runs) - 1) + [["2024-03"]]
    assert 2 <= len(runs) <= 4
    assert len(place.list("2024-03")) == 2 * 4 + 1


def test_without_time_nothing_is_begun(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    with deployed(DATABASE_URL=own_url, JOB_TIME_BUDGET_S="0"):
        done = archive.run()

    assert (done.months, done.waiting, done.more_to_do) == ([], [], True)
    assert rows(own_url) == before
    assert place.list("") == []


def test_while_one_is_at_work_another_has_nothing_to_do(own_url: str) -> None:
    watched_in(MARCH)
    done: list[MonthsArchived] = []

    with once(archive.Archiver, "_written", lambda: done.append(archive.run())):
        assert archive.run().months == ["2024-03"]

    assert [(other.months, other.waiting, other.more_to_do) for other in done] == [([], [], True)]


def test_a_dry_run_says_what_is_due_and_changes_nothing(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    open_in(APRIL)
    run(own_url, "SELECT ensure_month('2024-04-01')")
    before = rows(own_url)

    done = archive.run(dry_run=True)

    assert (done.months, done.segments, done.seeks, done.bytes) == (["2024-03"], 5, 3, 0)
    assert said(done)["waiting"] == [{"month": "2024-04", "reason": "open_sessions"}]
    assert rows(own_url) == before
    assert place.list("") == []


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        watched_in(MARCH)
    monkeypatch.setattr(archive, "PART_EVENTS", 1)
    told: list[tuple[str, int, int]] = []

    archive.run(on_progress=lambda *numbers: told.append(numbers))

    assert told == [("2024-03", 8, 16), ("2024-03", 16, 16)]


def test_files_that_an_earlier_run_left_are_deleted_and_others_are_not(own_url: str, place: Store) -> None:
    watched_in(MARCH)
    earlier, later = "20200101T000000000000Z", "29990101T000000000000Z"
    left = [f"2024-03/watch_segment/0001-{earlier}.parquet", f"2024-03/manifest-{earlier}.json"]
    others = [f"2024-03/watch_segment/0001-{later}.parquet", "2024-03/readme.txt", f"2024-04/manifest-{earlier}.json"]
    for path in left + others:
        place.write(path, b"{}")

    archive.run()

    found = place.list("")
    assert not set(left) & set(found)
    assert set(others) < set(found)


@pytest.mark.parametrize("moment", ["_months", "_earlier", "_seal", "_drop"])
def test_a_month_that_another_run_has_just_dropped_is_not_made_again(own_url: str, place: Store, moment: str) -> None:
    watched_in(MARCH)
    before = rows(own_url)

    def overtake() -> None:
        with closing(db.patient(600)) as pool:
            archive.Archiver(pool, place, False, lambda *_: None).archive(MARCH)

    with once(archive.Archiver, moment, overtake, before=True):
        archive.run()
    after = archive.run()

    assert (after.months, after.waiting) == ([], [])
    assert not rows(own_url)
    assert archived(own_url, place) == before


def test_what_another_process_still_writes_when_it_wakes_up_does_no_harm(own_url: str, place: Store) -> None:
    """A run is frozen in the middle of an upload; another one does it all and drops the month; then it goes on."""
    watched_in(MARCH)
    before = rows(own_url)

    with closing(db.patient(60, 3)) as pool, closing(db.patient(60, 3)) as of_the_other:
        frozen = archive.Archiver(pool, place, False, lambda *_: None)

        def overtake() -> None:
            archive.Archiver(of_the_other, place, False, lambda *_: None).archive(MARCH)

        with once(columns.Checksum, "add", overtake), pytest.raises((archive.MonthWaits, ArchiveUnavailable)):
            frozen.archive(MARCH)

    assert not rows(own_url)
    assert archived(own_url, place) == before


# How the rows are found


@pytest.mark.parametrize("name", ["export_segments", "export_seeks"])
def test_a_page_is_read_by_the_index_of_one_partition_however_long_ago_the_statement_was_prepared(
    own_url: str, name: str
) -> None:
    run(own_url, "SELECT ensure_month('2024-03-01'), ensure_month('2024-04-01')")
    first, last = archive.ids_of(MARCH)
    with closing(db.direct(own_url, 60_000)) as connection:
        connection.run("SET plan_cache_mode = force_generic_plan")
        [[[plan]]] = connection.run(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {db.sql(name)}",
            first=first,
            last=last,
            after=first,
            event_id=uuid4(),
            limit=50_000,
        )
    read = [node for node in nodes(plan["Plan"]) if "Relation Name" in node and node["Actual Loops"]]
    assert [node["Node Type"] for node in read] == ["Index Scan"]
    assert read[0]["Relation Name"].endswith("_202403")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
