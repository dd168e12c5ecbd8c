"""Tries at a lesson: completed when enough of it was watched."""

from uuid import UUID

from common import db
from common.auth import Caller, Role
from common.db import Row
from common.errors import AttemptBelowThreshold, AttemptNotFound
from common.models import AttemptCompleted


def complete(caller: Caller, attempt_id: UUID) -> AttemptCompleted:
    """Complete an attempt; a completed one stays as it is.

    Raises:
        AttemptNotFound: the caller has no attempt with this id.
        AttemptBelowThreshold: less was watched than the lesson's `completionThreshold` asks for.
    """
    if caller.role is Role.PLAYER:
        return complete_of(attempt_id, caller.user_id)
    found = db.maybe("find_attempt_owner", Row, attempt_id=attempt_id)
    if found is None:
        raise AttemptNotFound
    return complete_of(attempt_id, found["user_id"])


@db.transaction
def complete_of(tx: db.Tx, attempt_id: UUID, user_id: str) -> AttemptCompleted:
    attempt = {"attempt_id": attempt_id, "user_id": user_id}
    if tx.maybe("lock_attempt", Row, **attempt) is None:
        raise AttemptNotFound
    total = tx.one("summarize_attempt", Row, **attempt)
    threshold, ratio = total["completion_threshold"], total["completion_ratio"]
    if total["status"] != "completed" and threshold is not None and (ratio is None or ratio < threshold):
        raise below(ratio, threshold, total["completion_missing"])
    completed = tx.one("complete_attempt", Row, **attempt)
    return AttemptCompleted(
        **completed,
        coverage_ratio=total["coverage_ratio"],
        coverage_ms=total["coverage_ms"],
        effective_ms=total["effective_ms"],
    )


def below(ratio: float | None, threshold: float, missing: list[list[int]] | None) -> AttemptBelowThreshold:
    """By how much an attempt falls short.

    >>> below(0.25, 0.9, [[2_500, 10_000]]).detail
    'A ratio of 0.9 is needed and 0.25 is covered: 0.65 is missing.'
    >>> below(0.999999, 1, [[5_000, 5_001]]).detail
    'A ratio of 1 is needed and 0.999999 is covered: 0.000001 is missing.'
    """
    return AttemptBelowThreshold(
        "The lesson's duration is not known, so no ratio can be told."
        if ratio is None
        else f"A ratio of {plain(threshold)} is needed and {plain(ratio)} is covered: "
        f"{plain(threshold - ratio)} is missing.",
        coverageRatio=ratio,
        completionThreshold=threshold,
        missingRanges=None if missing is None else [[start / 1000, end / 1000] for start, end in missing],
    )


def plain(ratio: float) -> str:
    """A ratio of six decimals, without the zeros at its end."""
    return f"{ratio:.6f}".rstrip("0").rstrip(".")
