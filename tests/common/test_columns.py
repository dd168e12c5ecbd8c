"""What PostgreSQL sends is what it gets: through Arrow, through Parquet, and as the lines of a COPY."""

import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from common import archive, columns, db, parquet
from common.columns import SEEKS, SEGMENTS, Page, Table
from common.store import Sink
from tests.conftest import database, run
from tests.months import MARCH, id_in

ROWS = 500

# All that the tables take, at its limits and in between.
SEGMENT = """
    INSERT INTO watch_segment (
        session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
    )
    SELECT
        (array[:a, :b]::uuid[])[1 + n % 2], gen_random_uuid(), (array['ä', 'b c', repeat('次', 128)])[1 + n % 3],
        start_ms, end_ms, round((end_ms - start_ms) / speed), speed,
        timestamptz '1905-01-01' + n * interval '97 days 59.999999 seconds', now() + n * interval '1 microsecond'
    FROM (
        SELECT
            n,
            n * 172000 AS start_ms,
            n * 172000 + 1 + n * n * n % 400000 AS end_ms,
            0.0625 + n * n % 159376 / 10000.0 AS speed
        FROM generate_series(0, :rows - 1) AS n
    ) AS made
"""
SEEK = """
    INSERT INTO seek_event (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    )
    SELECT
        (array[:a, :b]::uuid[])[1 + n % 2], gen_random_uuid(), (array['ä', 'b c', repeat('次', 128)])[1 + n % 3],
        n, n * 3, n, n % 3 = 0, n % 5 = 0,
        (array[null, 'x', '"', '\\N', E'a\\tb\\nc,', '–', ' ', repeat('ü', 200)])[1 + n % 8],
        'epoch'::timestamptz - n * interval '1 microsecond', now()
    FROM generate_series(0, :rows - 1) AS n
"""


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    with database(server_url) as url:
        ids = {"a": str(id_in(MARCH)), "b": str(id_in(MARCH))}
        for statement in (SEGMENT, SEEK):
            for name, value in ids.items():
                statement = statement.replace(f":{name}", f"'{value}'")
            run(url, statement.replace(":rows", str(ROWS)))
        # half a millisecond may be either
        run(url, "UPDATE watch_segment SET end_ms = 1, speed = 2, effective_ms = 0 WHERE start_ms = 0")
        yield url


@pytest.fixture(params=[SEGMENTS, SEEKS], ids=lambda table: table.name)
def table(request: pytest.FixtureRequest) -> Table:
    table: Table = request.param
    return table


def export(url: str, table: Table) -> list[Page]:
    with closing(db.Pool(lambda within_s: db.direct(url, 60_000), 1, 60)) as pool:
        return list(archive.pages(pool, table, *archive.ids_of(MARCH)))


def test_rows_are_sent_back_in_the_very_bytes_that_they_came_in(url: str, table: Table) -> None:
    [page] = export(url, table)
    rows = columns.rows_of(table, page)

    sent = columns.wire(table, rows)

    assert len(rows) == ROWS
    of_each_row = [name for name in page if not name.startswith(("session_id", "user_id", "rows"))]
    assert {name: sent[name] for name in of_each_row} == {name: page[name] for name in of_each_row}
    assert rows["user_id"].unique().to_pylist() != [None]
    assert len(sent["session_id"]) == 16 * ROWS


def test_a_part_of_the_rows_is_sent_as_if_it_were_all(url: str, table: Table) -> None:
    """Slices share memory with what they were cut from."""
    [page] = export(url, table)
    rows = columns.rows_of(table, page)

    halves = [columns.wire(table, half) for half in (rows[:123], rows[123:])]

    whole = columns.wire(table, rows)
    assert {name: halves[0][name] + halves[1][name] for name in whole} == whole


def test_a_file_gives_back_the_same_rows(url: str, table: Table) -> None:
    [page] = export(url, table)
    rows = columns.rows_of(table, page)
    file = io.BytesIO()

    writer = parquet.Writer(table, Sink(file), rows)
    writer.write(rows)
    writer.close()

    [back] = parquet.read_back(table, pa.BufferReader(file.getvalue()))
    assert back.equals(rows)


@pytest.mark.parametrize("other", [b"", b"PAR1", b"PAR1" * 100, b"\0" * 1000])
def test_what_is_no_such_file_is_damaged(table: Table, other: bytes) -> None:
    with pytest.raises(parquet.DamagedFile):
        list(parquet.read_back(table, pa.BufferReader(other)))


def test_a_file_of_the_other_table_is_damaged(url: str) -> None:
    file = io.BytesIO()
    parquet.Writer(SEEKS, Sink(file), columns.rows_of(SEEKS, export(url, SEEKS)[0])).close()
    with pytest.raises(parquet.DamagedFile, match="not those of watch_segment"):
        list(parquet.read_back(SEGMENTS, pa.BufferReader(file.getvalue())))


def test_postgresql_takes_the_lines_for_the_same_rows(url: str, table: Table) -> None:
    [page] = export(url, table)
    statement = db.sql({"watch_segment": "restore_segments", "seek_event": "restore_seeks"}[table.name])
    with closing(db.direct(url, 60_000)) as connection:
        connection.run(f"CREATE TEMP TABLE restored_{table.name} (LIKE {table.name} INCLUDING ALL)")
        connection.run(statement, stream=iter([parquet.as_csv(table, columns.rows_of(table, page))]))
        pair = (table.name, f"restored_{table.name}")
        differences: list[Any] = [
            connection.run(f"(SELECT {some}::text FROM {some}) EXCEPT (SELECT {other}::text FROM {other})")
            for some, other in (pair, pair[::-1])
        ]
        counted = connection.run(f"SELECT count(*) FROM restored_{table.name}")
    assert differences == [[], []]
    assert counted == [[ROWS]]
