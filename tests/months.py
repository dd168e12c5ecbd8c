"""Months long past: recorded by the service itself, only that the sessions' ids are made as they were then; and what
of them is in the database and in the archive.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import duckdb
import pytest

from common import archive, db, sessions
from common.archive import Manifest
from common.partitions import after
from common.store import Store
from tests.conftest import Viewer, run, seek, segment

MARCH = date(2024, 3, 1)
APRIL = date(2024, 4, 1)

LIVE = {
    "watch_segment": "session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed::text,"
    " extract(epoch FROM occurred_at)::text, extract(epoch FROM recorded_at)::text",
    "seek_event": "session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason,"
    " extract(epoch FROM occurred_at)::text, extract(epoch FROM recorded_at)::text",
}
MOMENT = "printf('%d.%06d', ({0}) // 1000000, ({0}) % 1000000)"
ARCHIVED = {
    table: columns.replace("effective_ms", "coalesce(effective_ms, round((end_ms - start_ms) / speed))::int")
    .replace("extract(epoch FROM occurred_at)::text", MOMENT.format("epoch_us(occurred_at) + occurred_us"))
    .replace("extract(epoch FROM recorded_at)::text", MOMENT.format("epoch_us(recorded_at)"))
    for table, columns in LIVE.items()
}


def id_in(month: date, at: float | None = None) -> UUID:
    """A UUIDv7 of a month; `at` tells where in it, from 0 to 1."""
    first, last = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, after(month)))
    milliseconds = int((first + (last - first) * (random.random() if at is None else at)).timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62))


@contextmanager
def back_in(month: date) -> Iterator[None]:
    """Sessions that are opened now have ids of then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "uuid7", lambda: id_in(month))
        yield


def open_in(month: date, user_id: str | None = None) -> Viewer:
    viewer = Viewer(f"lesson-{uuid4()}", user_id)
    with back_in(month):
        viewer.start()
    return viewer


def watched_in(month: date, *stretches: tuple[float, ...], user_id: str | None = None) -> Viewer:
    """Somebody who watched in a month, jumped about, and left."""
    viewer = open_in(month, user_id)
    early = datetime(month.year, month.month, 2, 3, 4, 5, 678901, tzinfo=UTC)
    viewer.record(
        *(segment(*stretch) for stretch in stretches or ((0, 10), (5, 20.125, 1.25), (40, 50, 16), (60, 61, 0.0625))),
        segment(70, 80, occurredAt=early.isoformat()),
        seeks=[
            seek(20, 40, occurredAt=(early + timedelta(microseconds=1)).isoformat()),
            seek(50, 60, allowed=False, reason='"A, b"; ü – \\N \\. 次'),
            seek(80, 0),
        ],
    )
    viewer.close()
    return viewer


def rows(url: str) -> Counter[tuple[Any, ...]]:
    """Every raw row in the database."""
    with closing(db.direct(url, 60_000)) as connection:
        return Counter(
            (table, *row) for table, columns in LIVE.items() for row in connection.run(f"SELECT {columns} FROM {table}")
        )


def manifests(url: str, store: Store) -> list[Manifest]:
    """The archives that the sessions name, each whole."""
    found = run(
        url, "SELECT DISTINCT month_of_id(session_id), archived_at FROM watch_session WHERE archived_at IS NOT NULL"
    )
    read = [archive.read_manifest(store, archive.manifest_path(f"{month:%Y-%m}", moment)) for month, moment in found]
    assert all(manifest and manifest.is_complete for manifest in read)
    return [manifest for manifest in read if manifest]


def archived(url: str, store: Store) -> Counter[tuple[Any, ...]]:
    """Every row in the archive, as DuckDB reads it."""
    found: Counter[tuple[Any, ...]] = Counter()
    of_all = manifests(url, store)
    for table, columns in ARCHIVED.items():
        with copied(store, of_all, table) as files:
            found.update((table, *row) for row in ask(f"SELECT {columns.replace('::text', '::varchar')} FROM", files))
    return found


@contextmanager
def copied(store: Store, manifests: Iterable[Manifest], table: str) -> Iterator[list[str]]:
    """A table's files, where DuckDB can read them."""
    with TemporaryDirectory() as folder:
        paths = []
        for number, part in enumerate(part for manifest in manifests for part in manifest.parts):
            if table in part.files:
                content = store.read(part.files[table].path)
                assert content is not None
                paths.append(f"{folder}/{number}.parquet")
                Path(paths[-1]).write_bytes(content)
        yield paths


def ask(query: str, files: list[str], rest: str = "") -> list[tuple[Any, ...]]:
    return duck().execute(f"{query} read_parquet({files}) {rest}").fetchall() if files else []


@cache
def duck() -> duckdb.DuckDBPyConnection:
    """To make one takes longer than to ask it twenty times."""
    return duckdb.connect(config={"threads": 1})


def forget(url: str) -> None:
    """Empty a database, and let it have the partitions of a new one."""
    with closing(db.direct(url, 60_000)) as connection:
        connection.run("TRUNCATE lesson, lesson_attempt, watch_session, watch_segment, seek_event")
        for [name] in connection.run(
            "SELECT inhrelid::regclass::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
            " WHERE c.relname ~ '_[0-9]{6}$' AND right(c.relname, 6) < to_char(now(), 'YYYYMM') AND c.relkind = 'r'"
        ):
            connection.run(f"DROP TABLE {name}")
