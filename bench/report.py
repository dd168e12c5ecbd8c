"""What was measured, as tables, and whether it is enough."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cold import HEAVY
from bench.contenders import (
    HELLO,
    LARGE,
    LARGE_CONNECTIONS,
    OURS,
    OURS_LARGE,
    PEER,
    PEER_HEARTBEAT,
    PGBENCH,
    Round,
    Rounds,
)

POSTS_PER_MINUTE = 6  # of a viewer; a progress post is a sign of life too
HEARTBEATS_PER_MINUTE = 2  # of the peer's viewer, besides


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
    print(f"  none of {', '.join(HEAVY)} imported")


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
