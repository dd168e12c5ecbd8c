"""Run a job by hand, as the scheduler runs it: `python -m infra.jobs JOB [--dry-run] [--json]`.

Each may run twice at once, be stopped anywhere and run again. It stops by itself after JOB_TIME_BUDGET_S (240)
seconds. The database is the one of DATABASE_URL, or the local one of DATA_DIR.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from common.models import Answer
from infra import local, signals
from infra.failures import FAILURES, told

DONE, FAILED, WORK_LEFT = 0, 1, 3
EXIT_CODES = "Exit code 0: done; 1: it failed; 2: it was not called right; 3: there is work left, run it again."


class Bar:
    """A progress bar on stderr, if that is a terminal."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int, what: str) -> None:
        if self.is_shown:
            width = 30 * min(done, total) // max(total, 1)
            line = f"{'█' * width}{'░' * (30 - width)} {done:,} of {total:,} {what}"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Job:
    what: str
    run: Callable[[bool, Bar], Answer]


def sweep_stale_sessions(dry_run: bool, bar: Bar) -> Answer:
    from common import sweeping

    total = sweeping.sweep(dry_run=True).stale if bar.is_shown else 0
    return sweeping.sweep(dry_run, lambda stale: bar(stale, total, "sessions"))


def archive_segments(dry_run: bool, bar: Bar) -> Answer:
    from common import archive

    return archive.run(dry_run, lambda month, events, total: bar(events, total, f"events of {month}"))


def maintain_partitions(dry_run: bool, bar: Bar) -> Answer:
    from common import partitions

    return partitions.maintain(dry_run)


# Each imports its own: pyarrow is needed by one of them and takes a while.
JOBS = {
    "sweep-stale-sessions": Job("end the sessions that gave no sign of life for five minutes", sweep_stale_sessions),
    "archive-segments": Job("bring the months whose RETENTION_DAYS are over to ARCHIVE_URL", archive_segments),
    "maintain-partitions": Job("make sure that the months to come have their partitions", maintain_partitions),
}


def main(arguments: Sequence[str] | None = None) -> int:
    description, _, details = (__doc__ or "").partition("\n\n")
    jobs = "\n".join(f"  {name:<22}{job.what}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="python -m infra.jobs",
        description=description,
        epilog=f"jobs:\n{jobs}\n\n{details}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", choices=JOBS, metavar="JOB", help="one of the jobs below")
    parser.add_argument("--dry-run", action="store_true", help="tell what there is to do, and change nothing")
    parser.add_argument("--json", action="store_true", help="print what it did, in numbers, as JSON")
    chosen = parser.parse_args(arguments)
    bar = Bar()
    try:
        with local.database() as url:
            local.configure(url)
            did = JOBS[chosen.job].run(chosen.dry_run, bar)
    except FAILURES as failure:
        bar.clear()
        print(f"{parser.prog}: {told(failure)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:  # Ctrl-C, or what `stop` makes of another signal
        bar.clear()
        print(f"{parser.prog}: stopped; the next run goes on from here", file=sys.stderr)
        return WORK_LEFT
    bar.clear()
    if chosen.json:
        print(did.model_dump_json(by_alias=True))
    else:
        print(f"{chosen.job}{' (dry run: nothing was changed)' if chosen.dry_run else ''}\n{summary(did)}")
    return WORK_LEFT if getattr(did, "more_to_do", False) else DONE


def summary(did: Answer) -> str:
    """What a job did, a line for each number."""
    names = {name: name.replace("_", " ") for name, _ in did}
    width = max(map(len, names.values())) + 2
    return "\n".join(f"{names[name]:<{width}}{shown(value)}" for name, value in did)


def shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(shown, value)) or "none"
        case Answer():
            return " ".join(shown(part) for _, part in value)
    return str(value)


def stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in signals.ENDING:
        signal.signal(number, stop)
    sys.exit(main())
