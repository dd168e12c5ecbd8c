"""The sweep, an assignment and its taking back, while the player does something else at the same moment.

Each race is run by many people, who have watched `[0, 10)` in a session that ended and `[10, 20)` in one that is
open and silent for ten minutes. Whoever comes first: all that was acknowledged counts, and counts once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from common import attempts, crediting, progress, sessions, sweeping
from common.auth import Caller, Role
from common.models import (
    AttemptCompleted,
    LessonAssigned,
    LessonUnassigned,
    ProgressRecorded,
    RecordProgress,
    SessionEnded,
    SessionStarted,
    SessionTouched,
    StartSession,
)
from common.parsing import parse
from infra.recount import Recount
from tests.conftest import database, deployed, run, segment

ROUNDS = 200
AT_ONCE = 4


@dataclass(frozen=True)
class Learner:
    lesson_id: str
    user_id: str
    attempt_id: UUID
    ended_id: UUID  # sessions
    open_id: UUID
    began: datetime

    @property
    def caller(self) -> Caller:
        return Caller(self.user_id, Role.PLAYER)

    def start(self) -> SessionStarted:
        body = {"userId": self.user_id, "lessonId": self.lesson_id}
        return sessions.start(self.caller, parse(StartSession, to_json(body)), None)

    def watch(self) -> ProgressRecorded:
        """Watch `[20, 30)` in the open session."""
        return self.record(self.open_id)

    def deliver_late(self) -> ProgressRecorded:
        """Deliver `[20, 30)` for the session that ended."""
        return self.record(self.ended_id)

    def record(self, session_id: UUID, start: float = 20, end: float = 30) -> ProgressRecorded:
        body = to_json({"segments": [segment(start, end)]})
        return progress.record(self.caller, session_id, parse(RecordProgress, body))

    def touch(self) -> SessionTouched:
        return sessions.touch(self.caller, self.open_id)

    def close(self) -> SessionEnded:
        return sessions.close(self.caller, self.open_id)

    def complete(self) -> AttemptCompleted:
        return attempts.complete(self.caller, self.attempt_id)

    def sweep(self) -> bool:
        return sweeping.end(self.open_id, self.user_id, sweeping.SILENT_S)

    def assign(self) -> LessonAssigned:
        return crediting.assign(self.user_id, self.lesson_id, None)

    def unassign(self) -> LessonUnassigned:
        return crediting.unassign(self.user_id, self.lesson_id)


LEARNERS = """
    WITH learner AS (
        SELECT *
        FROM jsonb_to_recordset(:learners::jsonb) AS l (
            lesson_id text, user_id text, attempt_id uuid, ended_id uuid, open_id uuid, began timestamptz
        )
    ),
    viewing AS (
        SELECT *, ended_id AS session_id, 'closed' AS status, 0 AS start_ms, began + '10 s' AS at FROM learner
        UNION ALL
        SELECT *, open_id AS session_id, 'open' AS status, 10000 AS start_ms, began + '20 s' AS at FROM learner
    ),
    lesson AS (
        INSERT INTO lesson (lesson_id, duration_ms) SELECT DISTINCT lesson_id, 100000 FROM learner
    ),
    attempt AS (
        INSERT INTO lesson_attempt (
            attempt_id, user_id, lesson_id, attempt_no, started_at, coverage, effective_ms, last_position_ms,
            last_position_at
        )
        SELECT attempt_id, user_id, lesson_id, 1, began, '{[0,10000)}', 10000, 10000, at
        FROM viewing
        WHERE status = 'closed'
    ),
    session AS (
        INSERT INTO watch_session (
            session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, status, started_at, closed_at,
            last_heartbeat_at, coverage, effective_ms, segment_count, last_position_ms, last_position_at
        )
        SELECT
            session_id, user_id, attempt_id, lesson_id, false, session_id::text, status, began,
            CASE status WHEN 'closed' THEN at END, at,
            int4multirange(int4range(start_ms, start_ms + 10000)), 10000, 1, start_ms + 10000, at
        FROM viewing
    )
    INSERT INTO watch_segment (
        session_id, user_id, client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
    )
    SELECT session_id, user_id, gen_random_uuid(), start_ms, start_ms + 10000, 10000, 1, at, at FROM viewing
