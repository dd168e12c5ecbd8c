"""Assignments, and what was watched before them, counted toward the attempt.

Who changes which sessions count in an attempt locks all attempts of the user at the lesson first, as who ends a
session does: so each sees what the other has done, and the totals are the sum of both.
"""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from common import db
from common.db import Row
from common.errors import DatabaseUnavailable, UserNotFound
from common.models import AssignLesson, LessonAssigned, LessonUnassigned

RACES = 8


def assign(user_id: str, lesson_id: str, request: AssignLesson | None) -> LessonAssigned:
    """Make the user's current attempt at a lesson an assigned one, and credit what was watched before.

    The current attempt is the latest if it is active or assigned already; else one is made. Credited is every
    unassigned session that started within the lesson's `creditWindowDays` before the assignment (or after it) and
    is not credited yet, up to `maxCreditRatio` of the duration. Assigning what is assigned changes nothing.
    """
    assigned_at = request.assigned_at if request else None
    for _ in range(RACES):
        assigned = assign_once(user_id, lesson_id, assigned_at)
        if assigned is not None:
            return assigned
        db.maybe("add_lesson", Row, lesson_id=lesson_id)
    raise DatabaseUnavailable("Too many starts at once.")


@db.transaction
def assign_once(tx: db.Tx, user_id: str, lesson_id: str, assigned_at: datetime | None) -> LessonAssigned | None:
    lesson = {"user_id": user_id, "lesson_id": lesson_id}
    lock(tx, **lesson)
    current = tx.maybe("assign_attempt", Row, attempt_id=uuid7(), assigned_at=assigned_at, **lesson)
    if current is None:
        return None
    attempt_id: UUID = current["attempt_id"]
    if current["is_assigned_now"]:
        tx.many("credit_sessions", Row, attempt_id=attempt_id, **lesson)
        tx.one("fold_attempt", Row, attempt_id=attempt_id, user_id=user_id)
    return tx.one("summarize_credit", LessonAssigned, attempt_id=attempt_id, user_id=user_id)


@db.transaction
def unassign(tx: db.Tx, user_id: str, lesson_id: str) -> LessonUnassigned:
    """Take the assignment back, and its credit, exactly: the attempts are what they would be without it.

    An attempt that was made for the credit goes, unless a session was opened in it or it was completed. Taking
    back what was not assigned changes nothing.

    Raises:
        UserNotFound: nothing is recorded of this user and lesson.
    """
    lesson = {"user_id": user_id, "lesson_id": lesson_id}
    if not lock(tx, **lesson):
        raise UserNotFound
    tx.many("uncredit_sessions", Row, **lesson)
    left = tx.many("unassign_attempts", Row, **lesson)
    for attempt in left:
        tx.one("fold_attempt", Row, attempt_id=attempt["attempt_id"], user_id=user_id)
    if not left:
        return LessonUnassigned(
            attempt_id=None, attempt_no=None, credited_sessions=[], credited_ms=0, coverage_ratio=None
        )
    return tx.one("summarize_credit", LessonUnassigned, attempt_id=left[0]["attempt_id"], user_id=user_id)


def lock(tx: db.Tx, **lesson: str) -> set[UUID]:
    """Lock all attempts of a user at a lesson: until the end nobody opens another, or a session in one of them.

    Who opens one holds the one before it, and who waited for that was told the attempts as they were before: so
    it is done again until no other comes to light.
    """
    held: set[UUID] = set()
    while True:
        found: set[UUID] = {attempt["attempt_id"] for attempt in tx.many("lock_attempts", Row, **lesson)}
        if found == held:
            return held
        held = found
