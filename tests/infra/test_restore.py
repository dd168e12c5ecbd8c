"""A month comes back from the archive exactly as it went, or not at all."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common import archive, db
from common.store import Store
from infra import restore
from tests import stores
from tests.conftest import deployed, problem, run, segment
from tests.months import APRIL, MARCH, archived, forget, manifests, open_in, rows, watched_in

ALL = ("watch_segment", "seek_event", "watch_session", "lesson_attempt")
SCHEMA = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_get_indexdef(i.indexrelid), k.conname,
        pg_get_constraintdef(k.oid)
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indrelid = c.oid
    LEFT JOIN pg_constraint AS k ON k.conrelid = c.oid
    WHERE c.relname ~ '^(restored_)?(watch_segment|seek_event)' AND c.relkind = 'r' ORDER BY 1, 2, 3, 4
"""


@pytest.fixture(params=["file"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def recorded(url: str) -> dict[str, Any]:
    """All that is recorded, as text."""
    with closing(db.direct(url, 60_000)) as connection:
        return {table: connection.run(f"SELECT t::text FROM {table} AS t ORDER BY 1") for table in ALL}


def everything(url: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """All that is recorded, and the tables and indexes that it is in."""
    return recorded(url), run(url, SCHEMA)


def archive_march(*others: Callable[[], object]) -> None:
    for record in others or (lambda: watched_in(MARCH), lambda: watched_in(MARCH, user_id='ü "次" \\')):
        record()
    assert "2024-03" in archive.run().months


def refusal(capsys: pytest.CaptureFixture[str], url: str, month: str = "2024-03") -> str:
    """What it says when it refuses, having changed nothing."""
    before = everything(url)
    capsys.readouterr()
    assert restore.main([month]) == 1
    assert everything(url) == before
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize("kind", ["file", "s3", "gs"], indirect=True)
def test_a_month_comes_back_exactly(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(own_url, "SELECT ensure_month('2024-03-01')")
    for user in ("plain", 'ü "次" \\', "x" * 128):
        watched_in(MARCH, user_id=user)
    before = everything(own_url)
    archive.run()
    assert not rows(own_url)

    assert restore.main(["2024-03"]) == 0

    assert everything(own_url) == before
    assert capsys.readouterr().out.endswith("2024-03 is restored: 15 segments and 9 seeks of 3 sessions\n")


def test_many_parts_and_pages_come_back_exactly(own_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PART_EVENTS", 10)
    monkeypatch.setattr(archive, "PAGE_ROWS", 2)
    for _ in range(5):
        watched_in(MARCH)
    before = recorded(own_url)
    archive.run()

    assert restore.main(["2024-03"]) == 0

    assert recorded(own_url) == before


def test_a_session_of_a_restored_month_takes_progress_and_tells_its_skips_again(own_url: str) -> None:
    viewer = watched_in(MARCH)
    skips = viewer.skips()
    sent = segment(0, 10)
    viewer.record(sent)
    archive.run()
    problem(viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {}), 410)

    restore.main(["2024-03"])

    assert viewer.skips() == skips
    assert viewer.record(sent)["duplicates"] == 1
    assert viewer.watch((90, 95))["accepted"] == 1


def test_a_restored_month_is_archived_again_without_writing_it_again(own_url: str, place: Store) -> None:
    archive_march()
    [first], before = manifests(own_url, place), archived(own_url, place)
    restore.main(["2024-03"])

    done = archive.run()

    assert (done.months, done.segments, done.bytes) == (["2024-03"], 0, 0)
    [second] = manifests(own_url, place)
    assert second.parts == first.parts
    assert archived(own_url, place) == before
    assert first.path not in place.list("2024-03")


def test_what_was_archived_anew_after_a_restore_comes_to_the_same_checksums(own_url: str, place: Store) -> None:
    archive_march()
    [first] = manifests(own_url, place)
    restore.main(["2024-03"])
    for path in place.list(""):
        place.delete(path)

    archive.run()

    [second] = manifests(own_url, place)
    for one, other in zip(first.files, second.files, strict=True):
        assert (one.checksum, one.sha256, one.path != other.path) == (other.checksum, other.sha256, True)


def test_what_came_after_a_restore_is_archived_too(own_url: str, place: Store) -> None:
    viewer = watched_in(MARCH)
    archive.run()
    restore.main(["2024-03"])
    viewer.watch((90, 95))
    before = rows(own_url)

    assert archive.run().months == ["2024-03"]

    assert archived(own_url, place) == before
    assert len(place.list("2024-03")) == 3


def test_other_months_are_left_alone(own_url: str, place: Store) -> None:
    archive_march(lambda: watched_in(MARCH), lambda: watched_in(APRIL))
    restore.main(["2024-03"])

    assert len(rows(own_url)) == 8
    assert [manifest.month for manifest in manifests(own_url, place)] == ["2024-04"]


def test_a_dry_run_makes_sure_and_changes_nothing(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    before = everything(own_url)

    assert restore.main(["2024-03", "--dry-run"]) == 0

    assert everything(own_url) == before
    assert "can be restored: 10 segments" in capsys.readouterr().out


# What it refuses


def test_a_month_that_was_never_archived(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    watched_in(MARCH)
    assert "none of its sessions is archived" in refusal(capsys, own_url)
    assert "none of its sessions is archived" in refusal(capsys, own_url, "2020-01")


def test_a_month_that_is_there_already(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    assert restore.main(["2024-03"]) == 0
    assert "none of its sessions is archived" in refusal(capsys, own_url)


def test_a_month_of_which_a_part_is_there_already(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    viewer = open_in(MARCH)
    assert "only some of its sessions are archived" in refusal(capsys, own_url)

    run(own_url, "DELETE FROM watch_session WHERE session_id = CAST(:id AS uuid)", id=viewer.session_id)
    run(own_url, "SELECT ensure_month('2024-03-01')")
    assert "not those in the archive" in refusal(capsys, own_url)

    run(own_url, "DROP TABLE seek_event_202403")
    assert "some of its rows are in the database already" in refusal(capsys, own_url)


def test_a_month_with_rows_in_the_default_partition(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    run(
        own_url,
        "INSERT INTO watch_segment (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed,"
        " occurred_at, recorded_at) SELECT session_id, gen_random_uuid(), user_id, 0, 1, 1, 1, now(), now()"
        " FROM watch_session LIMIT 1",
    )
    assert "some of its rows are in the database already" in refusal(capsys, own_url)


def flipped(content: bytes) -> bytes:
    return content[:99] + bytes([content[99] ^ 1]) + content[100:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[:-1],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"\n}",
    "with one bit changed": flipped,
}


@pytest.mark.parametrize("kind", ["file", "s3", "gs"], indirect=True)
@pytest.mark.parametrize("what", ["watch_segment", "seek_event", "manifest"])
def test_a_damaged_archive(own_url: str, place: Store, capsys: pytest.CaptureFixture[str], what: str) -> None:
    archive_march()
    [path] = [path for path in place.list("2024-03") if what in path]
    content = place.read(path)
    assert content is not None
    for damage in DAMAGES.values():
        place.write(path, damage(content))
        assert "damaged" in refusal(capsys, own_url) or what == "manifest"
    place.delete(path)
    assert "missing" in refusal(capsys, own_url)

    place.write(path, content)
    assert restore.main(["2024-03"]) == 0


def test_files_that_changed_places(own_url: str, place: Store, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march(lambda: watched_in(MARCH), lambda: watched_in(APRIL))
    for what in ("watch_segment", "seek_event"):
        one, other = (path for path in place.list("") if what in path)
        contents = place.read(one), place.read(other)
        assert contents[0] and contents[1]
        place.write(one, contents[1])
        place.write(other, contents[0])
        assert "damaged" in refusal(capsys, own_url)
        assert "damaged" in refusal(capsys, own_url, "2024-04")
        place.write(one, contents[0])
        place.write(other, contents[1])
    assert restore.main(["2024-03"]) == 0


def test_another_months_archive_under_its_name(own_url: str, place: Store, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march(lambda: watched_in(MARCH), lambda: watched_in(APRIL))
    march, april = (path for path in place.list("") if "manifest" in path)
    other = place.read(april)
    assert other
    place.write(march, other)
    assert "missing or damaged" in refusal(capsys, own_url)

    forged = json.loads(other) | {"month": "2024-03"}
    place.write(march, json.dumps(forged).encode())
    assert "does not have what its sessions had" in refusal(capsys, own_url)


def test_a_manifest_that_was_not_completed(own_url: str, place: Store, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    [path] = [path for path in place.list("") if "manifest" in path]
    manifest = json.loads(place.read(path) or b"")
    place.write(path, json.dumps(manifest | {"is_complete": False}).encode())
    assert "missing or damaged" in refusal(capsys, own_url)
    place.write(path, json.dumps(manifest | {"parts": []}).encode())
    assert "does not have what its sessions had" in refusal(capsys, own_url)


def test_while_the_job_is_at_work(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive_march()
    with closing(db.patient(60)) as pool, pool.lock(archive.LOCK) as is_ours:
        assert is_ours
        assert "archiving or restoring at this moment" in refusal(capsys, own_url)
    assert restore.main(["2024-03"]) == 0


@pytest.mark.parametrize("trouble", [stores.Stores.without_a_bucket, stores.Stores.that_refuses])
def test_without_its_store(
    own_url: str, capsys: pytest.CaptureFixture[str], trouble: Callable[[stores.Stores, str], str]
) -> None:
    archive_march()
    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=trouble(stores.shared(), "gs")):
        assert refusal(capsys, own_url)


def test_what_is_no_month(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("2024-13", "march", "2024-03-01", ""):
        with pytest.raises(SystemExit) as ended:
            restore.main([text])
        assert ended.value.code == 2
    assert "2024-03-01" in capsys.readouterr().err


def test_its_help_says_that_the_job_will_archive_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restore.main(["--help"])
    assert "RETENTION_DAYS" in capsys.readouterr().out


# Stopped half-way


def test_stopped_anywhere_it_can_be_run_again(own_url: str, place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the first thing that it asks of database or store, after the second, and so on to the last."""
    monkeypatch.setattr(archive, "PAGE_ROWS", 3)
    for _ in range(2):
        watched_in(MARCH)
    before = recorded(own_url)
    points = 0
    while True:
        archive.run()
        assert not rows(own_url)
        child = os.fork()
        if child == 0:
            kill_after(points)
            os._exit(restore.main(["2024-03"]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            break
        assert code == KILLED
        points += 1
        if recorded(own_url) != before:  # or it had just finished
            assert restore.main(["2024-03"]) == 0
        assert recorded(own_url) == before
    assert points >= 15


KILLED = 99


def kill_after(points: int) -> None:
    """Let this process die without another word after so many answers of database and store."""
    left = [points]

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def answered(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)
            return result

        return answered

    db.Tx._ask = wrapped(db.Tx._ask)  # type: ignore[method-assign]
    for name in ("read", "sha256", "list", "delete", "reading", "writing"):
        setattr(Store, name, wrapped(getattr(Store, name)))


def test_it_tells_how_far_it_is(own_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE_ROWS", 5)
    archive_march()
    told: list[tuple[int, int]] = []

    restore.restore(MARCH, False, lambda done, of: told.append((done, of)))

    assert told == [(5, 16), (10, 16), (15, 16), (16, 16)] or told[-1] == (16, 16)
