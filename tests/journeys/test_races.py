"""Many at the same moment: whatever order they come in, nothing is lost and the totals are those of the raw rows.

`at_once` lets threads go at a barrier, round after round, and the machine picks the order; `in_turn` makes one
order certain, by holding a row that all of them need until each has come to wait for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from random import Random
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from common import db, sweeping
from infra.recount import Recount
from tests.conftest import Person, Viewer, end_as_stale, segment
from tests.conftest import seek as jump

ATTEMPT = "SELECT FROM lesson_attempt WHERE user_id = :user_id ORDER BY attempt_no LIMIT 1 FOR UPDATE"
SESSION = "SELECT FROM watch_session WHERE user_id = :user_id ORDER BY session_id LIMIT 1 FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
EVENTS = (
    "SELECT e.client_event_id::text FROM watch_session AS s JOIN watch_segment AS e USING (session_id, user_id)"
    " WHERE user_id = :user_id UNION ALL"
    " SELECT e.client_event_id::text FROM watch_session AS s JOIN seek_event AS e USING (session_id, user_id)"
    " WHERE user_id = :user_id"
)

Call = Callable[[], Any]


class Witness(Viewer):
    """A viewer that remembers what the service said it has."""

    def __init__(self, lesson_id: str) -> None:
        super().__init__(lesson_id)
        self.acknowledged: set[str] = set()

    def record(self, *segments: Any, seeks: Any = (), session: str | None = None) -> Any:
        answer = super().record(*segments, seeks=seeks, session=session)
        self.acknowledged.update(event["clientEventId"] for event in (*segments, *seeks))
        return answer

    def deliver(self, *segments: Any, session: str) -> Any:
        """Record what was buffered, and close."""
        item = {"sessionId": session, "segments": list(segments), "close": True}
        [answer] = self.post("/video/progress/bulk", {"items": [item]})["results"]
        assert answer["status"] == 200, answer
        self.acknowledged.update(event["clientEventId"] for event in segments)
        return answer

    def open(self) -> str:
        """Start another session."""
        self.start()
        return self.session_id

    def assign(self) -> Any:
        return Person(role="service").put(self.assignment)

    def unassign(self) -> Any:
        return Person(role="service").delete(self.assignment)

    def sweep(self, session: str) -> bool:
        """End a session as the sweep does when it was silent, however short; True if it was open."""
        return sweeping.end(session_id=UUID(session), user_id=self.user_id, silent_s=0)


Witnesses = Callable[[int], Iterator[Witness]]


class Judge:
    """Looks at what is stored."""

    def __init__(self, url: str) -> None:
        self.connection = db.direct(url, 60_000)
        self.recount = Recount(url)

    def close(self) -> None:
        self.connection.close()
        self.recount.close()

    def faults(self, witness: Witness) -> list[str]:
        """What is wrong with a record: totals that differ, events that were lost, stored twice or never sent."""
        found = [str(difference) for difference in self.recount.look(witness.user_id).differences]
        stored = Counter(event for [event] in self.connection.run(EVENTS, user_id=witness.user_id))
        found += [f"event {event} was acknowledged and is lost" for event in witness.acknowledged - stored.keys()]
        found += [f"event {event} was never acknowledged" for event in stored.keys() - witness.acknowledged]
        found += [f"event {event} is stored {times} times" for event, times in stored.items() if times > 1]
        return found

    def active_attempts(self, witness: Witness) -> int:
        active = "SELECT count(*) FROM lesson_attempt WHERE user_id = :user_id AND status = 'active'"
        return int(self.connection.run(active, user_id=witness.user_id)[0][0])

    def sessions(self, witness: Witness) -> int:
        sessions = "SELECT count(*) FROM watch_session WHERE user_id = :user_id"
        return int(self.connection.run(sessions, user_id=witness.user_id)[0][0])


@pytest.fixture
def judge(database_url: str) -> Iterator[Judge]:
    with closing(Judge(database_url)) as judge:
        yield judge


@pytest.fixture
def witnesses(new_lesson: Callable[..., str]) -> Witnesses:
    """So many people, each with an open session of a lesson of 1,000 seconds."""

    def come(many: int) -> Iterator[Witness]:
        for _ in range(many):
            witness = Witness(lesson_id)
            witness.start()
            yield witness

    lesson_id = new_lesson(durationSecond=1000)
    return come


@pytest.fixture
def witness(witnesses: Witnesses) -> Witness:
    return next(witnesses(1))


def at_once(*calls: Call) -> list[Any]:
    """Call all of them at the same moment, each in a thread of its own; their answers, in their order."""
    ready = Barrier(len(calls), timeout=10)

    def go(call: Call) -> Any:
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(go, calls))


def in_turn(url: str, row: str, witness: Witness, *calls: Call) -> list[Any]:
    """Hold a row that all of them need, and let it go when they wait for it in this order; their answers."""
    with closing(db.direct(url, 60_000)) as holder, closing(db.direct(url, 60_000)) as observer:
        holder.run("BEGIN")
        holder.run(row, user_id=witness.user_id)
        answers: list[Future[Any]] = []
        with ThreadPoolExecutor(len(calls)) as threads:
            try:
                for call in calls:
                    answers.append(threads.submit(call))
                    while observer.run(WAITING)[0][0] < len(answers) and not answers[-1].done():
                        pass  # each look is a question to the server
            finally:
                holder.run("COMMIT")
        return [answer.result() for answer in answers]


def pieces(writer: int, many: int) -> list[dict[str, Any]]:
    """Segments of one writer, apart from each other and overlapping with the other writers'."""
    return [segment(20 * place + writer / 2, 20 * place + writer / 2 + 5, 2) for place in range(many)]


