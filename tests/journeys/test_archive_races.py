"""The archive while somebody still writes, while another run does the same, and when it is killed at any step.

Whatever happens: an event that was acknowledged is in the database or in the archive, and once.
"""

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from common import archive, db, progress, sessions
from common.auth import Caller, Role
from common.errors import ArchiveUnavailable, SessionArchived
from common.models import RecordProgress
from common.parquet import Writer
from common.parsing import parse
from common.partitions import after
from common.store import Store
from infra.recount import Recount
from tests.conftest import deployed, run, seek, segment
from tests.months import MARCH, archived, forget, id_in, manifests, rows, watched_in

ROUNDS = 200
LONG_AGO = date(2000, 1, 1)

MONTHS = """
    WITH old AS (SELECT * FROM jsonb_to_recordset(:sessions::jsonb) AS o (session_id uuid, status text)),
    lesson AS (INSERT INTO lesson (lesson_id) VALUES ('lesson') ON CONFLICT DO NOTHING),
    attempt AS (
        INSERT INTO lesson_attempt (
            attempt_id, user_id, lesson_id, attempt_no, coverage, effective_ms, last_position_ms, last_position_at
        )
        SELECT session_id, session_id::text, 'lesson', 1, '{[0,10000)}', 10000, 10000, now() FROM old
    ),
    session AS (
        INSERT INTO watch_session (
            session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, status, started_at, closed_at,
            coverage, effective_ms, segment_count, last_position_ms, last_position_at
        )
        SELECT
            session_id, session_id::text, session_id, 'lesson', false, 'k', status, now() - interval '1 hour', now(),
            '{[0,10000)}', 10000, 1, 10000, now()
        FROM old
    )
    INSERT INTO watch_segment (
        session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
    )
    SELECT session_id, gen_random_uuid(), session_id::text, 0, 10000, 10000, 1, now(), now() FROM old
"""


@pytest.fixture
def place(own_url: str, tmp_path: Path) -> Iterator[Store]:
    forget(own_url)
    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=tmp_path.as_uri()):
        yield Store(tmp_path.as_uri())


@pytest.fixture
def pools(place: Store) -> Iterator[list[db.Pool]]:
    """For two runs at once."""
    with closing(db.patient(60, 3)) as one, closing(db.patient(60, 3)) as other:
        yield [one, other]


def past_months(url: str) -> dict[date, UUID]:
    """As many months as there are rounds, each with a session that ended; every other one is stale.

    Their rows lie in the default partitions: the archive makes their own, one month at a time.
    """
    months = {}
    month = LONG_AGO
    for _ in range(ROUNDS):
        months[month] = id_in(month)
        month = after(month)
    ended = [{"session_id": id, "status": ("closed", "stale")[n % 2]} for n, id in enumerate(months.values())]
    run(url, MONTHS, sessions=to_json(ended).decode())
    return months


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each gives, or raises."""

    def told(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (SessionArchived, ArchiveUnavailable, archive.MonthWaits) as error:
            return error

    with ThreadPoolExecutor(len(actions)) as threads:
        return [future.result() for future in [threads.submit(told, action) for action in actions]]


def meet(barrier: Barrier) -> None:
    with suppress(BrokenBarrierError):  # the other one has ended already
        barrier.wait()


def archiving(pool: db.Pool, place: Store, month: date, step: str, barrier: Barrier) -> None:
    """Archive a month, and meet the other one before a step."""
    archiver = archive.Archiver(pool, place, False, lambda *_: None)
    method = getattr(archiver, step)

    def after_meeting(*args: Any) -> Any:
        meet(barrier)
        return method(*args)

    setattr(archiver, step, after_meeting)
    try:
        archiver.archive(month)
    finally:
        barrier.abort()


def archive_the_rest() -> None:
    """A run ends early while a killed one's lock is not given back, or somebody uses a month."""
    while (done := archive.run()).more_to_do:
        pass
    assert not done.waiting


def everything_is_there_once_or_about_to_be_dropped(url: str, place: Store, expected: Counter[tuple[Any, ...]]) -> None:
    """Between the seal and the drop a month's rows are in both places, and nowhere else."""
    live, away = rows(url), archived(url, place)
    assert live | away == expected
    assert set(expected.values()) == {1}
    sealed = {row[0] for row in run(url, "SELECT session_id FROM watch_session WHERE archived_at IS NOT NULL")}
    assert {row[1] for row in live & away} <= sealed


def is_recounted_the_same(url: str) -> bool:
    with closing(Recount(url)) as recount:
        return not recount.everybody().wrong


