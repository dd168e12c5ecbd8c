"""How fast stale sessions are swept: `python -m bench.sweep [--quick]`.

10,000 fell silent among 100,000 open ones (with --quick a tenth of that); each belongs to a user of its own with four
earlier sessions. PostgreSQL is durable and lies on a disk.
"""

import argparse
import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from bench import servers
from common import db, sweeping
from infra import local, postgres
from infra.migrate import migrate

DISK = "/var/tmp"  # /tmp may be memory, where a commit costs nothing
OPEN, SILENT, EARLIER = 100_000, 10_000, 4

CROWD = (
    "INSERT INTO lesson (lesson_id, duration_ms) VALUES ('crowded', 3600000)",
    """
    INSERT INTO lesson_attempt (
        attempt_id, user_id, lesson_id, attempt_no, coverage, effective_ms, last_position_ms, last_position_at
    )
    SELECT
        gen_random_uuid(), 'viewer-' || n, 'crowded', 1, '{[0,600000)}', 2400000, 600000, now() - interval '1 hour'
    FROM generate_series(1, :open::int) AS n
    """,
    """
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, status, started_at, closed_at,
        last_heartbeat_at, coverage, effective_ms, segment_count, last_position_ms, last_position_at
    )
    SELECT
        (lpad(to_hex((extract(epoch FROM began) * 1000)::bigint), 12, '0') || '70008000'
            || lpad(to_hex(viewer), 12, '0'))::uuid,
        user_id, attempt_id, 'crowded', false, viewer || '-' || session,
        CASE WHEN is_open THEN 'open' ELSE 'closed' END, began, CASE WHEN NOT is_open THEN last_sign END, last_sign,
        '{[0,60000),[70000,200000),[300000,600000)}', 600000, 60, 600000, last_sign
    FROM (
        SELECT
            *,
            session = :earlier::int AS is_open,
            now() - interval '1 hour' * (:earlier::int + 1 - session) + interval '1 millisecond' * (viewer % 60000)
                AS began,
            now() - CASE
                WHEN session < :earlier::int THEN interval '1 hour' * (:earlier::int - session)
                WHEN viewer % (:open::int / :silent::int) = 0 THEN interval '6 minutes'
                ELSE interval '0'
            END AS last_sign
        FROM (SELECT row_number() OVER ()::int AS viewer, user_id, attempt_id FROM lesson_attempt) AS viewers
        CROSS JOIN generate_series(0, :earlier::int) AS session
        ORDER BY session
    ) AS viewing
    """,
    "VACUUM ANALYZE",
    "CHECKPOINT",
)


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=description, epilog=details)
    parser.add_argument("--quick", action="store_true", help="fewer of them: a glance, not a measurement")
    share = 10 if parser.parse_args().quick else 1
    crowd = Crowd(OPEN // share, SILENT // share)
    with TemporaryDirectory(prefix="watchledger-bench-", dir=DISK) as folder:
        os.chmod(folder, 0o755)
        with postgres.running(Path(folder)) as cluster:
            url = cluster.dsn(local.DATABASE)
            migrate(url)
            crowd.come(url)
            local.configure(url)
            measure(cluster, crowd)


@dataclass(frozen=True)
class Crowd:
    open: int
    silent: int

    def come(self, url: str) -> None:
        """Into an empty database."""
        given = {"open": self.open, "silent": self.silent, "earlier": EARLIER}
        with closing(db.direct(url, 600_000)) as connection:
            for statement in CROWD:
                connection.run(statement, **{name: n for name, n in given.items() if f":{name}" in statement})


def measure(cluster: postgres.Cluster, crowd: Crowd) -> None:
    began = perf_counter()
    found = sweeping.sweep(dry_run=True)
    listed_s = perf_counter() - began
    assert found.stale == crowd.silent, found
    trips = counted_round_trips()
    began, cpu, database_cpu = perf_counter(), process_time(), servers.cpu_seconds(cluster.pid)
    swept = sweeping.sweep()
    seconds, cpu = perf_counter() - began, process_time() - cpu
    database_cpu = servers.cpu_seconds(cluster.pid) - database_cpu
    assert swept.stale == crowd.silent, swept
    began = perf_counter()
    sweeping.sweep()
    idle_s = perf_counter() - began
    print(
        f"{crowd.silent:,} silent sessions among {crowd.open:,} open and {crowd.open * EARLIER:,} closed ones\n"
        f"  to find them all       {listed_s * 1000:8,.0f} ms\n"
        f"  to find that none is   {idle_s * 1000:8,.0f} ms\n"
        f"  to end them            {seconds:8,.1f} s, {crowd.silent / seconds:,.0f} sessions/s\n"
        f"  each: round trips      {trips.total() / crowd.silent:8,.2f}\n"
        f"        job's CPU        {cpu / crowd.silent * 1e6:8,.0f} µs\n"
        f"        database's CPU   {database_cpu / crowd.silent * 1e6:8,.0f} µs"
    )


def counted_round_trips() -> Counter[str]:
    """From now on, how often an answer of the database is waited for."""
    trips: Counter[str] = Counter()
    ask = db.Tx._ask

    def counting(tx: db.Tx, send: Callable[..., Any], *args: object, **params: object) -> Any:
        trips[send.__qualname__] += 1
        return ask(tx, send, *args, **params)

    db.Tx._ask = counting  # type: ignore[assignment, method-assign]
    return trips


if __name__ == "__main__":
    main()
