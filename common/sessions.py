"""Openings of the player: started, kept alive, closed, listed."""

from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from common import crediting, db
from common.auth import Caller, Role
from common.config import settings
from common.db import Row
from common.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    SessionClosed,
    SessionNotFound,
    UserNotFound,
)
from common.models import (
    HistoryQuery,
    SessionEnded,
    SessionReplayed,
    SessionStarted,
    SessionTouched,
    StartSession,
    UnassignedHistory,
    UnassignedSession,
)

RACES = 8


def owner(caller: Caller, session_id: UUID) -> str:
    """Whose session it is: a player's own or nobody's, so that no statement finds another user's rows.

    Raises:
        SessionNotFound: there is no session with this id.
    """
    if caller.role is Role.PLAYER:
        return caller.user_id
    found = db.maybe("find_owner", Row, session_id=session_id)
    if found is None:
        raise SessionNotFound
    return str(found["user_id"])


def start(caller: Caller, request: StartSession, idempotency_key: str | None) -> SessionStarted:
    """Open a session in the user's active attempt, or in a new one if none is active.

    The same Idempotency-Key again gives the same session. `isAssigned` counts from a trusted caller only.

    Raises:
        UserNotFound: the user is not the caller.
        IdempotencyKeyReused: the key opened a session of another lesson.
    """
    if caller.role is Role.PLAYER and caller.user_id != request.user_id:
        raise UserNotFound
    is_trusted = caller.role is Role.SERVICE or settings().players_are_trusted
    if request.is_assigned and is_trusted and not was_started(request.user_id, idempotency_key):
        crediting.assign(request.user_id, request.lesson_id, None)
    session_id = uuid7()
    parameters: Row = {
        "session_id": session_id,
        "attempt_id": uuid7(),
        "user_id": request.user_id,
        "lesson_id": request.lesson_id,
        "idempotency_key": idempotency_key or str(session_id),
        "client_info": None if request.client_info is None else to_json(request.client_info).decode(),
        "client_started_at": request.started_at,
    }
    for _ in range(RACES):
        found = db.maybe("start_session", Row, **parameters)
        if found is not None:
            return started(request, found)
        db.maybe("add_lesson", Row, lesson_id=request.lesson_id)
    raise DatabaseUnavailable("Too many starts at once.")


def was_started(user_id: str, idempotency_key: str | None) -> bool:
    """Whether the key opened a session before: then it assigns nothing any more."""
    return db.maybe("find_start", Row, user_id=user_id, idempotency_key=idempotency_key) is not None


def started(request: StartSession, found: Row) -> SessionStarted:
    is_replay, lesson_id = found.pop("is_replay"), found.pop("lesson_id")
    if lesson_id != request.lesson_id:
        raise IdempotencyKeyReused
    if is_replay:
        return SessionReplayed(message="This Idempotency-Key opened the session before.", **found)
    return SessionStarted(message=f"Session started in attempt {found['attempt_no']}.", **found)


def touch(caller: Caller, session_id: UUID) -> SessionTouched:
    """Take a sign of life. A stale session that speaks again is open again.

    Raises:
        SessionNotFound: the caller has no session with this id.
        SessionClosed: the session was closed.
    """
    user_id = owner(caller, session_id)
    touched = db.maybe("touch_session", SessionTouched, session_id=session_id, user_id=user_id)
    return touched or reopen(session_id, user_id)


@db.transaction
def reopen(tx: db.Tx, session_id: UUID, user_id: str) -> SessionTouched:
    """Open a session that had fallen silent; its attempts hold it no more until it ends again.

    Raises:
        SessionNotFound: the user has no session with this id.
        SessionClosed: the session was closed or archived.
    """
    session = {"session_id": session_id, "user_id": user_id}
    if not tx.many("lock_attempts_of_session", Row, **session):
        raise SessionNotFound
    touched = tx.maybe("reopen_session", SessionTouched, **session)
    if touched is None:
        raise SessionClosed
    tx.many("fold_attempts_of_session", Row, **session)
    return touched


def close(caller: Caller, session_id: UUID) -> SessionEnded:
    """Close the session and bring its attempt's totals up to date.

    Closing a closed session changes nothing and gives the same totals.

    Raises:
        SessionNotFound: the caller has no session with this id.
    """
    return close_and_fold(session_id, owner(caller, session_id))


@db.transaction
def close_and_fold(tx: db.Tx, session_id: UUID, user_id: str) -> SessionEnded:
    session = {"session_id": session_id, "user_id": user_id}
    if not tx.many("lock_attempts_of_session", Row, **session):
        raise SessionNotFound
    closed = tx.one("close_session", Row, **session)
    own, *_ = tx.many("fold_attempts_of_session", Row, **session)
    return SessionEnded(**closed, **own)


def list_unassigned(caller: Caller, user_id: str, query: HistoryQuery) -> UnassignedHistory:
    """A user's unassigned sessions, the newest first, a page at a time; `nextCursor` is null on the last page.

    Raises:
        UserNotFound: the user is not the caller's to see.
    """
    if caller.role is Role.PLAYER and caller.user_id != user_id:
        raise UserNotFound
    found = db.many(
        "list_unassigned_history",
        UnassignedSession,
        user_id=user_id,
        lesson_id=query.lesson_id,
        before=query.cursor,
        limit=query.limit + 1,
    )
    page = found[: query.limit]
    return UnassignedHistory(items=page, next_cursor=page[-1].session_id if len(found) > len(page) else None)
