"""Whatever is watched, again and again, and jumped over, by whoever in whichever sessions: the evidence of each learner
and the engagement of all tell what sets of milliseconds tell.

Where CI is set, the examples are the same every time; elsewhere they are random, and a failure says how to repeat it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.recount import Recount
from tests.conftest import Person, Viewer, end_as_stale, seek, segment

LAST_MS = 4_000
SKIP_THRESHOLD_MS = 300
LEARNERS = 2

EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

Stretch = tuple[int, int]
places = st.integers(0, LAST_MS) | st.integers(0, LAST_MS // 250).map(lambda quarter: 250 * quarter)
stretches = st.tuples(places, places).filter(lambda pair: pair[0] < pair[1])
jumps = st.tuples(places, places)
recorded = st.tuples(st.just("record"), st.lists(stretches, max_size=4), st.lists(jumps, max_size=2))
others = st.sampled_from(["start", "start", "close", "silence", "heartbeat", "complete"])
steps = st.tuples(
    st.integers(0, LEARNERS - 1), st.integers(0, 2), recorded | recorded | others.map(lambda what: (what, [], []))
)


@dataclass(eq=False)
class Session:
    """One session, as somebody would note it down."""

    session_id: str
    attempt: int
    status: str = "open"
    played: list[Stretch] = field(default_factory=list)
    jumped_over: set[int] = field(default_factory=set)
    noted: tuple[set[int], set[int]] = (set(), set())  # watched again and jumped over, when it last ended

    @property
    def seen(self) -> set[int]:
        return covered(self.played)

    @property
    def again(self) -> set[int]:
        times = Counter(ms for stretch in self.played for ms in range(*stretch))
        return {ms for ms, count in times.items() if count > 1}

    def note(self) -> None:
        if self.status != "open":
            self.noted = self.again, set(self.jumped_over)


@dataclass
class Learner:
    viewer: Viewer
    sessions: list[Session] = field(default_factory=list)
    completed: int = 0  # attempts

    def attempts(self) -> Iterator[tuple[int, list[Session]]]:
        """The latest first."""
        for number in sorted({session.attempt for session in self.sessions}, reverse=True):
            yield number, [session for session in self.sessions if session.attempt == number]

    def start(self) -> None:
        self.sessions.append(Session(self.viewer.start()["sessionId"], self.completed + 1))

    def do(self, nth: int, what: str, played: list[Stretch], jumped: list[Stretch], duration_ms: int | None) -> None:
        if what == "start" or nth >= len(self.sessions):
            self.start()
        session = self.sessions[min(nth, len(self.sessions) - 1)]
        match what:
            case "record":
                self.record(session, played, jumped, duration_ms)
            case "close":
                self.viewer.close(session.session_id)
                session.status = "closed"
            case "silence" if session.status == "open":
                end_as_stale(session.session_id, self.viewer.user_id)
                session.status = "stale"
            case "heartbeat" if session.status != "closed":
                self.viewer.put(f"/video/sessions/{session.session_id}/heartbeat")
                session.status = "open"
            case "complete" if self.completed < self.sessions[-1].attempt:
                self.viewer.complete()
                self.completed += 1
        session.note()

    def record(self, session: Session, played: list[Stretch], jumped: list[Stretch], duration_ms: int | None) -> None:
        self.viewer.record(
            *(segment(start / 1000, end / 1000) for start, end in played),
            seeks=[seek(start / 1000, end / 1000) for start, end in jumped],
            session=session.session_id,
        )
        session.played += played
        ended = [s for s in self.sessions if s.attempt == session.attempt and s.status != "open"]
        seen = session.seen.union(*(s.seen for s in ended))
        for jump in jumped:
            if len(in_lesson(covered([jump]), duration_ms) - seen) > SKIP_THRESHOLD_MS:
                session.jumped_over |= covered([jump])
        if session.status == "stale":
            session.status = "open"


def covered(stretches: Iterable[Stretch]) -> set[int]:
    return {ms for stretch in stretches for ms in range(*stretch)}


def in_lesson(seen: set[int], duration_ms: int | None) -> set[int]:
    return seen if duration_ms is None else {ms for ms in seen if ms < duration_ms}


def twice(parts: Iterable[set[int]]) -> set[int]:
    """What is in two of them."""
    return {ms for one, other in combinations(list(parts), 2) for ms in one & other}


def ranges(seen: set[int]) -> list[list[float]]:
    starts = sorted(ms for ms in seen if ms - 1 not in seen)
    ends = sorted(ms + 1 for ms in seen if ms + 1 not in seen)
    return [[start / 1000, end / 1000] for start, end in zip(starts, ends, strict=True)]


def mean(grounds: list[set[int]], start_ms: int, end_ms: int) -> float:
    """How many of them a part lies in, on average over its length."""
    total = sum(len(ground & set(range(start_ms, end_ms))) for ground in grounds)
    return float((Decimal(total) / (end_ms - start_ms)).quantize(Decimal("0.001"), ROUND_HALF_UP))


@pytest.fixture(scope="module")
def recount(database_url: str) -> Iterator[Recount]:
    with closing(Recount(database_url)) as recount:
        yield recount


@EXAMPLES
@given(
    duration_ms=st.none() | st.sampled_from([1, 250, 1000, 3999]) | st.integers(1, LAST_MS),
    story=st.lists(steps, max_size=16) | st.lists(steps, min_size=8, max_size=16),
    buckets=st.integers(1, 200),
)
def test_evidence_and_engagement_tell_what_was_watched_again_and_skipped(
    recount: Recount, duration_ms: int | None, story: list[Any], buckets: int
) -> None:
    lesson_id, manager = f"lesson-{uuid4()}", Person(role="manager")
    policy = {"durationSecond": duration_ms and duration_ms / 1000, "skipThresholdSecond": SKIP_THRESHOLD_MS / 1000}
    Person(role="service").put(f"/video/lessons/{lesson_id}", policy)
    learners = [Learner(Viewer(lesson_id)) for _ in range(LEARNERS)]

    for who, nth, (what, played, jumped) in story:
        learners[who].do(nth, what, played, jumped, duration_ms)

    for learner in learners:
        if learner.sessions:
            path = f"/video/users/{learner.viewer.user_id}/lessons/{lesson_id}/evidence"
            check_evidence(learner, learner.viewer.get(path), duration_ms)
            assert recount.look(learner.viewer.user_id).differences == []
    told = manager.get(f"/video/lessons/{lesson_id}/engagement?buckets={buckets}")
    check_engagement(learners, told, duration_ms, buckets)


def check_evidence(learner: Learner, told: Any, duration_ms: int | None) -> None:
    expected = list(learner.attempts())
    assert [attempt["attemptNo"] for attempt in told["attempts"]] == [number for number, _ in expected]
    for attempt, (_, sessions) in zip(told["attempts"], expected, strict=True):
        seen = set().union(*(session.seen for session in sessions))
        again = twice(session.seen for session in sessions).union(*(session.again for session in sessions))
        jumped_over = set().union(*(session.jumped_over for session in sessions))
        assert attempt["coverage"] == ranges(in_lesson(seen, duration_ms))
        assert attempt["rewatched"] == ranges(in_lesson(again, duration_ms))
        assert attempt["skipped"] == ranges(in_lesson(jumped_over - seen, duration_ms))
        assert [each["sessionId"] for each in attempt["sessions"]] == [s.session_id for s in sessions[::-1]]
        for each, session in zip(attempt["sessions"], sessions[::-1], strict=True):
            assert each["status"] == session.status
            assert each["coverage"] == ranges(in_lesson(session.seen, duration_ms))
            assert each["rewatched"] == ranges(in_lesson(session.again, duration_ms))
            skips = [skip for skip in each["skips"] if skip["isSkip"]]
            over = covered((round(skip["fromSecond"] * 1000), round(skip["toSecond"] * 1000)) for skip in skips)
            assert (over, len(skips)) == (session.jumped_over, each["skipCount"])


def check_engagement(learners: list[Learner], told: Any, duration_ms: int | None, buckets: int) -> None:
    watching = []
    watched, rewatched, skipped = [], [], []
    for learner in learners:
        seen = in_lesson(set().union(*(session.seen for session in learner.sessions)), duration_ms)
        if seen:
            watching.append(learner)
            watched.append(seen)
            rewatched.append(
                twice(session.seen for session in learner.sessions).union(
                    *(session.noted[0] for session in learner.sessions)
                )
            )
            skipped.append(set().union(*(session.noted[1] for session in learner.sessions)) - seen)
    assert (told["learners"], told["completed"]) == (len(watching), sum(each.completed > 0 for each in watching))
    if not watching:
        assert (told["buckets"], told["bucketSecond"], told["averageCoverageRatio"]) == ([], None, None)
        return
    end_ms = duration_ms or max(map(max, watched)) + 1
    step = -(-end_ms // buckets)
    parts = [(start, min(start + step, end_ms)) for start in range(0, end_ms, step)]
    assert len(parts) <= buckets
    assert told["bucketSecond"] == step / 1000
    assert told["buckets"] == [
        {
            "startSecond": start / 1000,
            "endSecond": end / 1000,
            "watched": mean(watched, start, end),
            "rewatched": mean(rewatched, start, end),
            "skipped": mean(skipped, start, end),
        }
        for start, end in parts
    ]
    assert told["averageCoverageRatio"] == average_ratio(watched, duration_ms)


def average_ratio(watched: list[set[int]], duration_ms: int | None) -> float | None:
    """The mean, rounded down; who lacks nothing but the last second has seen all of it."""
    if duration_ms is None:
        return None
    enough = set(range(max(duration_ms - 1000, 1)))
    total = sum(duration_ms if seen >= enough else len(seen) for seen in watched)
    return total * 10**6 // (duration_ms * len(watched)) / 10**6
