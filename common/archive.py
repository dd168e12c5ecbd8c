"""Months of raw rows on their way from the database to the archive, so that nothing is ever lost.

A month that ended more than `RETENTION_DAYS` days ago is written to the archive in parts, each read back and compared;
then its sessions are sealed with the moment of the archive (`archived_at`), in one transaction that makes sure that
nothing came since; then every byte is read back once more; only then its partitions are dropped.

    2026-03/watch_segment/0001-20270501T020013123456Z.parquet     the files of a part
    2026-03/seek_event/0001-20270501T020013123456Z.parquet
    2026-03/manifest-20270501T020013123456Z.json                  what belongs together, and what it comes to

Where a month is, its tables and the store say: there is no other state. A run may be killed anywhere. No run ever
writes to a file of another one, which it might be about to drop the rows of: a process that was frozen half-way and
wakes up after days does no harm. `archived_at` names the archive that counts.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import TypeVar
from uuid import UUID

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, ValidationError

from common import db, partitions
from common.columns import TABLES, Checksum, Page, Table, rows_of, totals_of
from common.config import WrongSetting, settings
from common.db import Row
from common.models import MonthsArchived, MonthWaiting, WaitingFor
from common.parquet import DamagedFile, Writer, read_back
from common.session_totals import SessionTotals
from common.store import Store

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # month, events so far, events in all

LOCK = "watchledger.archive"  # two at once would do the same work twice; no more depends on it
PART_EVENTS = 500_000
PAGE_ROWS = 20_000
PAGES_AHEAD = 3
CONNECTIONS = 3  # of the one who reads ahead, the one who compares, and the one who waits for both
PATIENCE_S = 600
COUNTS = ("sessions", "segments", "seeks", "effective_ms")
RUN = re.compile(r"-(\d{8}T\d{12}Z)\.(?:json|parquet)")


class File(BaseModel):
    """A Parquet file; the checksum is that of its rows, see `columns.Checksum`."""

    path: str
    bytes: int
    sha256: str
    rows: int
    checksum: str


class Part(BaseModel):
    """The rows of the sessions from `first` to before `last`; a table without rows has no file."""

    first: UUID
    last: UUID
    sessions: int
    effective_ms: int
    files: dict[str, File]

    @property
    def counts(self) -> dict[str, int]:
        """What `summarize_sessions` says of sessions that have these rows and no others."""
        rows = {table: file.rows for table, file in self.files.items()}
        return {
            "sessions": self.sessions,
            "segments": rows.get("watch_segment", 0),
            "seeks": rows.get("seek_event", 0),
            "effective_ms": self.effective_ms,
        }

    def checksum(self, table: Table) -> str:
        return self.files[table.name].checksum if table.name in self.files else Checksum(table).hexdigest()


class Manifest(BaseModel):
    """A month's archive; while it is not complete it has the parts that were compared so far."""

    month: str
    archived_at: AwareDatetime
    is_complete: bool
    parts: list[Part]

    @property
    def path(self) -> str:
        return manifest_path(self.month, self.archived_at)

    @property
    def files(self) -> list[File]:
        return [file for part in self.parts for file in part.files.values()]

    @property
    def counts(self) -> dict[str, int]:
        """As a part's, of the whole month."""
        return {name: sum(part.counts[name] for part in self.parts) for name in COUNTS}


class MonthWaits(Exception):
    """A month cannot be archived or dropped by this run."""

    def __init__(self, reason: WaitingFor) -> None:
        super().__init__(reason)
        self.reason = reason


class OutOfTime(Exception):
    """The run has no time left; what it has done stays done."""


def run(dry_run: bool = False, on_progress: Progress = lambda month, events, of: None) -> MonthsArchived:
    """Archive the months whose time is over, the oldest first, as far as the job's time budget goes.

    A run that has begun a month moves on by at least one part, however long that takes. A dry run counts and changes
    nothing.

    Raises:
        DatabaseUnavailable: the database does not answer.
        ArchiveUnavailable: the store does not.
    """
    archived: list[str] = []
    waiting: list[MonthWaiting] = []
    with closing(db.patient(PATIENCE_S, CONNECTIONS)) as pool, pool.lock(LOCK) as is_ours:
        archiver = Archiver(pool, open_store(), dry_run, on_progress)
        is_over = not is_ours
        for month in archiver.due() if is_ours else ():
            try:
                archiver.archive(month)
                archived.append(f"{month:%Y-%m}")
            except MonthWaits as waits:
                if month in archiver.due():  # nobody else has just finished it
                    waiting.append(MonthWaiting(month=f"{month:%Y-%m}", reason=waits.reason))
            except OutOfTime:
                is_over = True
                break
    return MonthsArchived(
        months=archived,
        segments=archiver.segments,
        seeks=archiver.seeks,
        bytes=archiver.bytes,
        waiting=waiting,
        more_to_do=is_over or any(month.reason in ("late_data", "in_use") for month in waiting),
    )