# Writers of one session


def test_sixteen_writers_of_one_session_lose_nothing(judge: Judge, witness: Witness) -> None:
    def write(writer: int) -> int:
        return sum(witness.record(piece, seeks=[jump(0, writer)])["accepted"] for piece in pieces(writer, 12))

    accepted = at_once(*(partial(write, writer) for writer in range(16)))

    assert accepted == [24] * 16
    assert judge.faults(witness) == []
    aggregates = witness.progress()["aggregates"]
    assert aggregates["watchedRanges"] == [[20 * place, 20 * place + 12.5] for place in range(12)]
    assert aggregates["effectiveSecond"] == 16 * 12 * 2.5


def test_the_same_events_from_sixteen_writers_count_once(judge: Judge, witness: Witness) -> None:
    segments, seeks = pieces(0, 20), [jump(0, 900), jump(20, 10)]

    def write(writer: int) -> int:
        shuffled, accepted = Random(writer).sample(segments, len(segments)), 0
        for first in range(0, 20, 5):
            answer = witness.record(*shuffled[first : first + 5], seeks=seeks)
            assert (answer["accepted"] + answer["duplicates"], answer["conflicts"]) == (7, [])
            accepted += answer["accepted"]
        return accepted

    accepted = at_once(*(partial(write, writer) for writer in range(16)))

    assert sum(accepted) == 22
    assert judge.faults(witness) == []


