"""Bring an archived month back into the database: `python -m infra.restore MONTH [--dry-run]`.

Its partitions are made again, every row as it was, and its sessions take progress again. The nightly job will
archive it again unless RETENTION_DAYS says otherwise by then.

It may be stopped anywhere and run again. Nothing is restored from an archive that is not, to the last byte, what was
read back before the month was dropped. The database is the one of DATABASE_URL, or the local one of DATA_DIR; the
archive is that of ARCHIVE_URL, or DATA_DIR/archive.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date

from common import archive, db
from common.archive import Manifest, MonthWaits, Part, agree, ids_of, manifest_path, read_manifest, read_rows
from common.columns import TABLES, Checksum, Table, rows_of
from common.config import settings
from common.db import Row
from common.parquet import as_csv
from common.store import Store
from infra import jobs, local, signals
from infra.failures import FAILURES, told

RESTORED, FAILED = 0, 1
EXIT_CODES = (
    "Exit code 0: it is back, or with --dry-run could be; 1: it was refused or failed; 2: it was not called right."
)
PATIENCE_S = 86_400
STATEMENTS = {"watch_segment": "restore_segments", "seek_event": "restore_seeks"}


class Refused(Exception):
    """The month cannot be brought back."""


def main(arguments: Sequence[str] | None = None) -> int:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m infra.restore",
        description=description,
        epilog=f"{details}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("month", type=month_of, metavar="MONTH", help="for example 2026-03")
    parser.add_argument(
        "--dry-run", action="store_true", help="make sure that it could be restored, and change nothing"
    )
    chosen = parser.parse_args(arguments)
    bar = jobs.Bar()
    try:
        with local.database() as url:
            local.configure(url)
            manifest = restore(chosen.month, chosen.dry_run, lambda done, of: bar(done, of, "events"))
    except Refused as refusal:
        bar.clear()
        print(f"{parser.prog}: {chosen.month:%Y-%m} is not restored: {refusal}", file=sys.stderr)
        return FAILED
    except FAILURES as failure:
        bar.clear()
        print(f"{parser.prog}: {told(failure)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        bar.clear()
        print(f"{parser.prog}: stopped; nothing is half restored, run it again", file=sys.stderr)
        return FAILED
    bar.clear()
    counts = manifest.counts
    print(
        f"{manifest.month} {'can be' if chosen.dry_run else 'is'} restored: "
        f"{counts['segments']:,} segments and {counts['seeks']:,} seeks of {counts['sessions']:,} sessions"
    )
    return RESTORED


def month_of(text: str) -> date:
    """Raises: argparse.ArgumentTypeError."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a month such as 2026-03") from None


def restore(month: date, dry_run: bool, on_progress: Callable[[int, int], None]) -> Manifest:
    """Bring a month back.

    Raises:
        Refused: it is not archived, its archive is not as it was written, or something of it is there already.
        DatabaseUnavailable: the database does not answer.
        ArchiveUnavailable: the store does not.
    """
    with closing(db.patient(PATIENCE_S, archive.CONNECTIONS)) as pool, pool.lock(archive.LOCK) as is_ours:
        if not is_ours:
            raise Refused("somebody is archiving or restoring at this moment")
        store = archive.open_store()
        manifest = archived(pool, store, month)
        is_there = is_in_database(pool, month)
        for file in manifest.files:
            if store.sha256(file.path) != file.sha256:
                raise Refused(f"{file.path} in the archive is damaged or missing")
        if dry_run:
            return manifest
        try:
            if not is_there:
                pool.transact(lambda tx: load(tx, store, month, manifest, on_progress))
            for part in manifest.parts:
                compare(pool, part)
        except MonthWaits:
            raise Refused("a file in the archive is damaged") from None
        pool.transact(lambda tx: unseal(tx, month, manifest))
    return manifest


def archived(pool: db.Pool, store: Store, month: date) -> Manifest:
    """What the archive has of a month that is archived as a whole."""
    first, last = ids_of(month)
    found = pool.one("summarize_sessions", Row, first=first, last=last)
    if not found["sealed_sessions"]:
        raise Refused("none of its sessions is archived")
    if found["sealed_sessions"] != found["sessions"] or found["sealed_at"] != found["sealed_until"]:
        raise Refused("only some of its sessions are archived, or not all at once")
    path = manifest_path(f"{month:%Y-%m}", found["sealed_at"])
    manifest = read_manifest(store, path)
    if manifest is None or not manifest.is_complete:
        raise Refused(f"{path} in the archive {settings().archive_url} is missing or damaged")
    ends = [first, *(part.last for part in manifest.parts)]
    if not agree(manifest.counts, found) or [part.first for part in manifest.parts] != ends[:-1] or ends[-1] != last:
        raise Refused(f"{path} does not have what its sessions had")
    return manifest


def is_in_database(pool: db.Pool, month: date) -> bool:
    """Whether its partitions are there: after a run that was stopped before the end, or before they were dropped.

    Raises:
        Refused: something of it is.
    """
    tables = {found["month"]: found["tables"] for found in pool.many("list_months", Row)}.get(month, 0)
    if tables == 1 or month in {found["month"] for found in pool.many("summarize_default", Row)}:
        raise Refused("some of its rows are in the database already")
    return bool(tables)


def load(tx: db.Tx, store: Store, month: date, manifest: Manifest, on_progress: Callable[[int, int], None]) -> None:
    """Make the month's partitions of what the archive has; nobody sees them before all rows are in."""
    done, of = 0, sum(file.rows for file in manifest.files)

    def lines(table: Table, part: Part) -> Iterator[bytes]:
        nonlocal done
        for rows in read_rows(store, table, part):
            yield as_csv(table, rows)
            done += len(rows)
            on_progress(done, of)

    tx.one("stage_month", Row, month=month)
    for table in TABLES.values():
        for part in manifest.parts:
            tx.copy(STATEMENTS[table.name], archive.ahead(lines(table, part)))
    tx.one("attach_month", Row, month=month)


def compare(pool: db.Pool, part: Part) -> None:
    """Make sure that the rows in the database are those that were archived.

    Raises:
        Refused: they are not.
    """
    for table in TABLES.values():
        checksum = Checksum(table)
        for page in archive.ahead(archive.pages(pool, table, part.first, part.last)):
            checksum.add(rows_of(table, page), page)
        if checksum.hexdigest() != part.checksum(table):
            raise Refused("its rows in the database are not those in the archive")


def unseal(tx: db.Tx, month: date, manifest: Manifest) -> None:
    """Let the month's sessions take progress again.

    Raises:
        Refused: somebody dropped the month, or archived it again.
    """
    first, last = ids_of(month)
    tx.one("lock_months", Row)
    unsealed = tx.one("unseal_sessions", Row, first=first, last=last, sealed_at=manifest.archived_at)
    months = {found["month"] for found in tx.many("list_months", Row) if found["tables"] == len(TABLES)}
    if unsealed["sessions"] != manifest.counts["sessions"] or month not in months:
        raise Refused("it was archived again at this moment")


if __name__ == "__main__":
    for number in signals.ENDING:
        signal.signal(number, jobs.stop)
    sys.exit(main())