class Archiver:
    """One run."""

    def __init__(self, pool: db.Pool, store: Store, dry_run: bool, on_progress: Progress) -> None:
        self._pool = pool
        self._store = store
        self._dry_run = dry_run
        self._on_progress = on_progress
        self._moment = datetime.now(UTC)
        self._deadline = time.monotonic() + settings().job_time_budget_s
        self.segments = self.seeks = self.bytes = 0  # that were written and compared

    def due(self) -> list[date]:
        """The months that ended long enough ago and are still in the database."""
        latest = self._moment.date() - timedelta(days=settings().retention_days)
        months = self._pool.many("list_months", Row) + self._pool.many("summarize_default", Row)
        return sorted({found["month"] for found in months if partitions.after(found["month"]) <= latest})

    def archive(self, month: date) -> None:
        """Bring a month from the database to the archive.

        Raises:
            MonthWaits: not now.
            OutOfTime: no time is left to begin it, or to go on.
        """
        found = self._sessions(*ids_of(month))
        if found["open_sessions"]:
            raise MonthWaits("open_sessions")
        if found["sealed_at"] != found["sealed_until"] or found["sealed_sessions"] not in (0, found["sessions"]):
            raise MonthWaits("partly_archived")
        if time.monotonic() > self._deadline:
            raise OutOfTime
        if self._dry_run:
            self._count(found, 0)
            return
        if month not in self._months():
            if partitions.ensure(self._pool, month)[0] == "busy":
                raise MonthWaits("in_use")
            found = self._sessions(*ids_of(month))  # somebody else may have archived and dropped it just before
        manifest = self._written(month, found)
        if manifest.archived_at != found["sealed_at"]:
            self._seal(month, manifest, found["sealed_at"])
        self._delete_what_is_older_than(manifest)
        self._make_sure_of(manifest)
        self._drop(month, manifest)

    # Written, part by part

    def _written(self, month: date, found: Row) -> Manifest:
        """The archive of what is in the database: the one that there is already, or this run's."""
        earlier = self._earlier(month, found["sealed_at"])
        sealed = earlier if earlier and earlier.is_complete and earlier.archived_at == found["sealed_at"] else None
        if sealed and self._is_empty(month):
            return sealed
        manifest = Manifest(month=f"{month:%Y-%m}", archived_at=self._moment, is_complete=False, parts=[])
        for part, is_new in self._parts(month, earlier):
            manifest.parts.append(part)
            events = sum(file.rows for file in manifest.files)
            self._on_progress(manifest.month, events, found["segments"] + found["seeks"])
            if is_new and part.last != ids_of(month)[1]:
                self._store.write(manifest.path, manifest.model_dump_json(indent=1).encode())
                if time.monotonic() > self._deadline:
                    raise OutOfTime
        manifest.is_complete = True
        if sealed and sealed.parts == manifest.parts:
            return sealed
        self._store.write(manifest.path, manifest.model_dump_json(indent=1).encode())
        return manifest

    def _is_empty(self, month: date) -> bool:
        """Whether the database has no row of a month."""
        return not any(True for table in TABLES.values() for page in pages(self._pool, table, *ids_of(month)))

    def _earlier(self, month: date, sealed_at: datetime | None) -> Manifest | None:
        """The archive that the month's sessions were sealed with, or else what the last run has left."""
        prefix = manifest_path(f"{month:%Y-%m}", sealed_at) if sealed_at else f"{month:%Y-%m}/manifest-"
        paths = [path for path in self._store.list(f"{month:%Y-%m}") if path.startswith(prefix)]
        read = (read_manifest(self._store, path) for path in reversed(paths))
        return next((manifest for manifest in read if manifest), None)

    def _parts(self, month: date, earlier: Manifest | None) -> Iterator[tuple[Part, bool]]:
        """The month's parts, each compared, and whether it is new; while one is compared, the next is written."""
        with ThreadPoolExecutor(1) as comparer:
            in_doubt: Future[Part] | None = None
            for number, (first, last, known) in enumerate(self._plan(month, earlier), start=1):
                is_new = known is None or not self._is_as_archived(known)
                if is_new:
                    sessions = self._sessions(first, last)
                    written = self._export(f"{month:%Y-%m}", number, first, last, sessions)
                if in_doubt:
                    yield in_doubt.result(), True
                in_doubt = comparer.submit(self._compare, written, sessions) if is_new else None
                if known and not is_new:
                    yield known, False
            if in_doubt:
                yield in_doubt.result(), True

    def _plan(self, month: date, earlier: Manifest | None) -> Iterator[tuple[UUID, UUID, Part | None]]:
        """Where the parts begin and end: as in an earlier archive, as far as that goes."""
        first, end = ids_of(month)
        for part in earlier.parts if earlier else ():
            if part.first != first or not part.first < part.last <= end:
                break
            yield part.first, part.last, part
            first = part.last
        while first < end:
            found = self._pool.maybe("find_part_end", Row, first=first, last=end, events=PART_EVENTS)
            last = found["session_id"] if found else end
            yield first, last, None
            first = last

    def _is_as_archived(self, part: Part) -> bool:
        """Whether a part of an earlier archive is what the database has, and the store still gives its every byte."""
        return (
            agree(part.counts, self._sessions(part.first, part.last))
            and all(self._checksum(table, part) == part.checksum(table) for table in TABLES.values())
            and all(self._store.sha256(file.path) == file.sha256 for file in part.files.values())
        )

    def _checksum(self, table: Table, part: Part) -> str:
        checksum = Checksum(table)
        for page in ahead(pages(self._pool, table, part.first, part.last)):
            checksum.add(rows_of(table, page), page)
        return checksum.hexdigest()

    def _export(self, month: str, number: int, first: UUID, last: UUID, sessions: Row) -> Part:
        files = {}
        for table in TABLES.values():
            file = self._write(table, f"{month}/{table.name}/{number:04}-{name_of(self._moment)}.parquet", first, last)
            if file:
                files[table.name] = file
        return Part(
            first=first, last=last, sessions=sessions["sessions"], effective_ms=sessions["effective_ms"], files=files
        )

    def _write(self, table: Table, path: str, first: UUID, last: UUID) -> File | None:
        """Write the rows of a range of sessions to a file, if there are any."""
        some = ahead(pages(self._pool, table, first, last))
        page = next(some, None)
        if page is None:
            return None
        checksum = Checksum(table)
        with self._store.writing(path) as sink:
            writer = Writer(table, sink, rows_of(table, page))
            for following in chain([page], some):
                rows = rows_of(table, following)
                checksum.add(rows, following)
                writer.write(rows)
            writer.close()
        return File(path=path, bytes=sink.size, sha256=sink.sha256, rows=checksum.rows, checksum=checksum.hexdigest())

    def _compare(self, part: Part, sessions: Row) -> Part:
        """Read a part back from the store: its rows are those that the database gave, and come to its totals.

        Raises:
            MonthWaits: they are not, or do not.
        """
        totals = SessionTotals(self._stored_totals(part))
        for table in TABLES.values():
            checksum = Checksum(table)
            for rows in read_rows(self._store, table, part):
                checksum.add(rows)
                totals.add(table, rows)
            if checksum.hexdigest() != part.checksum(table):
                raise MonthWaits("not_read_back")
        if self._sessions(part.first, part.last) != sessions:
            raise MonthWaits("late_data")
        if totals.differences():
            raise MonthWaits("totals_differ")
        self._count(part.counts, sum(file.bytes for file in part.files.values()))
        return part

    def _stored_totals(self, part: Part) -> pa.Table:
        tables = [totals_of({})]
        after = UUID(int=part.first.int - 1)
        while True:
            page = self._pool.one("export_totals", Row, after=after, last=part.last, limit=PAGE_ROWS)
            tables.append(totals_of(page))
            if len(tables[-1]) < PAGE_ROWS:
                return pa.concat_tables(tables)
            after = UUID(bytes=page["session_id"][-16:])

    # Sealed and dropped

    def _seal(self, month: date, manifest: Manifest, sealed_at: datetime | None) -> None:
        """Seal the month's sessions with this archive, instead of an earlier one that does not do.

        Raises:
            MonthWaits: something came since, or somebody else sealed or dropped it.
        """
        first, last = ids_of(month)

        def seal(tx: db.Tx) -> None:
            tx.one("lock_months", Row)
            params = {"first": first, "last": last, "sealed_at": sealed_at, "moment": manifest.archived_at}
            tx.one("seal_sessions", Row, **params)
            found = tx.one("summarize_sessions", Row, first=first, last=last)
            is_sealed = found["sealed_sessions"] == found["sessions"]
            is_ours = {found["sealed_at"], found["sealed_until"]} <= {manifest.archived_at, None}
            if not (is_sealed and is_ours and agree(manifest.counts, found)):
                raise MonthWaits("late_data")
            if month not in {there["month"] for there in tx.many("list_months", Row)}:
                raise MonthWaits("late_data")

        if sealed_at and sealed_at >= manifest.archived_at:  # its files would be taken for old ones
            raise MonthWaits("late_data")
        self._pool.transact(seal)

    def _delete_what_is_older_than(self, manifest: Manifest) -> None:
        """Delete what earlier runs have left and nothing names any more; younger files are not ours to judge."""
        kept = {manifest.path, *(file.path for file in manifest.files)}
        for path in self._store.list(manifest.month):
            run = RUN.search(path)
            if run and run[1] < name_of(manifest.archived_at) and path not in kept:
                self._store.delete(path)

    def _make_sure_of(self, manifest: Manifest) -> None:
        """Read every byte of an archive once more, now that nothing is added to the month.

        Raises:
            MonthWaits: it is not what was written.
        """
        if read_manifest(self._store, manifest.path) != manifest:
            raise MonthWaits("not_read_back")
        for file in manifest.files:
            if self._store.sha256(file.path) != file.sha256:
                raise MonthWaits("not_read_back")

    def _drop(self, month: date, manifest: Manifest) -> None:
        dropped = self._pool.one("drop_month", Row, month=month, sealed_at=manifest.archived_at)
        match dropped["outcome"]:
            case "busy":
                raise MonthWaits("in_use")
            case "changed":
                raise MonthWaits("late_data")

    def _months(self) -> set[date]:
        return {found["month"] for found in self._pool.many("list_months", Row)}

    def _sessions(self, first: UUID, last: UUID) -> Row:
        return self._pool.one("summarize_sessions", Row, first=first, last=last)

    def _count(self, rows: Row, size: int) -> None:
        self.segments += rows["segments"]
        self.seeks += rows["seeks"]
        self.bytes += size


