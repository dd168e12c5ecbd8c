"""How fast Watchledger is, beside what it stands on and what else it could have been: `python -m bench [--quick]`.

Everything is measured in one run on one machine, in short rounds that take turns (A B C, C B A, …), so that what else
the machine does meets all alike. The server under measurement has a core of its own; the load and PostgreSQL have the
others. Told are medians over the rounds; a ratio is the median of each round's own.
"""

import argparse
import compileall
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import cold, load, pgbench, servers, viewers
from common import db
from infra import local, postgres
from infra.migrate import migrate

ROOT = Path(__file__).parent.parent
DISK = "/var/tmp"  # /tmp may be memory, where a commit costs nothing
THREADS = "4"
CONNECTIONS = 8
VIEWERS = 200
LARGE = 300  # segments
LARGE_CONNECTIONS = 4
POSTS_PER_MINUTE = 6  # of a viewer; a progress post is a sign of life too
HEARTBEATS_PER_MINUTE = 2  # of the peer's viewer, besides
HELLO, OURS, PEER, PEER_HEARTBEAT, OURS_LARGE, PGBENCH = (
    "hello-world function",
    "record_progress",
    "peer: progress",
    "peer: heartbeat",
    f"record_progress, {LARGE} segments",
    "pgbench, the statement",
)


@dataclass(frozen=True)
class Round:
    """What one contender did in one round; CPU times are per request."""

    per_second: float
    p50_ms: float
    p99_ms: float | None
    server_us: float
    database_us: float
    failures: Sequence[bytes] = ()


Rounds = Mapping[str, list[Round]]


