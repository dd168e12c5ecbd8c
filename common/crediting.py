"""What was watched before the lesson was assigned, counted toward the attempt after it was."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from common import db
from common.db import Row
from common.errors import DatabaseUnavailable

RACES = 8


def assign(user_id: str, lesson_id: str, assigned_at: datetime | None) -> UUID:
    """Make the user's current attempt at a lesson an assigned one, and credit what was watched before.

    Credited is every unassigned session that started within the lesson's `creditWindowDays` before the assignment
    and is not credited yet. Assigning again changes nothing.
    """
    for _ in range(RACES):
        attempt_id = assign_once(user_id, lesson_id, assigned_at)
        if attempt_id is not None:
            return attempt_id
        db.maybe("add_lesson", Row, lesson_id=lesson_id)
    raise DatabaseUnavailable("Too many starts at once.")


@db.transaction
def assign_once(tx: db.Tx, user_id: str, lesson_id: str, assigned_at: datetime | None) -> UUID | None:
    lesson = {"user_id": user_id, "lesson_id": lesson_id}
    tx.many("lock_attempts", Row, **lesson)
    assigned = tx.maybe("assign_attempt", Row, attempt_id=uuid7(), **lesson)
    if assigned is None:
        return None
    attempt_id: UUID = assigned["attempt_id"]
    if tx.many("credit_sessions", Row, attempt_id=attempt_id, assigned_at=assigned_at, **lesson):
        tx.one("fold_attempt", Row, attempt_id=attempt_id, user_id=user_id)
    return attempt_id
