"""Recount every total from the raw record: `python -m infra.recount [--user USER] [--fix]`.

Prints a line for each stored value that is not what the raw rows come to. Nothing here lets the database add
up: raw rows are read a page at a time and summed in plain integers and lists of ranges, so that a mistake of the
service's statements cannot be made a second time.

It may run while the service does. A user is read in one snapshot, in which all that was committed agrees with itself;
what differs there is read again under the locks that the service takes, and only then reported, or written with
`--fix`.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from common import db
from common.db import Row
from infra import local
from infra.failures import FAILURES, told

TIMEOUT_MS = 600_000
USERS_PAGE = 1_000
EVENTS_PAGE = 10_000
GRACE_MS = 30_000  # what a session may claim beyond the time that has passed
POSITION = ("last_position_ms", "last_position_at")
OF_SEGMENTS = ("coverage", "effective_ms", "exceeds_wall_clock_ms", "segment_count", "rewatched", *POSITION)
OF_SEEKS = ("seek_count", "skip_count", "jumped_over")
NOTED = ("rewatched", "jumped_over")  # when a session ends: of an open one it is as stored
OF_ATTEMPT = ("coverage", "effective_ms", *POSITION)

Ranges = list[tuple[int, int]]  # [start, end), in the video's order, none touching another


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.recount",
        description="Recount every total from the raw record and print what differs.",
        epilog="The database is the one of DATABASE_URL, or the local one of DATA_DIR; the service may go on."
        " Exit code 0: nothing differs (any more); 1: something does; 2: it was not called right, or failed.",
    )
    parser.add_argument("--user", metavar="USER", help="only of this user (default: of everybody)")
    parser.add_argument("--fix", action="store_true", help="write what was recounted")
    chosen = parser.parse_args(arguments)
    try:
        with local.database() as url, closing(Recount(url, chosen.fix)) as recount:
            found = recount.everybody() if chosen.user is None else recount.user(chosen.user)
    except FAILURES as failure:
        parser.exit(2, f"{parser.prog}: {told(failure)}\n")
    except KeyboardInterrupt:
        parser.exit(2, f"{parser.prog}: stopped before the end\n")
    if chosen.user is not None and not found.attempts:
        parser.exit(2, f"{parser.prog}: nothing is recorded of the user {chosen.user!r}\n")
    print(found.summary())
    return 1 if found.wrong else 0


@dataclass(frozen=True)
class Difference:
    """A stored value that is not what the raw rows come to."""

    user_id: str
    what: str
    column: str
    stored: object
    recounted: object
    can_be_fixed: bool = False

    def __str__(self) -> str:
        return f"user {self.user_id}, {self.what}: {self.column} is {self.stored}, recounted {self.recounted}"


@dataclass
class Found:
    """What was read, and what of it differs."""

    users: int = 0
    sessions: int = 0
    attempts: int = 0
    segments: int = 0
    archived: int = 0  # sessions whose raw rows are gone
    wrong: int = 0  # values that differ and were not written
    fixed: int = 0
    differences: list[Difference] = field(default_factory=list)
    corrections: list[tuple[str, Row]] = field(default_factory=list)  # statements and their parameters

    def compare(
        self,
        what: str,
        stored: Row,
        recounted: Row,
        columns: Iterable[str],
        correction: str | None = None,
        **key: object,
    ) -> None:
        """Note which columns differ, and how to write them: the row's key comes with its `user_id`."""
        shown = {column: (written(stored[column]), written(recounted[column])) for column in columns}
        differing = {column: values for column, values in shown.items() if values[0] != values[1]}
        self.differences += [
            Difference(str(key["user_id"]), what, column, *values, correction is not None)
            for column, values in differing.items()
        ]
        if differing and correction:
            self.corrections.append((correction, {column: values[1] for column, values in shown.items()} | key))

    def add(self, other: "Found") -> None:
        """Add the numbers of another part; what differs there was reported."""
        for name in ("users", "sessions", "attempts", "segments", "archived", "wrong", "fixed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def summary(self) -> str:
        verdict = [f"{self.fixed} values fixed"] if self.fixed else []
        verdict += [f"{self.wrong} values differ"] if self.wrong else []
        archived = f" ({self.archived} archived sessions without their raw rows: as stored)" if self.archived else ""
        return (
            f"{self.users} users, {self.sessions} sessions, {self.attempts} attempts, {self.segments} segments: "
            f"{', '.join(verdict) or 'clean'}{archived}"
        )


class Recount:
    """A recount on a connection of its own."""

    def __init__(self, url: str, fix: bool = False) -> None:
        self._connection = db.direct(url, TIMEOUT_MS)
        self._connection.register_in_adapter(db.TIMESTAMPTZ_OID, datetime.fromisoformat)  # the fast way
        self._statements: dict[str, Any] = {}
        self._partitions: dict[int, str] = {}
        self._fix = fix

    def close(self) -> None:
        self._connection.close()

    def everybody(self) -> Found:
        total = Found()
        with bar(lambda: int(self._rows("count_users")[0]["users"])) as show:
            for user_id in self._users():
                total.add(self.user(user_id))
                show(total.users)
        strays = [
            Difference(row["user_id"], f"session {row['session_id']}", "raw rows", row["events"], "no such session")
            for row in self._rows("list_strays")
        ]
        total.wrong += report(strays)
        return total

    def user(self, user_id: str) -> Found:
        """Recount a user; what differs is printed, and written if that was asked for."""
        found = self.look(user_id)
        return self._settle(user_id) if found.differences else found

    def look(self, user_id: str) -> Found:
        """What differs in one snapshot: no lock is taken, and nobody waits."""
        with self._transaction("ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            attempts = self._rows("list_attempts", user_id=user_id)
            return self._compare(user_id, attempts, self._rows("list_sessions", user_id=user_id))

    def _settle(self, user_id: str) -> Found:
        """Look again at what can be locked: first the attempts and then the sessions, as the service does."""
        with self._transaction(""):
            locked = {row["attempt_id"] for row in self._rows("lock_attempts_of_user", user_id=user_id)}
            locked |= {row["session_id"] for row in self._rows("lock_sessions_of_user", user_id=user_id)}
            attempts = [row for row in self._rows("list_attempts", user_id=user_id) if row["attempt_id"] in locked]
            sessions = [row for row in self._rows("list_sessions", user_id=user_id) if row["session_id"] in locked]
            found = self._compare(user_id, attempts, sessions)
            if self._fix:
                for name, parameters in found.corrections:
                    self._rows(name, **parameters)
        if self._fix:
            found.fixed = report((d for d in found.differences if d.can_be_fixed), "; fixed")
            found.wrong = report((d for d in found.differences if not d.can_be_fixed), "; not to be fixed from here")
        else:
            found.wrong = report(found.differences)
        return found

    def _compare(self, user_id: str, attempts: list[Row], sessions: list[Row]) -> Found:
        found = Found(users=1, sessions=len(sessions), attempts=len(attempts))
        counts_in: dict[UUID, list[Row]] = defaultdict(list)
        for stored in sessions:
            recounted = stored | self._recount(user_id, stored, found)
            if stored["status"] != "open":
                for attempt_id in {stored["attempt_id"], stored["credited_attempt_id"]} - {None}:
                    counts_in[attempt_id].append(recounted)
        active = Counter(attempt["lesson_id"] for attempt in attempts if attempt["status"] == "active")
        for stored in attempts:
            what, key = f"attempt {stored['attempt_id']}", {"attempt_id": stored["attempt_id"], "user_id": user_id}
            stored["coverage"] = ranges(stored["coverage"])
            total = of_attempt(stored, counts_in[stored["attempt_id"]])
            found.compare(what, stored, total, OF_ATTEMPT, "correct_attempt", **key)
            if stored["status"] == "active" and active[stored["lesson_id"]] > 1:
                found.compare(what, stored, {"status": "one of several active ones"}, ["status"], **key)
        return found

    def _recount(self, user_id: str, stored: Row, found: Found) -> Row:
        """A session's totals; an archived one's that have no raw rows any more are as stored."""
        what, key = f"session {stored['session_id']}", {"session_id": stored["session_id"], "user_id": user_id}
        stored |= {column: ranges(stored[column]) for column in ("coverage", *NOTED)}
        count = SessionCount(stored["started_at"])
        partitions = set()
        for segment in self._events("list_segments", **key):
            partitions.add(segment["partition_oid"])
            played = {"effective_ms": count.add_segment(segment)}
            if segment["effective_ms"] != played["effective_ms"]:
                event = {"client_event_id": segment["client_event_id"]} | key
                of_event = f"{what}, segment {segment['client_event_id']}"
                found.compare(of_event, segment, played, played, "correct_segment", **event)
        for seek in self._events("list_seeks", **key):
            partitions.add(seek["partition_oid"])
            count.add_seek(seek)
        total = count.total()
        found.segments += total["segment_count"]
        if stored["status"] == "open":
            total |= {column: stored[column] for column in NOTED}
        if stored["archived_at"]:
            groups = {"segment_count": OF_SEGMENTS, "seek_count": OF_SEEKS}
            gone = [columns for count_of, columns in groups.items() if stored[count_of] and not total[count_of]]
            total |= {column: stored[column] for columns in gone for column in columns}
            found.archived += bool(gone)
        found.compare(what, stored, total, OF_SEGMENTS + OF_SEEKS, "correct_session", **key)
        for name in sorted(self._partition(oid) for oid in partitions):
            table, _, month = name.rpartition("_")
            right = month if month == "default" else f"{began(stored['session_id']):%Y%m}"
            found.compare(what, {"partition": name}, {"partition": f"{table}_{right}"}, ["partition"], **key)
        return total

    def _users(self) -> Iterator[str]:
        after = ""
        while page := self._rows("list_users", after=after, limit=USERS_PAGE):
            yield from (row["user_id"] for row in page)
            after = page[-1]["user_id"]

    def _events(self, name: str, **key: object) -> Iterator[Row]:
        """A session's events, in the order of their ids."""
        first = 0
        while first < 1 << 128:
            page = self._rows(name, first=UUID(int=first), limit=EVENTS_PAGE, **key)
            yield from page
            if len(page) < EVENTS_PAGE:
                return
            first = page[-1]["client_event_id"].int + 1

    def _partition(self, oid: int) -> str:
        if oid not in self._partitions:
            self._partitions = {row["partition_oid"]: row["name"] for row in self._rows("list_partitions")}
        return self._partitions[oid]

    def _rows(self, name: str, **parameters: object) -> list[Row]:
        """The rows of a statement of `infra/sql`, prepared once."""
        if name not in self._statements:
            text = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
            code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
            self._statements[name] = self._connection.prepare(code)
        statement = self._statements[name]
        rows = statement.run(**parameters) or []
        columns = [column["name"] for column in statement.columns or ()]
        return [dict(zip(columns, values, strict=True)) for values in rows]

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[None]:
        self._connection.run(f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            self._connection.run("ROLLBACK")
            raise
        self._connection.run("COMMIT")


class SessionCount:
    """A session's raw rows, counted one by one in any order."""

    def __init__(self, started_at: datetime) -> None:
        self._started_at = started_at
        self._seen: Ranges = []  # one over another where something was seen again
        self._jumps: Ranges = []
        self._played_by: Counter[datetime] = Counter()  # milliseconds, by the moment of the write that brought them
        self._latest: tuple[datetime, datetime, datetime, int] | None = None
        self._segments = self._seeks = self._skips = 0

    def add_segment(self, segment: Row) -> int:
        """Count a segment, and tell the time that it took.

        The latest position is where the segment ended that was played last; a clock of the client that is ahead
        counts no more than the service's. Among equals it is the one that was recorded last.
        """
        start_ms, end_ms, recorded_at = segment["start_ms"], segment["end_ms"], segment["recorded_at"]
        time_ms = played_ms(end_ms - start_ms, segment["speed"])
        self._segments += 1
        self._seen.append((start_ms, end_ms))
        if self._segments % EVENTS_PAGE == 0:
            self._seen = union(self._seen) + doubled(self._seen)
        self._played_by[recorded_at] += time_ms
        occurred_at = segment["occurred_at"]
        position = (min(occurred_at, recorded_at), recorded_at, occurred_at, end_ms)
        self._latest = max(self._latest or position, position)
        return time_ms

    def add_seek(self, seek: Row) -> None:
        self._seeks += 1
        if seek["is_skip"]:
            self._skips += 1
            self._jumps.append((seek["from_ms"], seek["to_ms"]))

    def total(self) -> Row:
        return {
            "coverage": union(self._seen),
            "effective_ms": self._played_by.total(),
            "exceeds_wall_clock_ms": exceeds_ms(self._started_at, self._played_by),
            "segment_count": self._segments,
            "seek_count": self._seeks,
            "skip_count": self._skips,
            "rewatched": doubled(self._seen),
            "jumped_over": union(self._jumps),
            "last_position_ms": self._latest[3] if self._latest else None,
            "last_position_at": self._latest[0] if self._latest else None,
        }


def of_attempt(attempt: Row, ended: Iterable[Row]) -> Row:
    """An attempt's totals: of its own ended sessions, if it is assigned of the assigned ones, and of the credited."""
    own: list[Row] = []
    credited: list[Row] = []
    for session in ended:
        if attempt["is_assigned"] and session["credited_attempt_id"] == attempt["attempt_id"]:
            credited.append(session)
        elif session["attempt_id"] == attempt["attempt_id"] and (session["is_assigned"] or not attempt["is_assigned"]):
            own.append(session)
    credit = union(part for session in credited for part in session["coverage"])
    if attempt["credit_limit_ms"] is not None:
        credit = first_ms(credit, attempt["credit_limit_ms"])
    positions = [
        (session["last_position_at"], session["session_id"], session["last_position_ms"])
        for session in own + credited
        if session["last_position_at"]
    ]
    at, _, ms = max(positions, default=(None, None, None))
    return {
        "coverage": union([*credit, *(part for session in own for part in session["coverage"])]),
        "effective_ms": sum(session["effective_ms"] for session in own + credited),
        "last_position_ms": ms,
        "last_position_at": at,
    }


def union(parts: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges put together; those that touch become one.

    >>> union([(5, 9), (0, 3), (3, 4), (6, 7)])
    [(0, 4), (5, 9)]
    """
    joined: Ranges = []
    for start, end in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def doubled(parts: Iterable[tuple[int, int]]) -> Ranges:
    """Where two or more ranges lie over one another.

    >>> doubled([(0, 5), (3, 9), (4, 6), (6, 7), (9, 10)])
    [(3, 7)]
    """
    steps: Counter[int] = Counter()
    for start, end in parts:
        steps[start] += 1
        steps[end] -= 1
    found: Ranges = []
    depth = 0
    for place in sorted(steps):
        before, depth = depth, depth + steps[place]
        if before < 2 <= depth:
            found.append((place, place))
        elif depth < 2 <= before:
            found[-1] = found[-1][0], place
    return found


def first_ms(parts: Ranges, limit_ms: int) -> Ranges:
    """The first so many milliseconds of ranges.

    >>> first_ms([(0, 4), (5, 9)], 6)
    [(0, 4), (5, 7)]
    """
    kept: Ranges = []
    for start, end in parts:
        if limit_ms > 0:
            kept.append((start, min(end, start + limit_ms)))
        limit_ms -= end - start
    return kept


def played_ms(length_ms: int, speed: Decimal) -> int:
    """The time that a length took at a speed; half a millisecond rounds to even.

    >>> [played_ms(length_ms, Decimal(2)) for length_ms in (4, 5, 7)]
    [2, 2, 4]
    """
    return round(length_ms / exact(speed))


@lru_cache(maxsize=1_000)
def exact(speed: Decimal) -> Fraction:
    return Fraction(speed)


def exceeds_ms(started_at: datetime, played_by: Mapping[datetime, int]) -> int:
    """By how much the time played ever went beyond the time that had passed and the grace; 0 if it never did.

    >>> start, second = datetime(2026, 1, 1), timedelta(seconds=1)
    >>> exceeds_ms(start, {start + 20 * second: 5_000, start + 10 * second: 41_000})
    1000
    """
    played = exceeds = 0
    for moment, more in sorted(played_by.items()):
        played += more
        exceeds = max(exceeds, played - GRACE_MS - (moment - started_at) // timedelta(milliseconds=1))
    return exceeds


def ranges(text: str) -> Ranges:
    """Ranges from the way PostgreSQL writes them.

    >>> ranges("{[0,4),[5,9)}")
    [(0, 4), (5, 9)]
    """
    return [(int(start), int(end)) for start, end in re.findall(r"\[(\d+),(\d+)\)", text)]


def written(value: object) -> object:
    """Ranges the way PostgreSQL writes them, anything else as it is.

    >>> written([(0, 4), (5, 9)])
    '{[0,4),[5,9)}'
    """
    return "{" + ",".join(f"[{start},{end})" for start, end in value) + "}" if isinstance(value, list) else value


def began(session_id: UUID) -> datetime:
    """When a session began, as its id (UUIDv7) tells.

    >>> f"{began(UUID('019b7e5a-bc00-7000-8000-000000000000')):%Y-%m-%d}"
    '2026-01-02'
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=session_id.int >> 80)


def report(differences: Iterable[Difference], remark: str = "") -> int:
    """Print differences, and tell how many."""
    lines = [f"{difference}{remark}" for difference in differences]
    for line in lines:
        clear_bar()
        print(line, flush=True)
    return len(lines)


@contextmanager
def bar(count: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal; what is to be done is counted only then."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    total = count()

    def show(done: int) -> None:
        width = min(30, 30 * done // max(total, 1))
        print(f"\r{'█' * width}{'░' * (30 - width)} {done} of {total} users ", end="", file=sys.stderr, flush=True)

    yield show
    clear_bar()


def clear_bar() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
