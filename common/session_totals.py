"""Sessions' totals from their raw rows: what is in an archive must come to what stands on the sessions."""

from collections.abc import Sequence
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from common.columns import OF_THE_SESSION, SEGMENTS, Table, session_ends, spread

PLACE_BITS = 27  # a place in the video is less than 2 ** 27 ms
COUNTS = ["segment_count", "effective_ms", "seek_count", "skip_count"]


class SessionTotals:
    """Totals recounted from rows that are taken in a page at a time, beside the stored ones (`columns.TOTALS`)."""

    def __init__(self, stored: pa.Table) -> None:
        self._stored = stored.combine_chunks()
        self._sessions, self._users = (column(self._stored, name) for name in ("session_id", "user_id"))
        everyone = pa.array(range(len(stored)), pa.int64())
        self._counts = [pa.table({"session": everyone} | dict.fromkeys(COUNTS, pc.subtract(everyone, everyone)))]
        self._starts = [everyone[:0]]
        self._ends = [everyone[:0]]
        self._strangers: set[bytes] = set()

    def add(self, table: Table, rows: pa.Table) -> None:
        ends = session_ends(rows)
        session = self._numbered(rows, ends)
        if session.null_count:
            is_stored = spread(session.is_valid(), ends)
            self._strangers |= set(column(rows, "session_id").filter(pc.invert(is_stored)).to_pylist())
            self.add(table, rows.filter(is_stored))
        elif table is SEGMENTS:
            line = pc.shift_left(spread(session, ends), PLACE_BITS)
            places = (pc.add(line, column(rows, name).cast(pa.int64())) for name in ("start_ms", "end_ms"))
            for known, new in zip((self._starts, self._ends), united(*places), strict=True):
                known.append(new)
            self._count(session, ends, segment_count=None, effective_ms=column(rows, "effective_ms"))
        else:
            self._count(session, ends, seek_count=None, skip_count=column(rows, "is_skip"))

    def differences(self) -> list[UUID]:
        """The sessions whose stored totals are not what their rows come to, and those that are not stored at all."""
        counted = sums(pa.concat_tables(self._counts, promote_options="default"), COUNTS)
        differs = pc.not_equal(column(self._stored, "coverage"), self._coverage())
        for name in COUNTS:
            differs = pc.or_(differs, pc.not_equal(column(self._stored, name), column(counted, name)))
        return [UUID(bytes=found) for found in (*self._sessions.filter(differs).to_pylist(), *sorted(self._strangers))]

    def _numbered(self, rows: pa.Table, ends: pa.Array) -> pa.Array:
        """The place among the stored sessions of each session that has rows; null if it is not stored."""
        heads = rows.select(OF_THE_SESSION).take(pc.subtract(ends, 1))
        session = pc.index_in(column(heads, "session_id"), self._sessions).cast(pa.int64())
        return pc.if_else(pc.equal(self._users.take(session), column(heads, "user_id")), session, None)

    def _count(self, session: pa.Array, ends: pa.Array, **counted: pa.Array | None) -> None:
        """Add up, session by session, the rows themselves (None) or a column of them."""
        numbers = {}
        for name, values in counted.items():
            so_far = ends if values is None else pc.cumulative_sum(values.cast(pa.int64())).take(pc.subtract(ends, 1))
            so_far = pa.concat_arrays([pa.array([0], pa.int64()), so_far.cast(pa.int64())])
            numbers[name] = pc.subtract(so_far[1:], so_far[:-1])
        self._counts.append(pa.table({"session": session} | numbers))

    def _coverage(self) -> pa.Array:
        """What each session covers, as PostgreSQL writes an int4multirange."""
        starts, ends = united(pa.concat_arrays(self._starts), pa.concat_arrays(self._ends))
        places = [pc.bit_wise_and(keys, 2**PLACE_BITS - 1).cast(pa.string()) for keys in (starts, ends)]
        stretches = pc.binary_join_element_wise("[", places[0], ",", places[1], ")", "")
        everyone, nothing = self._counts[0]["session"], self._counts[0]["segment_count"]
        session = pa.chunked_array([pc.shift_right(starts, PLACE_BITS), *everyone.chunks])
        number = pa.chunked_array([pc.add(pc.subtract(starts, starts), 1), *nothing.chunks])
        numbers = column(sums(pa.table({"session": session, "number": number}), ["number"]), "number")
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(numbers).cast(pa.int32())])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, stretches), ",")
        return pc.binary_join_element_wise("{", joined, "}", "")


def united(starts: pa.Array, ends: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Stretches put together, in their order; those that touch become one.

    With a session's number above the bits of a place, one line has the stretches of all sessions, and none of them
    reaches into the next session's.

    >>> starts, ends = united(pa.array([5, 0, 3, 6]), pa.array([9, 3, 4, 7]))
    >>> starts.to_pylist(), ends.to_pylist()
    ([0, 5], [4, 9])
    """
    order = pc.sort_indices(starts)
    starts, reach = starts.take(order), pc.cumulative_max(ends.take(order))
    edge = pa.array([True], pa.bool_())[: len(starts)]
    begins = pa.concat_arrays([edge, pc.greater(starts[1:], reach[:-1])])
    return starts.filter(begins), reach.filter(pa.concat_arrays([begins[1:], edge]))


def sums(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Session by session, in their order."""
    summed = rows.group_by("session").aggregate([(name, "sum") for name in names]).sort_by("session")
    return summed.select(["session", *(f"{name}_sum" for name in names)]).rename_columns(["session", *names])


def column(rows: pa.Table, name: str) -> pa.Array:
    return rows[name].combine_chunks()