@dataclass(frozen=True)
class Goal:
    what: str
    value: float
    bar: float
    at_least: bool = False
    unit: str = ""

    def __str__(self) -> str:
        is_reached = self.value >= self.bar if self.at_least else self.value <= self.bar
        digits = 0 if self.bar >= 100 else 2
        return (
            f"  {'reached' if is_reached else 'MISSED ':8} {self.value:>9,.{digits}f}{self.unit}"
            f" {'≥' if self.at_least else '≤'} {self.bar:,.{digits}f}{self.unit}  {self.what}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split(":")[0])
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
        contenders = stack.enter_context(started(folder, url, cluster.pid))
        measured = take_turns(contenders, rounds, seconds)
        tell_rounds(measured)
        starts_s = cold_starts(folder, starts)
        tell_cold_starts(starts_s)
        print("\nGoals")
        for goal in goals(measured, starts_s):
            print(goal)
    if failures := [failure for each in measured.values() for round_ in each for failure in round_.failures]:
        sys.exit(f"{len(failures)} requests failed, the first with:\n{failures[0].decode(errors='replace')}")


@contextmanager
def durable_database(folder: Path) -> Iterator[tuple[postgres.Cluster, str]]:
    """A new cluster that keeps what it has committed, and the functions' settings."""
    os.environ |= {"DATA_DIR": str(folder), "PORT": str(servers.free_port()), "THREADS": THREADS}
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
    pinned = "servers on one, load and database on the other"
    print(
        f"{platform.python_implementation()} {platform.python_version()}, PostgreSQL {version} with fsync and"
        f" synchronous_commit {' and '.join(durability)}; a sync of the disk takes {sync_ms(folder):.2f} ms\n"
        f"{os.cpu_count()} cores, {pinned if servers.ARE_PINNED else 'NOT pinned: ratios are worth less'};"
        f" {THREADS} threads, {CONNECTIONS} connections, {VIEWERS} viewers"
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


@contextmanager
def started(folder: Path, url: str, database: int) -> Iterator[dict[str, Callable[[float], Round]]]:
    """The contenders by name, each with what plays a round of so many seconds."""
    with ExitStack() as stack:

        def serve(name: str, port: int, command: Sequence[str]) -> int:
            server = stack.enter_context(servers.running(command, folder / f"{name}.log"))
            servers.wait_until_open(server, port)
            return server.pid

        def contender(pid: int, port: int, requests: Iterator[bytes], connections: int) -> Callable[[float], Round]:
            return lambda seconds: play(pid, port, connections, seconds, requests, database)

        hello, ours, peer = servers.free_port(), servers.free_port(), servers.free_port()
        hello_pid = serve("hello", hello, servers.functions_framework(ROOT / "bench/hello.py", "hello", hello))
        ours_source = cold.source("record_progress")
        ours_pid = serve("ours", ours, servers.functions_framework(ours_source, "record_progress", ours))
        uvicorn = [sys.executable, "-m", "uvicorn", "bench.peer:app", f"--app-dir={ROOT}", f"--port={peer}"]
        peer_pid = serve("peer", peer, [*uvicorn, "--loop=uvloop", "--http=httptools", "--no-access-log"])
        our_viewers, peers_viewers = viewers.watching(VIEWERS), viewers.watching(VIEWERS)
        compare(our_viewers.pop(), ours, peers_viewers.pop(), peer)
        greetings = repeat(viewers.request("GET", "/"))
        large_posts = viewers.progress_posts(viewers.watching(VIEWERS), LARGE)
        contenders = {
            HELLO: contender(hello_pid, hello, greetings, CONNECTIONS),
            OURS: contender(ours_pid, ours, viewers.progress_posts(our_viewers, 3), CONNECTIONS),
            PEER: contender(peer_pid, peer, viewers.progress_posts(peers_viewers, 3), CONNECTIONS),
            PEER_HEARTBEAT: contender(peer_pid, peer, viewers.heartbeats(peers_viewers), CONNECTIONS),
            OURS_LARGE: contender(ours_pid, ours, large_posts, LARGE_CONNECTIONS),
        }
        if program := pgbench.find():
            script = pgbench.prepare(url, viewers.watching(VIEWERS), folder)
            contenders[PGBENCH] = lambda seconds: play_pgbench(program, script, url, seconds, database)
        else:
            print("This machine has no pgbench: the statement is not measured alone.")
        yield contenders


def compare(ours: viewers.Viewer, our_port: int, peers: viewers.Viewer, peers_port: int) -> None:
    """Make sure that both answer the same posts alike, a leap and a replay among them.

    Raises:
        AssertionError: they do not.
    """
    for start, lands in ((0, 8), (8, 38), (38, 36), (36, 56), (5, 3)):
        body = viewers.progress(start, 3, lands)
        told = [
            json.loads(load.ask(port, viewers.post(viewer, body)).partition(b"\r\n\r\n")[2])
            for port, viewer in ((our_port, ours), (peers_port, peers))
        ]
        alike = [{k: v for k, v in answer.items() if k not in ("sessionId", "attemptId")} for answer in told]
        assert alike[0] == alike[1], alike


def play(pid: int, port: int, connections: int, seconds: float, requests: Iterator[bytes], database: int) -> Round:
    """A round of requests to a server."""
    server_s, database_s = servers.cpu_seconds(pid), servers.cpu_seconds(database)
    did = load.run(port, connections, seconds, requests)
    count = len(did.latencies_s)
    return Round(
        did.per_second,
        did.percentile_ms(50),
        did.percentile_ms(99),
        (servers.cpu_seconds(pid) - server_s) / count * 1e6,
        (servers.cpu_seconds(database) - database_s) / count * 1e6,
        did.failures,
    )


def play_pgbench(program: Path, script: Path, url: str, seconds: float, database: int) -> Round:
    database_s = servers.cpu_seconds(database)
    did = pgbench.run(program, script, url, round(seconds))
    used_us = (servers.cpu_seconds(database) - database_s) / did.transactions * 1e6
    return Round(did.per_second, did.latency_ms, None, 0, used_us)


def take_turns(contenders: Mapping[str, Callable[[float], Round]], rounds: int, seconds: float) -> Rounds:
    """Warm everybody up; then rounds, every second one in the other order."""
    for contender in contenders.values():
        contender(1)
    measured: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(rounds):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            measured[name].append(contenders[name](seconds))
    return measured


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


def middle(rounds: Sequence[Round], what: Callable[[Round], float]) -> float:
    return median(map(what, rounds))


def ratio(ours: Sequence[Round], theirs: Sequence[Round], what: Callable[[Round], float]) -> float:
    return median(what(a) / what(b) for a, b in zip(ours, theirs, strict=True))


def tell_rounds(measured: Rounds) -> None:
    print(f"\n{'':32}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'server µs':>11}{'database µs':>13}{'failed':>8}")
    for name, rounds in measured.items():
        p99 = "" if name == PGBENCH else f"{middle(rounds, lambda r: r.p99_ms or 0):.1f}"
        server = "" if name == PGBENCH else f"{middle(rounds, lambda r: r.server_us):,.0f}"
        print(
            f"{name:32}{middle(rounds, lambda r: r.per_second):12,.0f}{middle(rounds, lambda r: r.p50_ms):9.1f}{p99:>9}"
            f"{server:>11}{middle(rounds, lambda r: r.database_us):13,.0f}{sum(len(r.failures) for r in rounds):8}"
        )


def tell_cold_starts(took: Mapping[str, list[float]]) -> None:
    hello = median(took[HELLO])
    print("\nFrom the start of the process to the first answer, ms (and over hello-world's)")
    for name, seconds in sorted(took.items(), key=lambda item: median(item[1])):
        print(f"  {name:30}{median(seconds) * 1000:6.0f}{(median(seconds) - hello) * 1000:+8.0f}")
    print(f"  none of {', '.join(cold.HEAVY)} imported")


def goals(measured: Rounds, starts_s: Mapping[str, list[float]]) -> Iterator[Goal]:
    hello, ours, large = measured[HELLO], measured[OURS], measured[OURS_LARGE]
    yield Goal("of hello-world's requests per second", ratio(ours, hello, lambda r: r.per_second), 0.55, at_least=True)
    yield Goal("times hello-world's CPU in the function", ratio(ours, hello, lambda r: r.server_us), 1.7)
    a_minute = [(r.server_us + r.database_us) * POSTS_PER_MINUTE for r in ours]
    peers_minute = [
        (p.server_us + p.database_us) * POSTS_PER_MINUTE + (h.server_us + h.database_us) * HEARTBEATS_PER_MINUTE
        for p, h in zip(measured[PEER], measured[PEER_HEARTBEAT], strict=True)
    ]
    yield Goal(
        f"times the peer's CPU of server and database per viewer-minute (per 1,000: {median(a_minute) / 1e3:.1f} s,"
        f" the peer's {median(peers_minute) / 1e3:.1f} s)",
        median(a / b for a, b in zip(a_minute, peers_minute, strict=True)),
        0.6,
    )
    slowest = max((name for name in starts_s if name != HELLO), key=lambda name: median(starts_s[name]))
    over = median(a - b for a, b in zip(starts_s[slowest], starts_s[HELLO], strict=True)) * 1000
    yield Goal(f"over hello-world's cold start: {slowest}, the slowest", over, 120, unit=" ms")
    segments = median(r.per_second * LARGE for r in large)
    yield Goal(f"segments a second in posts of {LARGE}, {LARGE_CONNECTIONS} connections", segments, 50_000, True)
    yield Goal("p50 of such a post", middle(large, lambda r: r.p50_ms), 20, unit=" ms")


if __name__ == "__main__":
    main()
