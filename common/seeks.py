"""Jumps of the playhead and what they left unwatched."""

from uuid import UUID

from common import db, sessions
from common.auth import Caller
from common.db import Row
from common.errors import SessionArchived, SessionNotFound
from common.models import SkipsSummarized


def summarize(caller: Caller, session_id: UUID) -> SkipsSummarized:
    """What a session jumped over, as it was judged then, and how much of it is unwatched to this day.

    Raises:
        SessionNotFound: the caller has no session with this id.
        SessionArchived: the session's raw record was archived.
    """
    found = db.maybe("summarize_skips", Row, session_id=session_id, user_id=sessions.owner(caller, session_id))
    if found is None:
        raise SessionNotFound
    if found.pop("archived_at"):
        raise SessionArchived
    return SkipsSummarized(**found)
