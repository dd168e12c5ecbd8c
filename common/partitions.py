"""Months of raw rows: those to come have their partitions before anybody needs them."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from common import db
from common.config import settings
from common.db import Row
from common.models import PartitionsMaintained

AHEAD = 3
SLACK = timedelta(days=2)  # upkeep that has not run for this long is late
MOVING_S = 60  # a statement may take so long: it moves what came while there was no partition


def maintain(dry_run: bool = False) -> PartitionsMaintained:
    """Make sure that this month and the next three have partitions, and move to theirs the rows that found none.

    Without them writing goes on, into the default partitions. A dry run says what is missing and changes nothing.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    now = datetime.now(UTC)
    this_month, *ahead = months_from(now)
    with closing(db.patient(max(settings().job_time_budget_s, MOVING_S))) as pool:
        there = {found["month"] for found in pool.many("list_months", Row)}
        astray = {found["month"]: found["events"] for found in pool.many("summarize_default", Row)}
        missing = ({this_month, *ahead} | {month for month in astray if month <= ahead[-1]}) - there
        made, busy, moved = [], 0, 0
        for month in sorted(missing):
            outcome, rows = ("made", astray.get(month, 0)) if dry_run else ensure(pool, month)
            made += [f"{month:%Y-%m}"] if outcome == "made" else []
            busy += outcome == "busy"
            moved += rows
    return PartitionsMaintained(
        months_made=made,
        months_ahead=len(there & set(ahead)),
        late_by=len(set(months_from(now - SLACK)) - there - {before(this_month)}),
        rows_in_default=sum(astray.values()),
        rows_moved=moved,
        more_to_do=busy > 0,
    )


def ensure(pool: db.Pool, month: date) -> tuple[str, int]:
    """Make sure of a month: what came of it (`there`, `made`, `busy`) and how many rows moved there."""
    ensured = pool.one("ensure_month", Row, month=month)
    return ensured["outcome"], ensured["rows_moved"]


def months_from(moment: datetime) -> list[date]:
    """The first days of the moment's month and of the ones after it that should be there.

    >>> [f"{month:%y-%m}" for month in months_from(datetime(2026, 11, 30))]
    ['26-11', '26-12', '27-01', '27-02']
    """
    months = [moment.date().replace(day=1)]
    while len(months) <= AHEAD:
        months.append(after(months[-1]))
    return months


def after(month: date) -> date:
    """The first day of the next month.

    >>> after(date(2026, 12, 1))
    datetime.date(2027, 1, 1)
    """
    return (month + timedelta(days=31)).replace(day=1)


def before(month: date) -> date:
    """The first day of the month before."""
    return (month - timedelta(days=1)).replace(day=1)
