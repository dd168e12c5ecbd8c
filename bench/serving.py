"""How fast requests are answered, beside what they stand on and a peer: `python -m bench.serving [--quick]`.

Everything is measured in one run on one machine, in short rounds that take turns (A B C, C B A, …), so that what else
the machine does meets all alike. The server under measurement has a core of its own; the load and PostgreSQL have the
others. Told are medians over the rounds; a ratio is the median of each round's own.
"""

import argparse
import compileall
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import cold, contenders, report, servers, viewers
from bench.contenders import CONNECTIONS, HELLO, ROOT, THREADS, VIEWERS
from common import db
from infra import local, postgres
from infra.migrate import migrate

DISK = "/var/tmp"  # /tmp may be memory, where a commit costs nothing


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=description, epilog=details)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a glance, not a measurement")
    quick = parser.parse_args().quick
    rounds, seconds, starts = (3, 1.0, 3) if quick else (10, 2.0, 7)
    servers.leave_their_core()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=DISK, prefix="watchledger-bench-")))
        folder.chmod(0o711)  # root's PostgreSQL runs as somebody else
        cluster, url = stack.enter_context(durable_database(folder))
        stack.enter_context(viewers.issuer_keys())
        for name in ("common", "functions", "bench"):
            compileall.compile_dir(ROOT / name, quiet=1)
        introduce(url, folder)
        served = stack.enter_context(contenders.started(folder, url, cluster.pid))
        measured = contenders.take_turns(served, rounds, seconds)
        report.tell_rounds(measured)
        starts_s = cold_starts(folder, starts)
        report.tell_cold_starts(starts_s)
        print("\nGoals")
        for goal in report.goals(measured, starts_s):
            print(goal)
    if failures := [failure for each in measured.values() for round_ in each for failure in round_.failures]:
        sys.exit(f"{len(failures)} requests failed, the first with:\n{failures[0].decode(errors='replace')}")


@contextmanager
def durable_database(folder: Path) -> Iterator[tuple[postgres.Cluster, str]]:
    """A new cluster that keeps what it has committed, and the functions' settings."""
    os.environ |= {"DATA_DIR": str(folder), "PORT": str(servers.free_port()), "THREADS": str(THREADS)}
    for name in ("JWT_ISSUER", "JWT_AUDIENCE", "JWKS_URL", "INSTANCE_CONNECTION_NAME"):
        os.environ.pop(name, None)
    with postgres.running(folder, pg_bin=local.pg_bin(), settings={"shared_buffers": "256MB"}) as cluster:
        url = cluster.dsn(local.DATABASE)
        migrate(url)
        local.configure(url)
        yield cluster, url
        db.pool().close()


def introduce(url: str, folder: Path) -> None:
    """Say what is measured on what."""
    with closing(db.direct(url, 60_000)) as connection:
        [[version, *durability]] = connection.run(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        )
    pinned = "servers on one, load and database on the other" if servers.ARE_PINNED else "NOT pinned to any"
    print(
        f"{platform.python_implementation()} {platform.python_version()}, PostgreSQL {version} with fsync and"
        f" synchronous_commit {' and '.join(durability)}; a sync of the disk takes {sync_ms(folder):.2f} ms\n"
        f"{os.cpu_count()} cores, {pinned}; {THREADS} threads, {CONNECTIONS} connections, {VIEWERS} viewers;"
        f" before the start the machine's load was {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def sync_ms(folder: Path) -> float:
    """How long the disk takes to keep 8 KiB: the least that a commit can take."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(50):
            file.seek(0)
            file.write(bytes(8192))
            began = perf_counter()
            os.fsync(file.fileno())
            took.append(perf_counter() - began)
    return median(took) * 1000


def cold_starts(folder: Path, starts: int) -> Mapping[str, list[float]]:
    """Of the hello-world and of each function that players call, so many, taking turns, after one that compiles.

    Raises:
        AssertionError: a function imported what only a deployment with a connector, or a job, needs.
    """
    endpoints = cold.player_functions()
    calls = {
        name: cold.call(name, endpoint, viewer)
        for (name, endpoint), viewer in zip(endpoints.items(), viewers.watching(len(endpoints)), strict=True)
    }
    for name, call in calls.items():
        assert not cold.imported_heavy(name, call), f"{name} imports {cold.imported_heavy(name, call)}"
    sources = {HELLO: (ROOT / "bench/hello.py", "hello")} | {name: (cold.source(name), name) for name in calls}
    calls[HELLO] = "GET", "/", "", b""
    took: dict[str, list[float]] = {name: [] for name in sources}
    for number in range(starts + 1):
        if sys.stderr.isatty():
            print(f"\rcold starts {number} of {starts} ", end="", file=sys.stderr, flush=True)
        for name, (source, target) in sources.items():
            seconds = cold.to_first_answer_s(source, target, calls[name], folder / "cold.log")
            if number:
                took[name].append(seconds)
    return took


if __name__ == "__main__":
    main()
