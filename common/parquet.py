"""Raw rows in Parquet files: written, read back, and turned into what PostgreSQL's COPY takes."""

from array import array
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import csv, parquet

from common.columns import ID, MOMENT, NUMBER, Table, bytes_of
from common.store import Sink

DICTIONARIES = ("session_id", "user_id", "speed", "reason", "is_skip", "allowed")  # columns of few different values

# Within a session from the latest to the earliest. DELTA_BINARY_PACKED takes as many bits for every step as the
# largest one needs that goes up from the smallest: small ones down, and few large ones up, need the fewest.
IN_A_FILE = [("session_id", "ascending"), ("occurred_at", "descending"), ("client_event_id", "ascending")]
IN_THE_TABLE = [("session_id", "ascending"), ("user_id", "ascending"), ("client_event_id", "ascending")]


class Writer:
    """A file of raw rows, a row group for each page."""

    def __init__(self, table: Table, sink: Sink) -> None:
        packed = {name: "DELTA_BINARY_PACKED" for name, kind in table.columns.items() if kind in (NUMBER, MOMENT)}
        self._schema = schema(table)
        self._file = parquet.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            self._schema,
            compression={name: "none" if name == "client_event_id" else "zstd" for name in table.columns},
            use_dictionary=[name for name in table.columns if name in DICTIONARIES],
            column_encoding=packed | {"client_event_id": "PLAIN"},
        )

    def write(self, rows: pa.Table) -> None:
        self._file.write_table(rows.sort_by(IN_A_FILE).cast(self._schema), row_group_size=len(rows))

    def close(self) -> None:
        self._file.close()


def schema(table: Table) -> pa.Schema:
    """How a file says what is in it: an id is a UUID there, and only a reason may be null."""
    return pa.schema(
        pa.field(name, pa.uuid() if kind == ID else kind, nullable=name == "reason")
        for name, kind in table.columns.items()
    )


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
            yield source.read_row_group(group).cast(pa.schema(table.columns.items())).sort_by(IN_THE_TABLE)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(str(error)) from error


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
