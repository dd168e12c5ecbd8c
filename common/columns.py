"""Raw rows as columns: from PostgreSQL's binary form to Arrow, and back to the very same bytes.

A *page* is what an `export_…` statement gives: column by column the binary form of all values, one after the other
in network byte order, and for a text their lengths beside it. What comes back from an archive is turned into these
bytes again, so that what is compared is how PostgreSQL told a row and not how we understood it.
"""

import hashlib
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Page = Mapping[str, bytes]

EPOCH_US = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000, Arrow from 1970
ID = pa.binary(16)
TEXT = pa.string()
NUMBER = pa.int32()
LARGE_NUMBER = pa.int64()
TRUTH = pa.bool_()
SPEED = pa.decimal128(6, 4)  # comes as ten-thousandths
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Table:
    """A table of raw rows, the statement that exports it, and its columns."""

    name: str
    statement: str
    columns: Mapping[str, pa.DataType]


OF_THE_SESSION = ("session_id", "user_id")  # these come once for each session of a page
SEGMENTS = Table(
    "watch_segment",
    "export_segments",
    {
        "session_id": ID,
        "client_event_id": ID,
        "user_id": TEXT,
        "start_ms": NUMBER,
        "end_ms": NUMBER,
        "effective_ms": NUMBER,
        "speed": SPEED,
        "occurred_at": MOMENT,
        "recorded_at": MOMENT,
    },
)
SEEKS = Table(
    "seek_event",
    "export_seeks",
    {
        "session_id": ID,
        "client_event_id": ID,
        "user_id": TEXT,
        "from_ms": NUMBER,
        "to_ms": NUMBER,
        "skipped_ms": NUMBER,
        "is_skip": TRUTH,
        "allowed": TRUTH,
        "reason": TEXT,
        "occurred_at": MOMENT,
        "recorded_at": MOMENT,
    },
)
TABLES = {table.name: table for table in (SEGMENTS, SEEKS)}
TOTALS = {
    "session_id": ID,
    "user_id": TEXT,
    "segment_count": NUMBER,
    "effective_ms": LARGE_NUMBER,
    "coverage": TEXT,
    "seek_count": NUMBER,
    "skip_count": NUMBER,
}


def rows_of(table: Table, page: Page) -> pa.Table:
    """The rows of a page, in its order: session, user, event."""
    ends = pc.cumulative_sum(integers("i", page["rows"]))
    columns = {}
    for name, kind in table.columns.items():
        column = read(name, kind, page)
        columns[name] = spread(column, ends) if name in OF_THE_SESSION else column
    return pa.table(columns)


def session_ends(rows: pa.Table) -> pa.Array:
    """For each session whose rows lie together, user by user, the place after its last row."""
    ends = pa.concat_arrays([pc.run_end_encode(rows[name].combine_chunks()).run_ends for name in OF_THE_SESSION])
    return pc.unique(ends.take(pc.sort_indices(ends)))


def spread(values: pa.Array, ends: pa.Array) -> pa.Array:
    """Values of sessions, each as often as the session has rows."""
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, values))


def totals_of(page: Page) -> pa.Table:
    """The sessions' totals of a page of `export_totals`; none of an empty one."""
    if not page.get("session_id"):
        return pa.schema(TOTALS.items()).empty_table()
    return pa.table({name: read(name, kind, page) for name, kind in TOTALS.items()})


def read(name: str, kind: pa.DataType, page: Page) -> pa.Array:
    """A column of a page; a text that is null has the length -1."""
    data = page[name]
    if kind == TEXT:
        lengths = integers("i", page[f"{name}_length"])
        is_known = pc.greater_equal(lengths, 0)
        ends = pc.cumulative_sum(pc.if_else(is_known, lengths, pa.scalar(0, NUMBER)))
        offsets = pa.concat_arrays([pa.array([0], NUMBER), ends])
        validity = None if pc.all(is_known).as_py() else is_known.buffers()[1]
        return pa.StringArray.from_buffers(len(lengths), offsets.buffers()[1], pa.py_buffer(data), validity)
    if kind == TRUTH:
        return of_bytes(pa.uint8(), data).cast(TRUTH)
    if kind == ID:
        return of_bytes(ID, data)
    if kind == MOMENT:
        return pc.add(integers("q", data), EPOCH_US).view(MOMENT)
    if kind == SPEED:
        return taken_for(SPEED, integers("i", data).cast(pa.decimal128(10, 0)))
    return integers("q" if kind == LARGE_NUMBER else "i", data)