def open_store() -> Store:
    """Raises: WrongSetting, ArchiveUnavailable."""
    url = settings().archive_url
    if url is None:
        raise WrongSetting("ARCHIVE_URL is not set")
    return Store(url)


def pages(pool: db.Pool, table: Table, first: UUID, last: UUID) -> Iterator[Page]:
    """The rows of a range of sessions, a page at a time, in the order of session and event."""
    after, event_id = UUID(int=first.int - 1), UUID(int=2**128 - 1)
    while True:
        begin = {"after": after, "event_id": event_id}
        page = pool.one(table.statement, Row, first=first, last=last, limit=PAGE_ROWS, **begin)
        if page["session_id"] is None:
            return
        yield page
        if len(page["client_event_id"]) < 16 * PAGE_ROWS:
            return
        after, event_id = last_event(page)


def last_event(page: Page) -> tuple[UUID, UUID]:
    """Where a page ends; a session's rows lie user by user in it, though there is but one."""
    sessions, events, rows = page["session_id"], page["client_event_id"], page["rows"]
    of_last = 0
    for place in range(len(sessions) // 16 - 1, -1, -1):
        if sessions[16 * place : 16 * place + 16] != sessions[-16:]:
            break
        of_last += int.from_bytes(rows[4 * place : 4 * place + 4], "big")
    begin = len(events) - 16 * of_last
    latest = max(events[at : at + 16] for at in range(begin, len(events), 16))
    return UUID(bytes=sessions[-16:]), UUID(bytes=latest)


def read_rows(store: Store, table: Table, part: Part) -> Iterator[pa.Table]:
    """The rows of a part's file, page by page; none if there is no file.

    Raises:
        MonthWaits: the file cannot be read.
    """
    file = part.files.get(table.name)
    if file is None:
        return
    try:
        with store.reading(file.path) as source:
            yield from read_back(table, source)
    except DamagedFile:
        raise MonthWaits("not_read_back") from None


def read_manifest(store: Store, path: str) -> Manifest | None:
    """A manifest; None if there is none, or it was not written to its end."""
    content = store.read(path)
    try:
        manifest = Manifest.model_validate_json(content or b"")
    except ValidationError:
        return None
    return manifest if manifest.path == path else None


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, some being made while the ones before them are used."""
    maker = ThreadPoolExecutor(1)
    try:
        following = deque(maker.submit(next, items, None) for _ in range(PAGES_AHEAD))
        while (item := following.popleft().result()) is not None:
            following.append(maker.submit(next, items, None))
            yield item
    finally:
        maker.shutdown(cancel_futures=True)


def agree(counts: Row, sessions: Row) -> bool:
    """Whether sessions (of `summarize_sessions`) say that these are all the rows they ever had."""
    return all(counts[name] == sessions[name] for name in COUNTS)


def ids_of(month: date) -> tuple[UUID, UUID]:
    """The first id that a session of a month may have, and the first one after it.

    >>> ids_of(date(1970, 1, 1))[1]
    UUID('00009fa5-2400-0000-0000-000000000000')
    """
    first, last = (
        UUID(int=round(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000) << 80)
        for day in (month, partitions.after(month))
    )
    return first, last


def manifest_path(month: str, moment: datetime) -> str:
    return f"{month}/manifest-{name_of(moment)}.json"


def name_of(moment: datetime) -> str:
    """A moment as it stands in the names of files.

    >>> name_of(datetime(2027, 5, 1, 2, 0, 13, 123456, tzinfo=UTC))
    '20270501T020013123456Z'
    """
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
