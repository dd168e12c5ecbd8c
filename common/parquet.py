"""Raw rows in Parquet files: written, read back, and turned into what PostgreSQL's COPY takes."""

from array import array
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from common.columns import (
    ID,
    LARGE_NUMBER,
    MOMENT,
    NUMBER,
    OF_THE_SESSION,
    SEGMENTS,
    SPEED,
    TEXT,
    TRUTH,
    Table,
    bytes_of,
    session_ends,
    spread,
    taken_for,
)
from common.store import Sink

MILLISECONDS = pa.timestamp("ms", tz="UTC")
MICROSECONDS = pa.int16()

# A session's rows, from the latest to the earliest. DELTA_BINARY_PACKED takes as many bits for every step as the
# largest one needs that goes up from the smallest: small ones down, and few large ones up, need the fewest.
IN_A_FILE = [("occurred_at", "descending"), ("client_event_id", "ascending")]
IN_THE_TABLE = [("client_event_id", "ascending")]


class Writer:
    """A file of raw rows, a row group for each page; how it is packed is seen from the first."""

    def __init__(self, table: Table, sink: Sink, first: pa.Table) -> None:
        self._table = table
        few = [name for name, kind in table.columns.items() if kind in (TEXT, TRUTH, SPEED)]  # different values
        steps = [name for name, kind in table.columns.items() if kind == NUMBER and name != "effective_ms"]
        self._file = parquet.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema(table),
            compression={name: "none" if name == "client_event_id" else "zstd" for name in schema(table).names},
            use_dictionary=[*few, "effective_ms", "occurred_us"],
            column_encoding={
                **dict.fromkeys([*steps, "occurred_at", "recorded_at"], "DELTA_BINARY_PACKED"),
                **dict.fromkeys(["session_id", "client_event_id"], "PLAIN"),
                **({"recorded_at": "PLAIN"} if comes_in_posts(first) else {}),
            },
        )

    def write(self, rows: pa.Table) -> None:
        self._file.write_table(packed(self._table, in_order(rows, IN_A_FILE)), row_group_size=max(len(rows), 1))

    def close(self) -> None:
        self._file.close()


def comes_in_posts(rows: pa.Table) -> bool:
    """Whether on average at least two rows were recorded at the same moment."""
    return 2 * int(pc.count_distinct(rows["recorded_at"]).as_py()) <= len(rows)


def schema(table: Table) -> pa.Schema:
    """How a file says what is in it.

    As the table's columns, except that an id is a UUID, that `occurred_at` is cut to milliseconds and the microseconds
    beyond them are in `occurred_us`, and that `effective_ms` is null where it is what it should be:
    `round((end_ms - start_ms) / speed)`.
    """
    kinds = {name: pa.uuid() if kind == ID else kind for name, kind in table.columns.items()}
    kinds |= {"occurred_at": MILLISECONDS, "occurred_us": MICROSECONDS}
    return pa.schema(pa.field(name, kind, nullable=name in ("reason", "effective_ms")) for name, kind in kinds.items())


def packed(table: Table, rows: pa.Table) -> pa.Table:
    """Rows as a file has them."""
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    occurred = columns["occurred_at"].view(LARGE_NUMBER)
    beyond = pc.subtract(occurred, pc.multiply(pc.divide(occurred, 1000), 1000))
    beyond = pc.if_else(pc.less(beyond, 0), pc.add(beyond, 1000), beyond)  # before 1970
    columns["occurred_at"] = pc.divide(pc.subtract(occurred, beyond), 1000).view(MILLISECONDS)
    columns["occurred_us"] = beyond.cast(MICROSECONDS)
    if table is SEGMENTS:
        effective = columns["effective_ms"]
        is_usual = pc.equal(effective, played_ms(columns))
        columns["effective_ms"] = pc.if_else(is_usual, pa.scalar(None, NUMBER), effective)
    return pa.table(columns).cast(schema(table))


def unpacked(table: Table, rows: pa.Table) -> pa.Table:
    """Rows of a file as the table has them."""
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    milliseconds, beyond = (columns[name].cast(LARGE_NUMBER) for name in ("occurred_at", "occurred_us"))
    columns["occurred_at"] = pc.add(pc.multiply(milliseconds, 1000), beyond).view(MOMENT)
    if table is SEGMENTS:
        columns["effective_ms"] = pc.coalesce(columns["effective_ms"], played_ms(columns))
    return pa.table({name: columns[name] for name in table.columns}).cast(pa.schema(table.columns.items()))


def played_ms(columns: dict[str, pa.Array]) -> pa.Array:
    """How long segments took to play, as PostgreSQL rounds it."""
    length = pc.subtract(columns["end_ms"], columns["start_ms"]).cast(LARGE_NUMBER)
    speed = taken_for(pa.decimal128(10, 0), columns["speed"]).cast(LARGE_NUMBER)  # in ten-thousandths
    return pc.divide(pc.add(pc.multiply(length, 20_000), speed), pc.multiply(speed, 2)).cast(NUMBER)


def read_back(table: Table, file: pa.NativeFile) -> Iterator[pa.Table]:
    """The pages of a file, the rows in the table's order again.

    Raises:
        DamagedFile: it is not one that `Writer` wrote of this table.
    """
    try:
        source = parquet.ParquetFile(file)
        if source.schema_arrow != schema(table):
            raise DamagedFile(f"The columns are not those of {table.name}.")
        for group in range(source.num_row_groups):
            yield in_order(unpacked(table, source.read_row_group(group)), IN_THE_TABLE)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(str(error)) from error


def in_order(rows: pa.Table, keys: list[tuple[str, str]]) -> pa.Table:
    """Rows that lie session by session, those of each session put in another order."""
    ends = session_ends(rows)
    session = spread(pa.array(range(len(ends)), NUMBER), ends)
    by = pa.record_batch({"session": session} | {name: rows[name].combine_chunks() for name, _ in keys})
    order = pc.sort_indices(by, sort_keys=[("session", "ascending"), *keys])
    moved = rows.drop_columns(list(OF_THE_SESSION)).take(order)
    return pa.table({name: (rows if name in OF_THE_SESSION else moved)[name] for name in rows.column_names})


class DamagedFile(Exception):
    """What came back from the archive is not what was written."""


def as_csv(table: Table, rows: pa.Table) -> bytes:
    """Rows as COPY takes them: every value in quotes, and nothing at all for null."""
    columns = [hexadecimal(rows[name]) if kind == ID else rows[name] for name, kind in table.columns.items()]
    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid")
    csv.write_csv(pa.table(columns, names=list(table.columns)), sink, options)
    return bytes(sink.getvalue())


def hexadecimal(ids: pa.ChunkedArray) -> pa.Array:
    text = bytes_of(ids.combine_chunks()).hex().encode()
    offsets = array("i", range(0, len(text) + 1, 32))
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(text))
