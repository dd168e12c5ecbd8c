"""All that is known of one user at one lesson: what was watched, when, what was skipped, what counts and why."""

from common import db
from common.auth import Caller, Role
from common.errors import UserNotFound
from common.models import Evidence


def find(caller: Caller, user_id: str, lesson_id: str) -> Evidence:
    """The attempts of a user at a lesson with their sessions, the newest first, everything as of one moment.

    Raises:
        UserNotFound: nothing is recorded of this user and lesson, or it is not the caller's to see.
    """
    if caller.role is Role.PLAYER and caller.user_id != user_id:
        raise UserNotFound
    found = db.maybe("find_evidence", Evidence, user_id=user_id, lesson_id=lesson_id)
    if found is None:
        raise UserNotFound
    return found
