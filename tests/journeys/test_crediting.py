"""Random histories of one person at one lesson, against a plain account of what counts: sets of milliseconds."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import sweeping
from infra.recount import Recount
from tests.conftest import Person, Viewer, move_into_the_past, problem, segment, stored

DURATION_MS = 4_000
LESSON = set(range(DURATION_MS))
DAY_S = 86_400


@dataclass
class Attempt:
    id: str
    no: int
    is_completed: bool = False
    is_assigned: bool = False
    was_made: bool = False  # by an assignment
    limit: int | None = None  # milliseconds of credit


@dataclass
class Session:
    id: str
    attempt: Attempt
    is_assigned: bool
    status: str = "open"
    age_days: int = 0
    credited_to: Attempt | None = None
    seen: set[int] = field(default_factory=set)
    effective_ms: int = 0


class History:
    """What is done to the service, and the account of it. Which session is meant is a number, counted round."""

    def __init__(self, url: str, recount: Recount, permille: int, window_days: int) -> None:
        self.url = url
        self.recount = recount
        self.service = Person(role="service")
        self.viewer = Viewer(f"lesson-{uuid4()}")
        self.attempts: list[Attempt] = []
        self.sessions: list[Session] = []
        self.write_policy(permille, window_days)

    def write_policy(self, permille: int, window_days: int) -> None:
        self.permille, self.window_days = permille, window_days
        policy = {"durationSecond": 4, "maxCreditRatio": permille / 1000, "creditWindowDays": window_days}
        self.service.put(f"/video/lessons/{self.viewer.lesson_id}", policy)

    # The player

    def start(self) -> None:
        if not self.attempts or self.attempts[-1].is_completed:
            is_assigned = bool(self.attempts) and self.attempts[-1].is_assigned
            self.attempts.append(Attempt("", len(self.attempts) + 1, is_assigned=is_assigned))
        started, latest = self.viewer.start(), self.attempts[-1]
        latest.id = latest.id or started["attemptId"]
        assert (started["attemptId"], started["attemptNo"]) == (latest.id, latest.no)
        assert started["isAssigned"] == latest.is_assigned
        self.sessions.append(Session(started["sessionId"], latest, latest.is_assigned))

    def watch(self, which: int, start_ms: int, length_ms: int, speed: int, deliveries: int) -> None:
        session = self.session(which)
        played = segment(start_ms / 1000, (start_ms + length_ms) / 1000, speed)
        for _ in range(deliveries):
            answer = self.viewer.record(played, session=session.id)
            assert answer["late"] == (session.status == "closed")
        session.seen |= set(range(start_ms, start_ms + length_ms))
        session.effective_ms += round(length_ms / speed)
        if session.status == "stale":
            session.status = "open"

    def touch(self, which: int) -> None:
        session = self.session(which)
        answer = self.viewer.send("PUT", f"/video/sessions/{session.id}/heartbeat")
        if session.status == "closed":
            problem(answer, 409)
        else:
            session.status = "open"

    def close(self, which: int) -> None:
        session = self.session(which)
        self.viewer.close(session.id)
        session.status = "closed"

    def complete(self, which: int) -> None:
        attempt = self.attempts[which % len(self.attempts)] if self.attempts else self.session(0).attempt
        self.service.put(f"/video/attempts/{attempt.id}/complete")
        attempt.is_completed = True

    # Time

    def fall_silent(self, which: int) -> None:
        session = self.session(which)
        move_into_the_past(session.id, self.viewer.user_id, 301)
        was_ended = sweeping.end(UUID(session.id), self.viewer.user_id, sweeping.SILENT_S)
        assert was_ended == (session.status == "open")
        if was_ended:
            session.status = "stale"

    def grow_older(self, which: int, days: int) -> None:
        session = self.session(which)
        move_into_the_past(session.id, self.viewer.user_id, days * DAY_S)
        session.age_days += days

    # The assignment

    def assign(self) -> None:
        was_assigned = bool(self.attempts) and self.attempts[-1].is_assigned
        before = stored(self.url, self.viewer.user_id)
        answer = self.service.put(self.viewer.assignment)
        if was_assigned:
            assert stored(self.url, self.viewer.user_id) == before
        else:
            if not self.attempts or self.attempts[-1].is_completed:
                self.attempts.append(Attempt(answer["attemptId"], len(self.attempts) + 1, was_made=True))
            self.attempts[-1].is_assigned = True
            self.attempts[-1].limit = self.permille * DURATION_MS // 1000 if self.permille < 1000 else None
            for session in self.sessions:
                if session.age_days < self.window_days:
                    session.credited_to = self.attempts[-1]
        latest = self.attempts[-1]
        assert (answer["attemptId"], answer["attemptNo"]) == (latest.id, latest.no)
        assert answer["creditedSessions"] == [s.id for s in self.sessions if s.credited_to is latest]
        assert answer["creditedSecond"] == len(self.credit(latest) & LESSON) / 1000

    def unassign(self) -> None:
        answer = self.service.send("DELETE", self.viewer.assignment)
        if not self.attempts:
            problem(answer, 404)
            return
        latest = self.attempts[-1]
        was_opened = any(session.attempt is latest for session in self.sessions)
        if latest.was_made and not latest.is_completed and not was_opened:
            self.attempts.pop()
        for attempt in self.attempts:
            attempt.is_assigned, attempt.was_made, attempt.limit = False, False, None
        for session in self.sessions:
            session.is_assigned, session.credited_to = False, None
        left: Any = answer.get_json()
        assert left["attemptId"] == (self.attempts[-1].id if self.attempts else None)

    def assign_and_take_it_back(self) -> None:
        if not self.attempts or not self.attempts[-1].is_assigned:
            before = stored(self.url, self.viewer.user_id)
            self.service.put(self.viewer.assignment)
            self.service.delete(self.viewer.assignment)
            assert stored(self.url, self.viewer.user_id) == before

    # What must be true at every moment

    def check(self) -> None:
        if self.attempts:
            self.check_totals(self.attempts[-1], self.viewer.progress())
        credits = {s.id: s.credited_to.id if s.credited_to else None for s in self.sessions if not s.is_assigned}
        assert self.viewer.credits() == credits
        assert not self.recount.user(self.viewer.user_id).wrong

    def check_totals(self, latest: Attempt, shown: Any) -> None:
        own = [s for s in self.sessions if s.attempt is latest and (s.is_assigned or not latest.is_assigned)]
        credited = [s for s in self.sessions if s.credited_to is latest]
        seen = self.credit(latest).union(*(s.seen for s in own))
        assert shown["attempt"]["attemptId"] == latest.id
        assert shown["attempt"]["status"] == ("completed" if latest.is_completed else "active")
        assert shown["attempt"]["isAssigned"] == latest.is_assigned
        assert milliseconds(shown["aggregates"]["watchedRanges"]) == seen & LESSON
        assert shown["aggregates"]["effectiveSecond"] == sum(s.effective_ms for s in own + credited) / 1000
        listed = {s["sessionId"]: s["status"] for s in shown["sessions"]}
        assert listed == {s.id: s.status for s in self.sessions if s.attempt is latest}

    def credit(self, attempt: Attempt) -> set[int]:
        """What is credited to an attempt: the earliest milliseconds, up to its limit."""
        seen: set[int] = set().union(*(s.seen for s in self.sessions if s.credited_to is attempt))
        return set(sorted(seen)[: attempt.limit])

    def session(self, which: int) -> Session:
        if not self.sessions:
            self.start()
        return self.sessions[which % len(self.sessions)]


def milliseconds(ranges: list[list[float]]) -> set[int]:
    return {ms for start, end in ranges for ms in range(round(start * 1000), round(end * 1000))}


WHICH = st.integers(0, 5)
PERMILLE = st.sampled_from([1000, 1000, 500, 123, 0])
WINDOW_DAYS = st.sampled_from([365, 365, 30, 0])
START_MS, LENGTH_MS = st.integers(0, 4_500), st.integers(1, 2_000)
DEEDS = st.one_of(
    st.tuples(st.just(History.start)),
    st.tuples(st.just(History.watch), WHICH, START_MS, LENGTH_MS, st.sampled_from([1, 2]), st.integers(1, 2)),
    st.tuples(st.just(History.touch), WHICH),
    st.tuples(st.just(History.close), WHICH),
    st.tuples(st.just(History.complete), WHICH),
    st.tuples(st.just(History.fall_silent), WHICH),
    st.tuples(st.just(History.grow_older), WHICH, st.sampled_from([20, 200])),
    st.tuples(st.just(History.write_policy), PERMILLE, WINDOW_DAYS),
    st.tuples(st.just(History.assign)),
    st.tuples(st.just(History.unassign)),
    st.tuples(st.just(History.assign_and_take_it_back)),
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(permille=PERMILLE, window_days=WINDOW_DAYS, deeds=st.lists(DEEDS, min_size=10, max_size=30))
def test_whatever_happens_the_totals_are_what_counts(
    database_url: str, permille: int, window_days: int, deeds: list[tuple[Any, ...]]
) -> None:
    with closing(Recount(database_url)) as recount:
        history = History(database_url, recount, permille, window_days)
        for deed, *details in deeds:
            deed(history, *details)
            history.check()
