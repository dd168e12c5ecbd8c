"""How fast a month is archived and restored, beside COPY … TO of the same rows: `python -m bench.archive [--quick]`.

The month has 5,000,000 events (with --quick 300,000). The job, the restoring and COPY take turns, each a process or a
statement of its own; told are medians over the rounds, a ratio is the median of each round's own. PostgreSQL is
durable and lies on a disk, and so does the archive.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.report import Goal
from common import db
from common.archive import Manifest
from common.columns import SEGMENTS
from infra import local, postgres
from infra.migrate import migrate

DISK = "/var/tmp"  # /tmp may be memory, where a commit costs nothing
MONTH = "2024-03"
EVENTS, QUICK_EVENTS = 5_000_000, 300_000
A_SESSION = 60  # events, on average
TIMEOUT_MS = 3_600_000
MIB = 1 << 20
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}  # which would keep a month
RSS_BYTES = 1 if sys.platform == "darwin" else 1024  # of the unit of ru_maxrss

# Viewers play stretches of ten seconds, cut where the player happens to tell the time, three to a post, and jump now
# and then. Clients tell milliseconds, the service microseconds. Rows lie in the order in which they came.
VIEWING = (
    "SELECT ensure_month('2024-03-01')",
    "INSERT INTO lesson (lesson_id) VALUES ('watched')",
    """
    CREATE UNLOGGED TABLE viewing AS
    SELECT
        (lpad(to_hex((extract(epoch FROM began) * 1000)::bigint), 12, '0') || '7' || substr(noise, 1, 3) || '8'
            || substr(noise, 4, 15))::uuid AS session_id,
        gen_random_uuid()::text AS user_id,
        gen_random_uuid() AS attempt_id,
        began,
        (array[1, 1, 1, 1, 1, 1.25, 1.5, 2])[1 + n % 8] AS speed,
        (random() * 600000)::int AS enters_ms,
        1 + (-ln(1 - random()) * (:a_session::int - 1))::int AS events
    FROM (
        SELECT
            n,
            md5(random()::text) AS noise,
            timestamptz '2024-03-01 00:00Z' + random() * interval '30 days 20 hours' AS began
        FROM generate_series(1, :sessions::int) AS n
    ) AS someone
    """,
    """
    CREATE UNLOGGED TABLE event AS
    SELECT
        session_id,
        user_id,
        gen_random_uuid() AS client_event_id,
        k % 16 = 9 AS is_seek,
        (enters_ms + (sum(took_ms) OVER till_now - took_ms) * speed)::int AS start_ms,
        (enters_ms + sum(took_ms) OVER till_now * speed)::int AS end_ms,
        speed,
        date_trunc('milliseconds', began) + sum(took_ms) OVER till_now * interval '1 millisecond' AS occurred_at,
        began + (k + 2) / 3 * interval '30.1 seconds'
            + (hashint4(hashtext(user_id) + (k + 2) / 3) & 262143) * interval '1 microsecond' AS recorded_at
    FROM (
        SELECT *, 9750 + (random() * 500)::int AS took_ms
        FROM viewing
        CROSS JOIN LATERAL generate_series(1, events) AS k
    ) AS played
    WINDOW till_now AS (PARTITION BY session_id ORDER BY k)
    """,
    """
    INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no)
    SELECT attempt_id, user_id, 'watched', 1 FROM viewing
    """,
    """
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, status, started_at, closed_at,
        coverage, effective_ms, segment_count, seek_count, skip_count
    )
    SELECT
        session_id, user_id, attempt_id, 'watched', false, session_id::text, 'closed', began, began + interval '1 hour',
        coalesce(range_agg(int4range(start_ms, end_ms)) FILTER (WHERE NOT is_seek), '{}'),
        coalesce(sum(round((end_ms - start_ms) / speed)) FILTER (WHERE NOT is_seek), 0),
        count(*) FILTER (WHERE NOT is_seek),
        count(*) FILTER (WHERE is_seek),
        0
    FROM viewing
    INNER JOIN event USING (session_id, user_id, speed)
    GROUP BY session_id, user_id, attempt_id, began
    """,
    """
    INSERT INTO watch_segment (
        session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
    )
    SELECT
        session_id, client_event_id, user_id, start_ms, end_ms, round((end_ms - start_ms) / speed), speed, occurred_at,
        recorded_at
    FROM event WHERE NOT is_seek ORDER BY recorded_at
    """,
    """
    INSERT INTO seek_event (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, occurred_at, recorded_at
    )
    SELECT session_id, client_event_id, user_id, start_ms, end_ms, 0, false, true, occurred_at, recorded_at
    FROM event WHERE is_seek ORDER BY recorded_at
    """,
    "DROP TABLE event, viewing",
    "VACUUM ANALYZE",
)


@dataclass(frozen=True)
class Turn:
    """What one contender did in one round; `cpu_s` and `peak_mib` are its process's, without PostgreSQL's."""

    seconds: float
    cpu_s: float = 0
    peak_mib: float = 0
    said: str = ""


Turns = dict[str, list[Turn]]
COPY, ARCHIVE, RESTORE = "COPY … TO", "archive", "restore"


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.archive", description=description, epilog=details)
    parser.add_argument("--quick", action="store_true", help="fewer events and rounds: a glance, not a measurement")
    parser.add_argument("--events", type=int, help="so many instead")
    chosen = parser.parse_args()
    events = chosen.events or (QUICK_EVENTS if chosen.quick else EVENTS)
    with TemporaryDirectory(prefix="watchledger-bench-", dir=DISK) as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's PostgreSQL runs as somebody else …
        (folder / "copied").mkdir()
        (folder / "copied").chmod(0o777)  # … and writes here
        with postgres.running(folder, pg_bin=local.pg_bin(), settings=SETTINGS) as cluster:
            url = cluster.dsn(local.DATABASE)
            migrate(url)
            watch(url, events)
            tell(take_turns(url, folder, 2 if chosen.quick else 3), folder)


def watch(url: str, events: int) -> None:
    """Record a month of about so many events."""
    given = {"sessions": events // A_SESSION, "a_session": A_SESSION}
    with closing(db.direct(url, TIMEOUT_MS)) as connection:
        for statement in VIEWING:
            connection.run(statement, **{name: n for name, n in given.items() if f":{name}" in statement})


def take_turns(url: str, folder: Path, rounds: int) -> Turns:
    """Rounds, every second one with COPY at its end; each has an archive of its own."""
    turns: Turns = {COPY: [], ARCHIVE: [], RESTORE: []}
    for number in range(rounds):
        environment = os.environ | {
            "DATABASE_URL": url,
            "DATA_DIR": str(folder),
            "ARCHIVE_URL": archive_of(folder, number).as_uri(),
            "JOB_TIME_BUDGET_S": "3600",
        }
        actions = {
            COPY: partial(copied, url, folder / "copied"),
            ARCHIVE: partial(process, environment, "infra.jobs", "archive-segments", "--json"),
            RESTORE: partial(process, environment, "infra.restore", MONTH),
        }
        for name in [COPY, ARCHIVE, RESTORE] if number % 2 == 0 else [ARCHIVE, RESTORE, COPY]:
            if sys.stderr.isatty():
                print(f"\r\x1b[Kround {number + 1} of {rounds}: {name} ", end="", file=sys.stderr, flush=True)
            with closing(db.direct(url, TIMEOUT_MS)) as connection:
                connection.run("CHECKPOINT")  # nobody pays for another one's writes
            turns[name].append(actions[name]())
    return turns


def archive_of(folder: Path, number: int) -> Path:
    return folder / f"archive-{number}"


def copied(url: str, folder: Path) -> Turn:
    """The month's rows as text, written by PostgreSQL itself."""
    with closing(db.direct(url, TIMEOUT_MS)) as connection:
        began = perf_counter()
        for table in ("watch_segment", "seek_event"):
            connection.run(f"COPY {table}_{MONTH.replace('-', '')} TO '{folder}/{table}'")
        return Turn(perf_counter() - began)


