"""Whatever is watched, in whatever order, however often and by whichever way it is delivered: the totals are those of
an account too simple to be wrong, sets of the milliseconds that were seen.

Where CI is set, the examples are the same every time; elsewhere they are random, and a failure says how to repeat it.
"""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import db
from infra.recount import Recount
from tests.conftest import Person, Viewer, end_as_stale, seek, segment

LAST_MS = 12_000  # nothing is played or sought behind it, and the lessons end a little before
SKIP_THRESHOLD_MS = 700
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AFTER = datetime(2126, 1, 1, tzinfo=UTC)

EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@dataclass
class Segment:
    start_ms: int
    end_ms: int
    speed: float
    occurred_at: datetime | None
    session: int
    wire: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        more = {"occurredAt": self.occurred_at.isoformat()} if self.occurred_at else {}
        self.wire = segment(self.start_ms / 1000, self.end_ms / 1000, self.speed, **more)

    def played_ms(self) -> int:
        return round(Fraction(self.end_ms - self.start_ms) / Fraction(str(self.speed)))  # half to even


@dataclass
class Seek:
    from_ms: int
    to_ms: int
    session: int
    wire: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.wire = seek(self.from_ms / 1000, self.to_ms / 1000)


Event = Segment | Seek
Step = tuple[str, int, list[Event]]  # what is done, in which session, with which events


@dataclass
class Story:
    """What was watched in two sessions, and how the service came to know."""

    duration_ms: int | None
    steps: list[Step]


