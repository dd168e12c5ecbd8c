"""Who is measured, and what each does in a round."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from bench import load, pgbench, servers, viewers
from infra import functions

ROOT = Path(__file__).parent.parent
THREADS = 4
CONNECTIONS = 8
VIEWERS = 200
LARGE = 300  # segments
LARGE_CONNECTIONS = 4
HELLO, HELLO_POSTS, OURS, PEER, PEER_HEARTBEAT, OURS_LARGE, PGBENCH = (
    "hello-world function",
    "  sent the same posts",
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
Contender = Callable[[float], Round]  # plays so many seconds


@contextmanager
def started(folder: Path, url: str, database: int) -> Iterator[Mapping[str, Contender]]:
    """The contenders by name, each served on the servers' core."""
    with ExitStack() as stack:

        def serve(name: str, port: int, command: Sequence[str]) -> int:
            server = stack.enter_context(servers.running(command, folder / f"{name}.log"))
            servers.wait_until_open(server, port)
            return server.pid

        def contender(pid: int, port: int, requests: Iterator[bytes], connections: int) -> Contender:
            return lambda seconds: play(pid, port, connections, seconds, requests, database)

        hello, ours, peer = servers.free_port(), servers.free_port(), servers.free_port()
        hello_pid = serve("hello", hello, servers.functions_framework(ROOT / "bench/hello.py", "hello", hello))
        ours_source = functions.FOLDER / "record_progress/main.py"
        ours_pid = serve("ours", ours, servers.functions_framework(ours_source, "record_progress", ours))
        uvicorn = [sys.executable, "-m", "uvicorn", "bench.peer:app", f"--app-dir={ROOT}", f"--port={peer}"]
        peer_pid = serve("peer", peer, [*uvicorn, "--loop=uvloop", "--http=httptools"])
        our_viewers, peers_viewers, some_viewers = (viewers.watching(VIEWERS) for _ in range(3))
        compare(our_viewers.pop(), ours, peers_viewers.pop(), peer)
        greetings = repeat(viewers.request("GET", "/"))
        large_posts = viewers.progress_posts(viewers.watching(VIEWERS), LARGE)
        contenders: dict[str, Contender] = {
            HELLO: contender(hello_pid, hello, greetings, CONNECTIONS),
            HELLO_POSTS: contender(hello_pid, hello, viewers.progress_posts(some_viewers, 3), CONNECTIONS),
            OURS: contender(ours_pid, ours, viewers.progress_posts(our_viewers, 3), CONNECTIONS),
            PEER: contender(peer_pid, peer, viewers.progress_posts(peers_viewers, 3), CONNECTIONS),
            PEER_HEARTBEAT: contender(peer_pid, peer, viewers.heartbeats(peers_viewers), CONNECTIONS),
            OURS_LARGE: contender(ours_pid, ours, large_posts, LARGE_CONNECTIONS),
        }
        if program := pgbench.find():
            script = pgbench.prepare(url, viewers.watching(VIEWERS), folder)
            contenders[PGBENCH] = lambda seconds: play_pgbench(program, script, url, seconds, database)
        else:
            print("No pgbench on this machine, so the statement is not measured alone.")
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


def take_turns(contenders: Mapping[str, Contender], rounds: int, seconds: float) -> Rounds:
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