"""


@pytest.fixture(scope="module")
def url(server_url: str, deployment: None) -> Iterator[str]:
    """A database of their own: they are many, and `fair` recounts them."""
    with database(server_url) as own, deployed(DATABASE_URL=own):
        yield own


@pytest.fixture
def learners(url: str) -> list[Learner]:
    lesson_id, began = f"lesson-{uuid4()}", datetime.now(UTC) - timedelta(minutes=10)
    everybody = [Learner(lesson_id, f"player-{uuid4()}", uuid7(), uuid7(), uuid7(), began) for _ in range(ROUNDS)]
    run(url, LEARNERS, learners=to_json([asdict(learner) for learner in everybody]).decode())
    return everybody


def race(learners: list[Learner], *actions: Callable[[Learner], Any]) -> list[tuple[Any, ...]]:
    """For each learner, do all actions at the same moment; what each gave."""

    def run_lane(begin: Barrier, action: Callable[[Learner], Any], lane: Sequence[Learner]) -> list[Any]:
        given = []
        try:
            for learner in lane:
                begin.wait(timeout=60)
                given.append(action(learner))
        except BaseException:
            begin.abort()
            raise
        return given

    with ThreadPoolExecutor(AT_ONCE * len(actions)) as threads:
        lanes = [learners[n::AT_ONCE] for n in range(AT_ONCE)]
        begins = [Barrier(len(actions)) for _ in lanes]
        running = [
            [threads.submit(run_lane, begin, action, lane) for action in actions]
            for begin, lane in zip(begins, lanes, strict=True)
        ]
        return [outcome for lane in running for outcome in zip(*(one.result() for one in lane), strict=True)]


BROKEN_RULES = """
    SELECT a.user_id, 'more than one attempt is active'
    FROM lesson_attempt AS a
    WHERE a.lesson_id = :lesson_id AND a.status = 'active'
    GROUP BY a.user_id
    HAVING count(*) > 1
    UNION ALL
    SELECT a.user_id, 'the attempt after an assigned one is not assigned'
    FROM lesson_attempt AS a
    INNER JOIN lesson_attempt AS b
        ON a.user_id = b.user_id AND a.lesson_id = b.lesson_id AND a.attempt_no + 1 = b.attempt_no
    WHERE a.lesson_id = :lesson_id AND a.is_assigned AND NOT b.is_assigned
    UNION ALL
    SELECT a.user_id, 'a session of an assigned attempt is neither assigned nor credited'
    FROM lesson_attempt AS a
    INNER JOIN watch_session AS s ON a.attempt_id = s.attempt_id AND a.user_id = s.user_id
    WHERE a.lesson_id = :lesson_id AND a.is_assigned AND NOT s.is_assigned AND s.credited_attempt_id IS NULL
    UNION ALL
    SELECT a.user_id, 'a session of an unassigned attempt is assigned'
    FROM lesson_attempt AS a
    INNER JOIN watch_session AS s ON a.attempt_id = s.attempt_id AND a.user_id = s.user_id
    WHERE a.lesson_id = :lesson_id AND NOT a.is_assigned AND s.is_assigned
    UNION ALL
    SELECT a.user_id, 'a session is credited to an unassigned attempt'
    FROM lesson_attempt AS a
    INNER JOIN watch_session AS s ON a.attempt_id = s.credited_attempt_id AND a.user_id = s.user_id
    WHERE a.lesson_id = :lesson_id AND NOT a.is_assigned
