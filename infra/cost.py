"""What it costs in the cloud by how much is watched: `python -m infra.cost [--check]` writes docs/cost.md.

What a viewer-hour takes was measured, what Google asks for it is a list of prices of one day; the rest is arithmetic.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import fill

from infra.standing import ROOT

PATH = ROOT / "docs/cost.md"
HOURS_OF_MONTH = 730
SECONDS_OF_MONTH = HOURS_OF_MONTH * 3600
GB = 1e9
GIB = 2**30
MILLION = 1e6

# What an hour of one viewer takes. Bytes were measured on PostgreSQL 18 with 120 viewers side by side, a post of one
# segment every ten seconds and a seek every five minutes; CPU is docs/performance.md's, of a post that has three.
POSTS = 360
OTHER_REQUESTS = 4  # start, progress read, close, complete
FUNCTION_CPU_S = 0.000_48  # of a request
DATABASE_CPU_S = 0.000_35
RAW_BYTES = 104_000  # of segments and seeks, indexes included
LASTING_BYTES = 3_000  # of session and attempt
WAL_BYTES = 272_000
ARCHIVED_BYTES = 7_800  # as Parquet
LOGGED_BYTES = 682 + 1_100 + 160  # of a request: the function's line, Cloud Run's, a tenth of the load balancer's
RECEIVED_BYTES, SENT_BYTES = 2_000, 900  # of a request, with its headers, a token and TLS

PEAK = 4  # times the mean: people watch in the daytime
UTILISATION = 0.6  # what an instance is filled to before there is another
BILLED_S = 0.1  # an instance that works is billed in such steps
MEMORY_GIB = 0.5  # of a function
RULES = 11  # of Cloud Armor, the one that nobody comes to included
ALWAYS_FREE = {"requests": 2e6, "vcpu_s": 180_000, "gib_s": 360_000, "log_gib": 50}

PRICES_OF = "June 2025"
PRICES: dict[str, tuple[float, str]] = {  # US dollars: Google's list, us-central1, without discounts
    "run vCPU": (0.000_024, "vCPU-second while a request is worked on"),
    "run memory": (0.000_002_5, "GiB-second likewise"),
    "run idle vCPU": (0.000_002_5, "vCPU-second of an instance that is kept and does nothing"),
    "run requests": (0.40, "million requests"),
    "sql vCPU": (30.15, "vCPU and month, edition Enterprise; twice that with a standby"),
    "sql memory": (5.11, "GiB and month; twice that with a standby"),
    "sql disk": (0.17, "GiB of SSD and month; twice that with a standby"),
    "sql backup": (0.08, "GiB and month"),
    "balancer": (18.25, "month, for up to five forwarding rules"),
    "balancer traffic": (0.008, "GiB in or out"),
    "armor policy": (5.00, "month"),
    "armor rule": (1.00, "rule and month"),
    "armor requests": (0.75, "million requests"),
    "internet": (0.12, "GiB to the internet"),
    "logs": (0.50, "GiB, after the first 50 of a month"),
    "archive": (0.004, "GiB and month in Coldline"),
    "scheduler": (0.10, "job and month"),
}


@dataclass(frozen=True)
class Step:
    """A size of deployment, and what it is set to."""

    hours: int  # of watching in a month
    vcpus: int
    memory_gib: float
    replica_vcpus: int
    replica_memory_gib: float
    kept_instances: int
    retention_days: int
    change: str


STEPS = (
    Step(
        1_000,
        vcpus=1,
        memory_gib=3.75,
        replica_vcpus=0,
        replica_memory_gib=0,
        kept_instances=0,
        retention_days=400,
        change="""The smallest database with a standby (`db-custom-1-3840`), no replica, no instance kept: the first
            request after a pause waits for a start. Months are **partitions** from the first day, so nothing has to be
            rebuilt later.""",
    ),
    Step(
        100_000,
        vcpus=4,
        memory_gib=16,
        replica_vcpus=2,
        replica_memory_gib=7.5,
        kept_instances=5,
        retention_days=400,
        change="""`environments/production.tfvars` as it is: a bigger database, a **read replica** for what only reads,
            and instances that are always awake for what a learner waits for.""",
    ),
    Step(
        10_000_000,
        vcpus=16,
        memory_gib=64,
        replica_vcpus=8,
        replica_memory_gib=32,
        kept_instances=30,
        retention_days=60,
        change="""A database for the peak, and `retention_days = 60`: older months are in the archive, where they cost a
            thousandth. A month of raw rows is a terabyte, so **partitions** of a week or a day are worth a migration.
            **Pooling** (Managed Connection Pooling, edition Enterprise Plus) is needed when the plan's connection
            arithmetic refuses the instances, not before. Log lines and Cloud Armor cost more than all CPU together:
            Cloud Run's own request log repeats the functions' and can be excluded.""",
    ),
)


def price(name: str) -> float:
    return PRICES[name][0]


def requests(step: Step) -> float:
    return step.hours * (POSTS + OTHER_REQUESTS)


def peak_cores(hours: float, cpu_s: float) -> float:
    """The cores that the busiest hours fill."""
    return hours * (POSTS + OTHER_REQUESTS) / SECONDS_OF_MONTH * PEAK * cpu_s


def database_gib(step: Step) -> float:
    """What lies in the database in the long run: raw rows for the retention, totals of ten years."""
    months = (step.retention_days + 30) / 30.4
    return step.hours * (RAW_BYTES * months + LASTING_BYTES * 120) / GIB


def busy_s(step: Step) -> float:
    """Seconds in a month in which instances are billed for work.

    When requests are rare each is billed the step it falls into; when there are many they share instances that are
    filled to the utilisation.
    """
    rate = requests(step) / SECONDS_OF_MONTH
    return SECONDS_OF_MONTH * max(1 - math.exp(-rate * BILLED_S), rate * FUNCTION_CPU_S / UTILISATION)


def items(step: Step) -> dict[str, float]:
    """What a month costs, item by item, in US dollars."""
    asked, gib = requests(step), database_gib(step)
    received, sent = asked * RECEIVED_BYTES / GIB, asked * SENT_BYTES / GIB
    kept_s = step.kept_instances * SECONDS_OF_MONTH
    replica = step.replica_vcpus * price("sql vCPU") + step.replica_memory_gib * price("sql memory")
    return {
        "Functions: CPU and memory": max(busy_s(step) - ALWAYS_FREE["vcpu_s"], 0) * price("run vCPU")
        + max(busy_s(step) * MEMORY_GIB - ALWAYS_FREE["gib_s"], 0) * price("run memory"),
        "Functions: instances kept awake": kept_s * (price("run idle vCPU") + MEMORY_GIB * price("run memory")),
        "Functions: requests": max(asked - ALWAYS_FREE["requests"], 0) / MILLION * price("run requests"),
        "Database: machine and standby": 2 * (step.vcpus * price("sql vCPU") + step.memory_gib * price("sql memory")),
        "Database: disk and standby": 2 * max(gib, 10) * price("sql disk"),
        "Database: replica": replica + (gib * price("sql disk") if step.replica_vcpus else 0),
        "Database: backups and log": (gib + 7 * step.hours * WAL_BYTES / 30.4 / GIB) * price("sql backup"),
        "Load balancer": price("balancer") + (received + sent) * price("balancer traffic"),
        "Cloud Armor": price("armor policy") + RULES * price("armor rule") + asked / MILLION * price("armor requests"),
        "Traffic to the internet": sent * price("internet"),
        "Logs": max(asked * LOGGED_BYTES / GIB - ALWAYS_FREE["log_gib"], 0) * price("logs"),
        "Archive, after three years": step.hours * 36 * ARCHIVED_BYTES / GIB * price("archive"),
        "Scheduler": 3 * price("scheduler"),
    }


def total(step: Step) -> float:
    return sum(items(step).values())


def largest(cores: int) -> float:
    """The viewer-hours a month at whose peak a database of so many cores is filled to the utilisation."""
    return cores * UTILISATION / peak_cores(1, DATABASE_CPU_S)


def text() -> str:
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    columns = f"| viewer-hours a month | {' | '.join(f'{step.hours:,}' for step in STEPS)} |"
    rule = f"|---|{'---:|' * len(STEPS)}"
    costs = [items(step) for step in STEPS]
    yield from ("# What it costs in the cloud", "", paragraph(INTRODUCTION), "", "## A month", "", columns, rule)
    for name in costs[0]:
        yield row(name, (cost[name] for cost in costs), 2)
    yield f"| **all** | {' | '.join(f'**{total(step):,.0f} $**' for step in STEPS)} |"
    yield f"| for 1,000 viewer-hours | {' | '.join(f'{total(step) / step.hours * 1000:,.2f} $' for step in STEPS)} |"
    yield from ("", paragraph(LEFT_OUT), "", "## What it has to bear", "", columns, rule)
    yield row("viewers at once, in the mean", (step.hours / HOURS_OF_MONTH for step in STEPS), 0)
    yield row("requests a second, at the peak", (requests(step) / SECONDS_OF_MONTH * PEAK for step in STEPS), 1)
    yield row("cores of functions, at the peak", (peak_cores(step.hours, FUNCTION_CPU_S) for step in STEPS), 2)
    yield row("cores of the database, at the peak", (peak_cores(step.hours, DATABASE_CPU_S) for step in STEPS), 2)
    yield row("log that the database writes, MB a second at the peak", (wal_mb_s(step) for step in STEPS), 2)
    yield row("raw rows of a month, GB", (step.hours * RAW_BYTES / GB for step in STEPS), 1)
    yield row("days that they stay in the database", (step.retention_days for step in STEPS), 0)
    yield row("in the database in the long run, GiB", (database_gib(step) for step in STEPS), 0)
    yield row("archive of a month, GB", (step.hours * ARCHIVED_BYTES / GB for step in STEPS), 2)
    yield from ("", "## What changes at each step", "")
    for step in STEPS:
        yield bullet(f"**{step.hours:,}**: {step.change}")
    yield bullet(BEYOND.format(utilisation=UTILISATION, of_16=millions(largest(16)), of_64=millions(largest(64))))
    yield from ("", "## What a viewer-hour takes", "", "| | | |", "|---|---:|---|")
    yield from (f"| {what} | {how_much} | {whence} |" for what, how_much, whence in taken())
    yield from ("", f"## Prices of {PRICES_OF}", "", "| | US dollars | for a |", "|---|---:|---|")
    for name, (amount, unit) in PRICES.items():
        yield f"| {name} | {f'{amount:.7f}'.rstrip('0') if amount < 0.01 else f'{amount:.2f}'} | {unit} |"


INTRODUCTION = f"""
    Written by `python -m infra.cost`; change the numbers there. A viewer-hour is one person watching for one hour, with
    a progress post every ten seconds. Prices are Google's list prices of {PRICES_OF} for us-central1 in US dollars,
    from memory and without discounts: **check them** before you decide anything by them. Other regions differ by up to
    a quarter."""
LEFT_OUT = """
    Not in it: the pipeline's build machines, a staging environment, metrics and uptime checks, support, and the
    videos."""
BEYOND = """
    **Beyond**: a database of 16 cores is filled to {utilisation:.0%} at the peak of {of_16} million viewer-hours a
    month, one of 64 at {of_64} million, if its disk keeps up with the log. Before that, the tables are **sharded by
    `user_id`**: it is in every key and in every statement of a player, and the one statement that writes was tried on
    Citus 14, where it runs on one shard unchanged. Cloud SQL has no Citus: that step means running PostgreSQL on
    machines of one's own, or an instance for each part of the users."""