places = st.integers(0, LAST_MS) | st.integers(0, LAST_MS // 500).map(lambda half: 500 * half)
stretches = st.tuples(places, places).filter(lambda pair: pair[0] != pair[1]).map(sorted)
tiny_stretches = st.tuples(places, st.integers(1, 9)).map(lambda pair: [pair[0], pair[0] + pair[1]])
durations = st.none() | st.sampled_from([1, 900, 1000, 1001, 10_000]) | st.integers(1, LAST_MS)
speeds = (
    st.sampled_from([1.0, 2.0, 4.0])
    | st.integers(1, 256).map(lambda sixteenths: sixteenths / 16)
    | st.sampled_from([0.0626, 0.1, 1.1, 1.3333, 2.7183, 15.9999])
)
past = st.integers(0, 2).map(lambda second: LONG_AGO + timedelta(seconds=second))
future = st.integers(0, 2).map(lambda second: LONG_AFTER + timedelta(seconds=second))
sessions = st.sampled_from([0, 0, 0, 1])
seeks = st.builds(Seek, places, places, sessions)


def segments(moments: st.SearchStrategy[datetime | None]) -> st.SearchStrategy[Segment]:
    return st.builds(
        lambda stretch, *others: Segment(*stretch, *others), stretches | tiny_stretches, speeds, moments, sessions
    )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Every event is delivered once to three times, in an order and in batches of its own."""
    moments = draw(st.sampled_from([st.none(), past, future, st.none() | past | future]))
    events: list[Event] = draw(st.lists(segments(moments), min_size=1, max_size=10)) + draw(st.lists(seeks, max_size=5))
    copies = draw(st.lists(st.integers(1, 3), min_size=len(events), max_size=len(events)))
    waiting = draw(st.permutations([event for event, times in zip(events, copies, strict=True) for _ in range(times)]))
    steps: list[Step] = []
    while waiting:
        size = draw(st.integers(1, 8))
        batch, waiting = waiting[:size], waiting[size:]
        way = draw(st.sampled_from(["progress", "progress", "bulk", "bulk and close", "beacon"]))
        steps += [(way, session, of_session(batch, session)) for session in draw(st.permutations([0, 1]))]
        between = draw(st.sampled_from(["nothing", "nothing", "nothing", "heartbeat", "silence", "close"]))
        steps.append((between, draw(sessions), []))
    return Story(draw(durations), steps)


def of_session(batch: list[Event], session: int) -> list[Event]:
    return [event for event in batch if event.session == session]


@dataclass
class Account:
    """One session, as somebody would note it down who sees each event once."""

    status: str = "open"
    seen: set[int] = field(default_factory=set)
    played_ms: int = 0
    known: list[str] = field(default_factory=list)
    seeks: list[tuple[Seek, int]] = field(default_factory=list)  # and how much unseen it jumped over, in milliseconds
    positions: list[tuple[Any, ...]] = field(default_factory=list)  # moment, tie-breakers, place

    def note(self, events: list[Event], seen_elsewhere: set[int], duration_ms: int | None, request: int) -> int:
        """Take what is new of a request; how many events that was."""
        new: list[tuple[int, Event]] = []
        for event in events:
            if event.wire["clientEventId"] not in self.known:
                self.known.append(event.wire["clientEventId"])
                new.append((len(new), event))
        for nth, event in new:
            if isinstance(event, Segment):
                self.seen |= set(range(event.start_ms, event.end_ms))
                self.played_ms += event.played_ms()
                self.positions.append((*moment(event.occurred_at, request, nth), event.end_ms))
        for _, event in new:
            if isinstance(event, Seek):
                jumped_over = in_lesson(set(range(event.from_ms, event.to_ms)), duration_ms)
                self.seeks.append((event, len(jumped_over - self.seen - seen_elsewhere)))
        return len(new)


def moment(occurred_at: datetime | None, request: int, nth: int) -> tuple[Any, ...]:
    """When an event counts as having happened, and how it is ordered among those of the same moment.

    The service's clock bounds the client's: what is said to come after the request happened with the request, after
    all of the request that says nothing.
    """
    if occurred_at is not None and occurred_at < LONG_AFTER:
        return (occurred_at.timestamp(),), (request, 0, 0)
    return (math.inf, request), ((request, 1, occurred_at.timestamp()) if occurred_at else (request, 0, nth))


def in_lesson(seen: set[int], duration_ms: int | None) -> set[int]:
    return seen if duration_ms is None else {ms for ms in seen if ms < duration_ms}


def unbroken_ms(seen: set[int]) -> int:
    """The end of what was seen from the start on, steps over a second or less taken."""
    end = 0
    for ms in sorted(seen):
        if ms - end > 1000:
            break
        end = ms + 1
    return end


def unseen(seen: set[int], duration_ms: int) -> set[int]:
    """What is missing; nothing is when that is the last second at most."""
    missing = set(range(duration_ms)) - seen
    return missing if any(ms < max(duration_ms - 1000, 1) for ms in missing) else set()


def ratio(seen: set[int], duration_ms: int | None) -> float | None:
    if duration_ms is None:
        return None
    if not unseen(seen, duration_ms):
        return 1
    return len(in_lesson(seen, duration_ms)) * 10**6 // duration_ms / 10**6


def ranges(seen: set[int]) -> list[list[float]]:
    starts = sorted(ms for ms in seen if ms - 1 not in seen)
    ends = sorted(ms + 1 for ms in seen if ms + 1 not in seen)
    return [[start / 1000, end / 1000] for start, end in zip(starts, ends, strict=True)]


@pytest.fixture(scope="module")
def recount(database_url: str) -> Iterator[Recount]:
    with closing(Recount(database_url)) as recount:
        yield recount


@EXAMPLES
@given(story=stories())
def test_the_totals_are_those_of_what_was_watched(recount: Recount, story: Story) -> None:
    viewer, duration_ms, requests = Viewer(f"lesson-{uuid4()}"), story.duration_ms, count()
    policy = {"durationSecond": duration_ms and duration_ms / 1000, "skipThresholdSecond": SKIP_THRESHOLD_MS / 1000}
    Person(role="service").put(f"/video/lessons/{viewer.lesson_id}", policy)
    ids = [viewer.start()["sessionId"] for _ in range(2)]
    accounts = [Account(), Account()]

    for way, session, events in story.steps:
        own, ended = accounts[session], [account for account in accounts if account.status != "open"]
        answer = do(way, viewer, ids[session], events)
        accepted = own.note(events, set().union(*(account.seen for account in ended)), duration_ms, next(requests))
        if way == "progress":
            counting = ended if own in ended else [*ended, own]
            seen = in_lesson(set().union(*(account.seen for account in counting)), duration_ms)
            assert answer["late"] == (own.status == "closed")
            assert (answer["accepted"], answer["duplicates"]) == (accepted, len(events) - accepted)
            assert (answer["conflicts"], answer["rejected"]) == ([], [])
            assert answer["coverageSecond"] == len(seen) / 1000
            assert answer["effectiveSecond"] == sum(account.played_ms for account in counting) / 1000
            assert answer["maxVerifiedSecond"] == unbroken_ms(seen) / 1000
        if way in ("close", "bulk and close", "beacon"):
            own.status = "closed"
        elif way == "silence" and own.status == "open":
            own.status = "stale"
        elif way in ("progress", "bulk", "heartbeat") and own.status == "stale":
            own.status = "open"

    seen = set().union(*(account.seen for account in accounts))
    positions = [(*max(account.positions), nth) for nth, account in enumerate(accounts) if account.positions]
    shown = viewer.progress()
    totals = shown["aggregates"]
    assert [listed["status"] for listed in reversed(shown["sessions"])] == [account.status for account in accounts]
    assert totals["watchedRanges"] == ranges(in_lesson(seen, duration_ms))
    assert totals["missingRanges"] == (None if duration_ms is None else ranges(unseen(seen, duration_ms)))
    assert totals["coverageSecond"] == len(in_lesson(seen, duration_ms)) / 1000
    assert totals["effectiveSecond"] == sum(account.played_ms for account in accounts) / 1000
    assert totals["maxVerifiedSecond"] == unbroken_ms(in_lesson(seen, duration_ms)) / 1000
    assert totals["coverageRatio"] == ratio(seen, duration_ms)
    assert totals["resumeSecond"] == resume_second(positions, duration_ms)
    for session_id, account in zip(ids, accounts, strict=True):
        viewer.session_id = session_id
        skips = [(made, skipped_ms) for made, skipped_ms in account.seeks if skipped_ms > SKIP_THRESHOLD_MS]
        jumped_over = set().union(*(range(made.from_ms, made.to_ms) for made, _ in skips))
        summary = viewer.skips()
        assert summary["seekCount"] == len(account.seeks)
        assert summary["skipCount"] == len(skips)
        assert summary["disallowedCount"] == sum(skipped_ms > 1000 for _, skipped_ms in account.seeks)
        assert summary["skippedSecond"] == sum(skipped_ms for _, skipped_ms in skips) / 1000
        assert summary["stillUnwatchedSecond"] == len(in_lesson(jumped_over, duration_ms) - seen) / 1000
    assert recount.look(viewer.user_id).differences == []


def do(way: str, viewer: Viewer, session: str, events: list[Event]) -> Any:
    """A step of a story; the answer if it is progress."""
    body = {
        "segments": [event.wire for event in events if isinstance(event, Segment)],
        "seeks": [event.wire for event in events if isinstance(event, Seek)],
    }
    match way:
        case "progress":
            return viewer.post(f"/video/sessions/{session}/progress", body)
        case "bulk" | "bulk and close":
            item = {"sessionId": session, "close": way == "bulk and close"} | body
            [result] = viewer.post("/video/progress/bulk", {"items": [item]})["results"]
            assert result["status"] == 200, result
        case "beacon":
            viewer.post(f"/video/sessions/{session}/close", body)
        case "close":
            viewer.close(session)
        case "heartbeat":
            viewer.send("PUT", f"/video/sessions/{session}/heartbeat")
        case "silence":
            end_as_stale(session, viewer.user_id)
    return None


def resume_second(positions: list[tuple[Any, ...]], duration_ms: int | None) -> float | None:
    """Where the latest segment ended; of two sessions' at the same moment, the later session's."""
    if not positions:
        return None
    end_ms: int = max(positions, key=lambda position: (position[0], position[3]))[2]
    return min(end_ms, duration_ms or end_ms) / 1000


@pytest.fixture(scope="module")
def ask(database_url: str) -> Iterator[Any]:
    """The database's own functions, one row for a coverage."""
    with closing(db.direct(database_url, 60_000)) as connection:
        statement = connection.prepare(
            "SELECT parts(coverage) AS parts, length_ms(coverage), parts(clip(coverage, :duration_ms)),"
            " verified_ms(coverage), parts(missing(coverage, :duration_ms)),"
            " coverage_ratio(coverage, :duration_ms)::float8, parts(leading_ms(coverage, :limit_ms))"
            " FROM (SELECT :coverage::int4multirange) AS given (coverage)"
        )
        yield lambda **parameters: statement.run(**parameters)[0]


nearly_whole = st.integers(1_002, LAST_MS).flatmap(
    lambda duration_ms: st.tuples(
        st.just(duration_ms), st.integers(-2, 2).map(lambda ms: [[0, duration_ms - 1000 + ms]])
    )
)


@settings(EXAMPLES, max_examples=300)
@given(
    lesson=st.tuples(durations, st.just([])) | nearly_whole,
    stretches=st.lists(stretches | tiny_stretches, max_size=12),
    limit_ms=st.none() | st.integers(0, LAST_MS),
)
def test_the_databases_functions_say_what_the_milliseconds_say(
    ask: Any, lesson: tuple[int | None, list[list[int]]], stretches: list[list[int]], limit_ms: int | None
) -> None:
    duration_ms, stretches = lesson[0], lesson[1] + stretches
    seen = set().union(*(range(start, end) for start, end in stretches))
    text = "{" + ",".join(f"[{start},{end})" for start, end in stretches) + "}"

    row = ask(coverage=text, duration_ms=duration_ms, limit_ms=limit_ms)

    assert row == [
        in_ms(ranges(seen)),
        len(seen),
        in_ms(ranges(in_lesson(seen, duration_ms))),
        unbroken_ms(seen),
        None if duration_ms is None else in_ms(ranges(unseen(seen, duration_ms))),
        ratio(seen, duration_ms),
        in_ms(ranges(set(sorted(seen)[:limit_ms]))),
    ]


def in_ms(ranges: list[list[float]]) -> list[list[int]]:
    return [[round(1000 * start), round(1000 * end)] for start, end in ranges]