def wire(table: Table, rows: pa.Table) -> Page:
    """Rows, or some columns of them, in PostgreSQL's binary form, every value of every row."""
    page: dict[str, bytes] = {}
    for name in rows.column_names:
        column, kind = rows[name].combine_chunks(), table.columns[name]
        if kind == TEXT:
            page[f"{name}_length"] = network_order("i", pc.fill_null(pc.binary_length(column), -1))
            all_of_it = pa.ListArray.from_arrays(pa.array([0, len(column)], NUMBER), pc.fill_null(column, ""))
            page[name] = pc.binary_join(all_of_it, "")[0].as_buffer().to_pybytes()
        elif kind == TRUTH:
            page[name] = bytes_of(column.cast(pa.uint8())).tobytes()
        elif kind == ID:
            page[name] = bytes_of(column).tobytes()
        elif kind == MOMENT:
            page[name] = network_order("q", pc.subtract(column.view(LARGE_NUMBER), EPOCH_US))
        elif kind == SPEED:
            page[name] = network_order("i", taken_for(pa.decimal128(10, 0), column).cast(NUMBER))
        else:
            page[name] = network_order("i", column)
    return page


def integers(code: str, data: bytes) -> pa.Array:
    """Arrow's integers (`i` of 4 bytes, `q` of 8) of PostgreSQL's."""
    values = array(code, data)
    if sys.byteorder == "little":
        values.byteswap()
    return of_bytes(NUMBER if code == "i" else LARGE_NUMBER, values)


def network_order(code: str, column: pa.Array) -> bytes:
    """PostgreSQL's integers of Arrow's."""
    values = array(code)
    values.frombytes(bytes_of(column))
    if sys.byteorder == "little":
        values.byteswap()
    return values.tobytes()


def of_bytes(kind: pa.DataType, data: "bytes | array[int]") -> pa.Array:
    """Values of a fixed width, as they lie in memory."""
    buffer = pa.py_buffer(data)
    return pa.Array.from_buffers(kind, buffer.size // kind.byte_width, [None, buffer])


def bytes_of(column: pa.Array) -> memoryview:
    """Values of a fixed width, none of them null, as they lie in memory."""
    width = column.type.byte_width
    return memoryview(column.buffers()[1])[column.offset * width : (column.offset + len(column)) * width]


def taken_for(kind: pa.DataType, column: pa.Array) -> pa.Array:
    """Decimals with the point at another place."""
    return pa.Array.from_buffers(kind, len(column), [None, column.buffers()[1]], offset=column.offset)


class Checksum:
    """What rows come to: of each column a SHA-256 over its values in PostgreSQL's binary form, in the table's order.

    In pages of what size they came makes no difference.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns: dict[str, Any] = {}
        self.rows = 0

    def add(self, rows: pa.Table, page: Page | None = None) -> None:
        """Take rows in; of the page they came in, if they did, those bytes that are PostgreSQL's own."""
        self.rows += len(rows)
        sent = {name: data for name, data in (page or {}).items() if not name.startswith((*OF_THE_SESSION, "rows"))}
        for name, data in {**wire(self._table, rows.select(OF_THE_SESSION) if page else rows), **sent}.items():
            self._columns.setdefault(name, hashlib.sha256()).update(data)

    def hexdigest(self) -> str:
        lines = [f"{name} {column.hexdigest()}\n" for name, column in sorted(self._columns.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