def process(environment: Mapping[str, str], module: str, *arguments: str) -> Turn:
    """A command, from its start to its end."""
    began = perf_counter()
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{module} ended with {child.returncode}: {said}")
    return Turn(perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * RSS_BYTES / MIB, said)


def tell(turns: Turns, folder: Path) -> None:
    manifest = Manifest.model_validate_json(next(archive_of(folder, 0).glob("*/manifest-*.json")).read_bytes())
    events = sum(file.rows for file in manifest.files)
    segments = [part.files[SEGMENTS.name] for part in manifest.parts]
    as_text = sum(path.stat().st_size for path in (folder / "copied").iterdir())
    print(
        f"{events:,} events of {manifest.counts['sessions']:,} sessions, {len(turns[COPY])} rounds\n"
        f"{'':12}{'events/s':>12}{'seconds':>10}{'CPU s':>8}{'peak MiB':>10}"
    )
    for name, each in turns.items():
        seconds = median(turn.seconds for turn in each)
        of_process = f"{median(turn.cpu_s for turn in each):8.1f}{max(turn.peak_mib for turn in each):10.0f}"
        print(f"{name:12}{events / seconds:12,.0f}{seconds:10.1f}{of_process if name != COPY else ''}")
    print(f"{sum(file.bytes for file in manifest.files) / events:.1f} bytes an event, by COPY {as_text / events:.1f}")
    speeds = [copy.seconds / archive.seconds for copy, archive in zip(turns[COPY], turns[ARCHIVE], strict=True)]
    size = sum(file.bytes for file in segments) / sum(file.rows for file in segments)
    print("\nGoals")
    print(Goal("of COPY's speed is the archive's", median(speeds), 0.5, at_least=True))
    print(Goal("is the peak of the job's memory", max(turn.peak_mib for turn in turns[ARCHIVE]), 300, unit=" MiB"))
    print(Goal("for a segment in Parquet", size, 25, unit=" bytes"))


if __name__ == "__main__":
    main()