"""


@pytest.fixture
def fair(url: str, learners: list[Learner]) -> Callable[..., None]:
    """Check that each learner's latest attempt comes to so many seconds, that no event is missing, that every
    stored total is what the raw rows come to, and that the rules of assignment hold.
    """

    def check(*, seconds: int | None = None, events: int = 2) -> None:
        lesson_id = learners[0].lesson_id
        assert run(url, BROKEN_RULES, lesson_id=lesson_id) == []
        with closing(Recount(url)) as recount:
            assert [learner for learner in learners if recount.user(learner.user_id).wrong] == []
        stored = run(
            url,
            "SELECT count(*) FROM watch_session AS s JOIN watch_segment USING (session_id) WHERE s.lesson_id = :l",
            l=lesson_id,
        )
        assert stored == [[events * ROUNDS]]
        if seconds is not None:
            found = [progress.find(x.caller, x.user_id, x.lesson_id).aggregates for x in learners]
            totals = Counter((total.coverage_ms, total.effective_ms) for total in found)
            assert totals == {(seconds * 1000, seconds * 1000): ROUNDS}

    return check


def stored(url: str, learners: list[Learner], what: str) -> set[Any]:
    """The different values that the sessions that were open have in a column."""
    ids = to_json([learner.open_id for learner in learners]).decode()
    found = run(
        url,
        f"SELECT DISTINCT {what} FROM watch_session"
        " WHERE session_id IN (SELECT value::uuid FROM jsonb_array_elements_text(:ids::jsonb))",
        ids=ids,
    )
    return {value for [value] in found}


# The sweep


def test_sweep_and_progress(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(learners, Learner.sweep, Learner.watch)

    assert {(answer.accepted, answer.status) for _, answer in outcomes} == {(1, "open")}
    assert stored(url, learners, "status") == {"open"}
    fair(seconds=30, events=3)


def test_sweep_and_heartbeat(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    race(learners, Learner.sweep, Learner.touch)

    assert stored(url, learners, "status") == {"open"}
    fair(seconds=20)


def test_sweep_and_close(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(learners, Learner.sweep, Learner.close)

    assert {(answer.status, answer.coverage_ms) for _, answer in outcomes} == {("closed", 20_000)}
    assert stored(url, learners, "status") == {"closed"}
    fair(seconds=20)


def test_sweep_and_late_progress(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(learners, Learner.sweep, Learner.deliver_late)

    assert {(ended, answer.accepted) for ended, answer in outcomes} == {(True, 1)}
    fair(seconds=30, events=3)


def test_sweep_and_sweep(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(learners, Learner.sweep, Learner.sweep)

    assert {sum(ended) for ended in outcomes} == {1}
    assert stored(url, learners, "status") == {"stale"}
    assert stored(url, learners, "closed_at") == {learners[0].began + timedelta(seconds=20)}
    fair(seconds=20)


def test_two_whole_sweeps_share_the_work(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    silent = sweeping.sweep(dry_run=True).stale
    assert silent >= ROUNDS

    with ThreadPoolExecutor() as threads:
        swept = [running.result() for running in [threads.submit(sweeping.sweep) for _ in range(2)]]

    assert sum(one.stale for one in swept) == silent
    assert [(one.postponed, one.more_to_do) for one in swept] == [(0, False)] * 2
    assert stored(url, learners, "status") == {"stale"}
    fair(seconds=20)


# Credit


def test_credit_and_sweep(learners: list[Learner], fair: Callable[..., None]) -> None:
    race(learners, Learner.assign, Learner.sweep)

    fair(seconds=20)


def test_credit_and_close(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(learners, Learner.assign, Learner.close)

    assert {(answer.credited_ms, len(answer.credited_sessions)) for answer, _ in outcomes} == {(20_000, 2)}
    assert {answer.coverage_ms for _, answer in outcomes} == {20_000}
    assert stored(url, learners, "status") == {"closed"}
    fair(seconds=20)


def test_credit_and_progress(learners: list[Learner], fair: Callable[..., None]) -> None:
    outcomes = race(learners, Learner.assign, Learner.watch)

    assert {answer.accepted for _, answer in outcomes} == {1}
    fair(seconds=30, events=3)


def test_credit_and_late_progress(learners: list[Learner], fair: Callable[..., None]) -> None:
    outcomes = race(learners, Learner.assign, Learner.deliver_late)

    assert {(answer.accepted, answer.late) for _, answer in outcomes} == {(1, True)}
    fair(seconds=30, events=3)


def test_credit_to_a_new_attempt_and_late_progress(learners: list[Learner], fair: Callable[..., None]) -> None:
    for learner in learners:
        learner.complete()

    outcomes = race(learners, Learner.assign, Learner.deliver_late)

    assert {answer.attempt_no for answer, _ in outcomes} == {2}
    fair(seconds=30, events=3)


def test_late_progress_of_two_attempts_that_were_credited_to_a_third(
    learners: list[Learner], fair: Callable[..., None]
) -> None:
    second: dict[str, UUID] = {}
    for learner in learners:
        learner.complete()
        started = learner.start()
        second[learner.user_id] = started.session_id
        sessions.close(learner.caller, started.session_id)
        attempts.complete(learner.caller, started.attempt_id)
        assert learner.assign().attempt_no == 3

    race(learners, Learner.deliver_late, lambda learner: learner.record(second[learner.user_id], 40, 50))

    fair(seconds=40, events=4)


def test_credit_and_start(learners: list[Learner], fair: Callable[..., None]) -> None:
    outcomes = race(learners, Learner.assign, Learner.start)

    assert {len(assigned.credited_sessions) + started.is_assigned for assigned, started in outcomes} == {3}
    fair(seconds=20)


def test_credit_and_credit(learners: list[Learner], fair: Callable[..., None]) -> None:
    outcomes = race(learners, Learner.assign, Learner.assign)

    assert [first for first, second in outcomes if first != second] == []
    fair(seconds=20)


def test_credit_and_credit_to_a_new_attempt(learners: list[Learner], fair: Callable[..., None]) -> None:
    for learner in learners:
        learner.complete()

    outcomes = race(learners, Learner.assign, Learner.assign)

    assert {answer.attempt_no for answer, _ in outcomes} == {2}
    assert [first for first, second in outcomes if first != second] == []
    fair(seconds=20)


def test_credit_and_completion(learners: list[Learner], fair: Callable[..., None]) -> None:
    outcomes = race(learners, Learner.assign, Learner.complete)

    assert {answer.coverage_ms for _, answer in outcomes} == {20_000}
    fair(seconds=20)


def test_credit_and_start_and_completion(learners: list[Learner], fair: Callable[..., None]) -> None:
    race(learners, Learner.assign, Learner.start, Learner.complete)

    fair()


# Taking it back


@pytest.fixture
def assigned(learners: list[Learner]) -> list[Learner]:
    for learner in learners:
        learner.assign()
    return learners


def nothing_is_assigned(url: str, learners: list[Learner]) -> bool:
    """Whether no attempt and no session of theirs is assigned, or credited."""
    [[count]] = run(
        url,
        "SELECT count(*) FROM lesson_attempt AS a JOIN watch_session AS s USING (user_id, lesson_id)"
        " WHERE lesson_id = :l AND (a.is_assigned OR s.is_assigned OR s.credited_attempt_id IS NOT NULL)",
        l=learners[0].lesson_id,
    )
    return bool(count == 0)


def test_taking_back_and_close(assigned: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(assigned, Learner.unassign, Learner.close)

    assert {answer.coverage_ms for _, answer in outcomes} == {20_000}
    assert nothing_is_assigned(url, assigned)
    fair(seconds=20)


def test_taking_back_and_progress(assigned: list[Learner], fair: Callable[..., None], url: str) -> None:
    outcomes = race(assigned, Learner.unassign, Learner.watch, Learner.deliver_late)

    assert {(watched.accepted, delivered.accepted) for _, watched, delivered in outcomes} == {(1, 1)}
    assert nothing_is_assigned(url, assigned)
    fair(events=4)


def test_taking_back_and_start(assigned: list[Learner], fair: Callable[..., None], url: str) -> None:
    race(assigned, Learner.unassign, Learner.start)

    assert nothing_is_assigned(url, assigned)
    fair(seconds=20)


def test_taking_back_a_new_attempt_and_start(learners: list[Learner], fair: Callable[..., None], url: str) -> None:
    for learner in learners:
        learner.complete()
        assert learner.assign().attempt_no == 2

    outcomes = race(learners, Learner.unassign, Learner.start)

    assert {started.attempt_no for _, started in outcomes} == {2}
    assert nothing_is_assigned(url, learners)
    fair(seconds=0)


def test_taking_back_and_two_starts_after_completion(
    assigned: list[Learner], fair: Callable[..., None], url: str
) -> None:
    for learner in assigned:
        learner.complete()

    outcomes = race(assigned, Learner.unassign, Learner.start, Learner.start)

    assert {(one.attempt_no, other.attempt_no) for _, one, other in outcomes} == {(2, 2)}
    assert nothing_is_assigned(url, assigned)
    fair(seconds=0)


def test_taking_back_and_credit(assigned: list[Learner], fair: Callable[..., None]) -> None:
    race(assigned, Learner.unassign, Learner.assign)

    fair(seconds=20)