def test_a_batch_that_is_sent_by_all_ways_at_once_counts_once(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        batch, session = pieces(0, 6), witness.session_id

        at_once(
            partial(witness.record, *batch, session=session),
            partial(witness.record, *reversed(batch), session=session),
            partial(witness.deliver, *batch, session=session),
            partial(witness.post, f"/video/sessions/{session}/close", {"segments": batch}),
        )

        assert judge.faults(witness) == []
        assert witness.close()["effectiveSecond"] == 6 * 2.5


def writers_in_turn(url: str, witness: Witness) -> None:
    """Four writers, each coming while another has the session."""
    batches = [pieces(writer, 3) for writer in range(4)]
    in_turn(url, SESSION, witness, *(partial(witness.record, *batch) for batch in batches))


def test_a_writer_that_waited_adds_to_what_the_others_wrote(database_url: str, judge: Judge, witness: Witness) -> None:
    writers_in_turn(database_url, witness)

    assert judge.faults(witness) == []
    assert witness.close()["effectiveSecond"] == 4 * 3 * 2.5


def retries_in_turn(url: str, witness: Witness) -> None:
    """A batch, the same again before it is answered, and once more together with something new."""
    batch, more = pieces(0, 3), pieces(1, 1)
    again = partial(witness.record, *batch)
    in_turn(url, SESSION, witness, again, again, partial(witness.record, *batch, *more))


def test_a_retry_that_waited_for_the_first_try_adds_only_what_is_new(
    database_url: str, judge: Judge, witness: Witness
) -> None:
    retries_in_turn(database_url, witness)

    assert judge.faults(witness) == []
    assert witness.close()["effectiveSecond"] == 4 * 2.5


# Closing


def test_two_sessions_that_close_at_once_both_count(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        first, second = witness.session_id, witness.open()
        witness.record(segment(0, 10), session=first)
        witness.record(segment(20, 30), session=second)

        at_once(partial(witness.close, first), partial(witness.close, second))

        assert judge.faults(witness) == []
        assert witness.progress()["aggregates"]["coverageSecond"] == 20


def closers_in_turn(url: str, witness: Witness) -> None:
    """Two sessions of one attempt: the second's close comes while the first's is not committed."""
    first, second = witness.session_id, witness.open()
    witness.record(segment(0, 10), session=first)
    witness.record(segment(20, 30), session=second)
    in_turn(url, ATTEMPT, witness, partial(witness.close, first), partial(witness.close, second))


def test_a_close_that_waited_counts_what_the_other_closed(database_url: str, judge: Judge, witness: Witness) -> None:
    closers_in_turn(database_url, witness)

    assert judge.faults(witness) == []


def test_progress_that_races_the_close_counts_either_way(judge: Judge, witnesses: Witnesses) -> None:
    late = 0
    for witness in witnesses(200):
        witness.record(segment(0, 10))

        answer, _ = at_once(partial(witness.record, segment(5, 15), seeks=[jump(0, 900)]), witness.close)

        late += answer["late"]
        assert judge.faults(witness) == []
        aggregates = witness.progress()["aggregates"]
        assert (aggregates["coverageSecond"], aggregates["effectiveSecond"]) == (15, 20)
    assert 0 < late < 200, "one was always first"


def progress_behind_the_close(url: str, witness: Witness) -> Any:
    """Progress that comes while the close is not committed; its answer."""
    witness.record(segment(0, 10))
    behind = partial(witness.record, segment(20, 30), seeks=[jump(0, 900)])
    _, answer = in_turn(url, SESSION, witness, witness.close, behind)
    return answer


def test_progress_that_waited_for_the_close_is_late_and_counts(
    database_url: str, judge: Judge, witness: Witness
) -> None:
    answer = progress_behind_the_close(database_url, witness)

    assert (answer["late"], answer["coverageSecond"]) == (True, 20)
    assert judge.faults(witness) == []


def test_a_close_that_waited_for_progress_ends_the_session_after_it(
    database_url: str, judge: Judge, witness: Witness
) -> None:
    in_turn(database_url, SESSION, witness, partial(witness.record, segment(0, 10)), witness.close)

    assert judge.faults(witness) == []
    [[is_after]] = judge.connection.run(
        "SELECT s.closed_at >= e.recorded_at AND s.last_heartbeat_at >= e.recorded_at"
        " FROM watch_session AS s JOIN watch_segment AS e USING (session_id) WHERE s.user_id = :user_id",
        user_id=witness.user_id,
    )
    assert is_after


def test_a_session_that_many_close_at_once_is_closed_once(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(20):
        witness.record(segment(0, 10))

        answers = at_once(*[witness.close] * 16)

        assert answers == [answers[0]] * 16
        assert answers[0]["coverageSecond"] == 10
        assert judge.faults(witness) == []


def test_late_progress_and_the_close_of_another_session_both_count(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        first, second = witness.session_id, witness.open()
        witness.record(segment(0, 10), session=first)
        witness.close(first)
        witness.record(segment(20, 30), session=second)
        late = partial(witness.record, segment(40, 50), seeks=[jump(0, 45)], session=first)

        answer, _ = at_once(late, partial(witness.close, second))

        assert answer["late"]
        assert judge.faults(witness) == []
        assert witness.progress()["aggregates"]["coverageSecond"] == 30


# Falling silent


def test_a_heartbeat_that_races_the_close_of_a_stale_session_opens_it_or_is_refused(
    judge: Judge, witnesses: Witnesses
) -> None:
    for witness in witnesses(50):
        witness.record(segment(0, 10))
        end_as_stale(witness.session_id, witness.user_id)
        heartbeat = partial(witness.send, "PUT", f"/video/sessions/{witness.session_id}/heartbeat")

        touched, closed = at_once(heartbeat, witness.close)

        assert touched.status_code in (200, 409)
        assert (closed["status"], closed["coverageSecond"]) == ("closed", 10)
        assert judge.faults(witness) == []
        assert witness.progress()["sessions"][0]["status"] == "closed"


def test_a_close_that_waited_for_a_heartbeat_finds_the_stale_session_open(
    database_url: str, judge: Judge, witness: Witness
) -> None:
    witness.record(segment(0, 10))
    end_as_stale(witness.session_id, witness.user_id)

    touched, closed = in_turn(database_url, ATTEMPT, witness, witness.touch, witness.close)

    assert (touched["status"], closed["status"], closed["coverageSecond"]) == ("open", "closed", 10)
    assert judge.faults(witness) == []


def test_progress_that_races_the_sweep_is_not_lost(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        witness.record(segment(0, 10))
        sweep = partial(witness.sweep, witness.session_id)

        at_once(sweep, partial(witness.record, segment(20, 30)), sweep, partial(witness.record, segment(40, 50)))

        assert judge.faults(witness) == []
        assert witness.progress()["aggregates"]["coverageSecond"] == 30


def test_a_session_that_is_closed_while_two_sweeps_end_it_is_closed(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        witness.record(segment(0, 10))
        sweep = partial(witness.sweep, witness.session_id)

        *swept, closed = at_once(sweep, sweep, witness.close)

        assert swept.count(True) <= 1
        assert closed["coverageSecond"] == 10
        assert judge.faults(witness) == []
        assert witness.progress()["sessions"][0]["status"] == "closed"


# Starting


def test_sixteen_starts_at_once_are_sixteen_sessions_of_one_attempt(judge: Judge) -> None:
    for _ in range(20):
        witness = Witness(f"lesson-{uuid4()}")
        start = {"userId": witness.user_id, "lessonId": witness.lesson_id}

        answers = at_once(*[partial(witness.post, "/video/sessions", start)] * 16)

        assert len({answer["sessionId"] for answer in answers}) == judge.sessions(witness) == 16
        assert {(answer["attemptId"], answer["attemptNo"]) for answer in answers} == {(answers[0]["attemptId"], 1)}
        assert judge.active_attempts(witness) == 1
        assert judge.faults(witness) == []


def test_sixteen_starts_with_one_key_are_one_session(judge: Judge) -> None:
    for _ in range(20):
        witness = Witness(f"lesson-{uuid4()}")
        start = {"userId": witness.user_id, "lessonId": witness.lesson_id}
        retried = partial(witness.send, "POST", "/video/sessions", start, headers={"Idempotency-Key": "retried"})

        answers = at_once(*[retried] * 16)

        assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
        assert len({answer.get_json()["sessionId"] for answer in answers}) == judge.sessions(witness) == 1
        assert judge.active_attempts(witness) == 1


def test_a_start_that_races_the_completion_is_in_the_attempt_before_or_after_it(
    judge: Judge, witnesses: Witnesses
) -> None:
    for witness in witnesses(50):
        start = {"userId": witness.user_id, "lessonId": witness.lesson_id}

        completed, *started = at_once(witness.complete, *[partial(witness.post, "/video/sessions", start)] * 3)

        assert completed["status"] == "completed"
        assert {answer["attemptNo"] for answer in started} <= {1, 2}
        assert judge.active_attempts(witness) == any(answer["attemptNo"] == 2 for answer in started)


def test_a_start_that_waited_for_the_completion_opens_the_next_attempt(
    database_url: str, judge: Judge, witness: Witness
) -> None:
    _, started = in_turn(database_url, ATTEMPT, witness, witness.complete, witness.start)

    assert started["attemptNo"] == 2
    assert judge.active_attempts(witness) == 1


# Assigning


def test_a_session_that_starts_while_the_lesson_is_assigned_counts(judge: Judge, witnesses: Witnesses) -> None:
    for witness in witnesses(50):
        at_once(witness.assign, witness.start)

        witness.record(segment(0, 10))
        assert witness.close()["coverageSecond"] == 10
        assert judge.faults(witness) == []


@pytest.mark.parametrize("first", ["assignment", "start"])
def test_a_start_and_an_assignment_wait_for_each_other(database_url: str, witness: Witness, first: str) -> None:
    calls = [witness.assign, witness.start] if first == "assignment" else [witness.start, witness.assign]

    in_turn(database_url, ATTEMPT, witness, *calls)

    credited = witness.credits()
    assert (witness.session_id in credited) is (first == "start")
    assert set(credited.values()) == {witness.attempt_id}


@pytest.mark.parametrize("attempt", ["active", "completed"])
def test_an_assignment_that_races_closing_and_progress_counts_all_of_it(
    judge: Judge, witnesses: Witnesses, attempt: str
) -> None:
    for witness in witnesses(50):
        closed, unclosed = witness.session_id, witness.open()
        witness.record(segment(0, 10), session=closed)
        witness.close(closed)
        witness.record(segment(20, 30), session=unclosed)
        if attempt == "completed":
            witness.complete()

        at_once(
            witness.assign,
            partial(witness.close, unclosed),
            partial(witness.record, segment(40, 50), session=closed),
            partial(witness.record, segment(60, 70), session=unclosed),
        )

        assert judge.faults(witness) == []
        progress = witness.progress()
        assert progress["aggregates"]["coverageSecond"] == 40
        assert progress["attempt"]["attemptNo"] == (2 if attempt == "completed" else 1)


def test_an_assignment_that_is_taken_back_while_sessions_close_leaves_no_credit(
    judge: Judge, witnesses: Witnesses
) -> None:
    for witness in witnesses(50):
        credited, other = witness.session_id, witness.open()
        witness.record(segment(0, 10), session=credited)
        witness.assign()
        assigned = witness.open()
        witness.record(segment(20, 30), session=assigned)

        at_once(
            witness.unassign,
            partial(witness.close, credited),
            partial(witness.close, assigned),
            partial(witness.record, segment(40, 50), session=other),
        )

        assert judge.faults(witness) == []
        progress = witness.progress()
        assert (progress["aggregates"]["coverageSecond"], progress["attempt"]["isAssigned"]) == (30, False)
        assert set(witness.credits().values()) == {None}