def taken() -> Iterator[tuple[str, str, str]]:
    """What a viewer-hour takes, how much, and how that is known."""
    measured = "measured, see performance.md"
    yield "requests", f"{POSTS + OTHER_REQUESTS}", f"{POSTS} of them progress"
    yield "CPU of a function", f"{FUNCTION_CPU_S * 1000:.2f} ms a request", measured
    yield "CPU of the database", f"{DATABASE_CPU_S * 1000:.2f} ms a request", measured
    yield "raw rows", f"{RAW_BYTES / 1000:,.0f} kB", f"measured, with indexes; {RAW_BYTES / POSTS:.0f} bytes a segment"
    yield "session and attempt", f"{LASTING_BYTES / 1000:,.0f} kB", "measured"
    yield "log of the database", f"{WAL_BYTES / 1000:,.0f} kB", "measured"
    yield "archive", f"{ARCHIVED_BYTES / 1000:,.1f} kB", f"measured; {ARCHIVED_BYTES / POSTS:.0f} bytes a segment"
    yield (
        "log lines",
        f"{LOGGED_BYTES / 1000:,.1f} kB a request",
        "the function's measured (0.7 kB), Google's estimated",
    )
    wire = f"{RECEIVED_BYTES / 1000:.1f} kB in, {SENT_BYTES / 1000:.1f} kB out a request"
    yield "over the wire", wire, "estimated: headers and the token are most of it"
    yield "the busiest hours", f"{PEAK} times the mean", "estimated"


def paragraph(text: str) -> str:
    return fill(" ".join(text.split()), 120, break_on_hyphens=False)


def bullet(text: str) -> str:
    return fill(f"- {' '.join(text.split())}", 120, subsequent_indent="  ", break_on_hyphens=False)


def wal_mb_s(step: Step) -> float:
    return step.hours * WAL_BYTES / SECONDS_OF_MONTH * PEAK / 1e6


def row(name: str, numbers: Iterable[float], decimals: int) -> str:
    return f"| {name} | {' | '.join(f'{number:,.{decimals}f}' for number in numbers)} |"


def millions(hours: float) -> int:
    """
    >>> millions(48_700_000)
    48
    """
    return math.floor(hours / MILLION)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.cost", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not up to date")
    if not parser.parse_args().check:
        PATH.write_text(text(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != text():
        sys.exit("docs/cost.md is not up to date; write it again: python -m infra.cost")


if __name__ == "__main__":
    main()
