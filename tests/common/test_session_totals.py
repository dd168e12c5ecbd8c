"""Totals of sessions as Arrow makes them, beside totals made of sets of milliseconds."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.columns import ID, SEEKS, SEGMENTS, TOTALS
from common.session_totals import SessionTotals

Played = list[tuple[int, int, int, int]]  # session, start, end, effective
Jumped = list[tuple[int, bool]]  # session, is it a skip

places = st.integers(0, 60)
sessions = st.integers(0, 4)
played = st.lists(
    st.tuples(sessions, places, st.integers(1, 20), st.integers(0, 99)).map(lambda s: (s[0], s[1], s[1] + s[2], s[3]))
)
jumped = st.lists(st.tuples(sessions, st.booleans()))


def id_of(session: int) -> bytes:
    return UUID(int=session << 96).bytes


def ids(numbers: list[int]) -> dict[str, pa.Array]:
    return {
        "session_id": pa.array([id_of(number) for number in numbers], ID),
        "user_id": pa.array([f"user {number}" for number in numbers], pa.string()),
    }


def segments(rows: Played) -> pa.Table:
    columns = {"start_ms": 1, "end_ms": 2, "effective_ms": 3}
    numbers = {name: pa.array([row[place] for row in rows], pa.int32()) for name, place in columns.items()}
    return pa.table(ids([row[0] for row in rows]) | numbers)


def seeks(rows: Jumped) -> pa.Table:
    return pa.table(ids([row[0] for row in rows]) | {"is_skip": pa.array([row[1] for row in rows], pa.bool_())})


def stored(played: Played, jumped: Jumped) -> list[dict[str, Any]]:
    """The totals of sessions 0 to 4, by counting milliseconds one by one."""
    seen: dict[int, set[int]] = defaultdict(set)
    for session, start, end, _ in played:
        seen[session] |= set(range(start, end))
    return [
        {
            "session_id": id_of(session),
            "user_id": f"user {session}",
            "segment_count": sum(row[0] == session for row in played),
            "effective_ms": sum(row[3] for row in played if row[0] == session),
            "coverage": written(seen[session]),
            "seek_count": sum(row[0] == session for row in jumped),
            "skip_count": sum(row == (session, True) for row in jumped),
        }
        for session in range(5)
    ]


def written(milliseconds: set[int]) -> str:
    """As PostgreSQL writes an int4multirange."""
    starts = sorted(ms for ms in milliseconds if ms - 1 not in milliseconds)
    ends = sorted(ms + 1 for ms in milliseconds if ms + 1 not in milliseconds)
    return "{" + ",".join(f"[{start},{end})" for start, end in zip(starts, ends, strict=True)) + "}"


def recounted(totals: list[dict[str, Any]], played: list[Played], jumped: list[Jumped]) -> list[UUID]:
    recount = SessionTotals(pa.Table.from_pylist(totals, pa.schema(TOTALS.items())))
    for some in played:
        recount.add(SEGMENTS, segments(some))
    for others in jumped:
        recount.add(SEEKS, seeks(others))
    return recount.differences()


@given(st.lists(played, max_size=3), st.lists(jumped, max_size=3))
def test_totals_are_those_of_the_milliseconds_whatever_the_pages(played: list[Played], jumped: list[Jumped]) -> None:
    totals = stored([row for page in played for row in page], [row for page in jumped for row in page])

    assert recounted(totals, played, jumped) == []


@given(played.filter(bool), jumped, st.sampled_from(["segment_count", "effective_ms", "seek_count", "skip_count"]))
def test_a_number_that_is_not_so_is_noticed(played: Played, jumped: Jumped, name: str) -> None:
    totals = stored(played, jumped)
    totals[3][name] += 1

    assert recounted(totals, [played], [jumped]) == [UUID(bytes=id_of(3))]


@given(played.filter(bool), places)
def test_a_coverage_that_is_not_so_is_noticed(played: Played, place: int) -> None:
    totals = stored(played, [])
    totals[2]["coverage"] = written({place, place + 200})

    assert recounted(totals, [played], []) == [UUID(bytes=id_of(2))]


@pytest.mark.parametrize("changed", [{"user_id": "another"}, {"session_id": b"\xff" * 16}])
def test_rows_of_a_session_that_is_not_stored_are_noticed(changed: dict[str, Any]) -> None:
    totals = stored([(1, 0, 10, 10)], [])
    totals[1] |= changed

    assert UUID(bytes=id_of(1)) in recounted(totals, [[(1, 0, 10, 10)]], [])


def test_of_nobody_there_is_nothing_to_notice() -> None:
    assert recounted([], [], []) == []
    assert recounted([], [[]], [[]]) == []