def test_late_progress_and_the_archive(own_url: str, place: Store, pools: list[db.Pool]) -> None:
    """Every round has a month of its own, so what is true of all of them in the end was true after each."""
    steps = ["archive", "_written", "_export", "_compare", "_seal", "_make_sure_of", "_drop"]
    came: Counter[str] = Counter()
    months = past_months(own_url)
    expected = {row[2] for row in rows(own_url)}
    for n, (month, session_id) in enumerate(months.items()):
        caller, barrier = Caller(str(session_id), Role.PLAYER), Barrier(2, timeout=60)
        late = {"segments": [segment(20, 30)], "seeks": [seek(30, 60)]}

        def deliver(late: Any = late, caller: Caller = caller, id: UUID = session_id, other: Barrier = barrier) -> Any:
            meet(other)
            return progress.record(caller, id, parse(RecordProgress, to_json(late)))

        recorded, waits = at_once(deliver, partial(archiving, pools[0], place, month, steps[n % len(steps)], barrier))
        if isinstance(recorded, SessionArchived):
            came["too late"] += 1
        else:
            assert recorded.accepted == 2
            expected |= {UUID(event["clientEventId"]) for event in (*late["segments"], *late["seeks"])}
            came["so that it waits" if waits else "early enough"] += 1

    stored = rows(own_url) | archived(own_url, place)
    everything_is_there_once_or_about_to_be_dropped(own_url, place, stored)
    assert {row[2] for row in stored} == expected
    assert is_recounted_the_same(own_url)
    assert came["too late"] >= ROUNDS // 5
    assert came["so that it waits"] >= ROUNDS // 5

    for session_id, user_id in run(own_url, "SELECT session_id, user_id FROM watch_session WHERE status = 'open'"):
        sessions.close(Caller(user_id, Role.PLAYER), session_id)
    archive_the_rest()
    assert not rows(own_url)
    assert archived(own_url, place) == stored
    assert is_recounted_the_same(own_url)


def test_two_runs_at_once(own_url: str, place: Store, pools: list[db.Pool]) -> None:
    """Without the lock that usually keeps the second one away."""
    steps = ["archive", "_export", "_compare", "_seal", "_delete_what_is_older_than", "_make_sure_of", "_drop"]
    months = past_months(own_url)
    before = rows(own_url)
    outcomes: Counter[str] = Counter()
    for n, month in enumerate(months):
        barrier = Barrier(2, timeout=60)
        both = [partial(archiving, pool, place, month, steps[n % len(steps)], barrier) for pool in pools]
        outcomes.update(map(str, at_once(*both)))

    everything_is_there_once_or_about_to_be_dropped(own_url, place, before)
    assert outcomes["None"] >= ROUNDS // 2
    archive_the_rest()
    assert not rows(own_url)
    assert archived(own_url, place) == before
    assert len(manifests(own_url, place)) == ROUNDS
    assert is_recounted_the_same(own_url)


def die_after(answers: int) -> None:
    """Let this process be killed after so many answers of database and store."""
    left = [answers]

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def answered(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return answered

    steps: dict[type, list[str]] = {
        db.Tx: ["many", "control"],
        Writer: ["write"],
        Store: ["read", "sha256", "list", "delete", "reading", "writing"],
    }
    for owner, names in steps.items():
        for name in names:
            setattr(owner, name, wrapped(getattr(owner, name)))


def is_killed_after(answers: int, work: Callable[[], object]) -> bool:
    """Whether a process of its own that does the work was killed on its way."""
    child = os.fork()
    if child == 0:
        try:
            die_after(answers)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_killed_at_any_step_the_next_run_ends_it(own_url: str, place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first thing that it asks of database or store, after the second, and so on to the last."""
    monkeypatch.setattr(archive, "PART_EVENTS", 1)
    for answers in count():
        late = watched_in(MARCH)
        watched_in(MARCH)
        before = rows(own_url)
        if not is_killed_after(answers, archive.run):
            break
        everything_is_there_once_or_about_to_be_dropped(own_url, place, before)
        answer = late.send("POST", f"/video/sessions/{late.session_id}/progress", {"segments": [segment(90, 95)]})
        assert answer.status_code in (200, 410)
        before = rows(own_url) | archived(own_url, place)

        archive_the_rest()

        assert not rows(own_url)
        assert archived(own_url, place) == before
        assert is_recounted_the_same(own_url)
        empty(own_url, place)
    assert answers >= 40


def empty(url: str, place: Store) -> None:
    forget(url)
    for path in place.list(""):
        place.delete(path)
