"""What was watched: recorded as it comes, read as a whole."""

from typing import cast
from uuid import UUID, uuid5

from pydantic import JsonValue
from pydantic_core import to_json

from common import db, sessions
from common.auth import Caller, Role
from common.db import Row
from common.errors import InvalidRequest, Problem, SessionArchived, SessionNotFound, UserNotFound
from common.models import (
    BulkItem,
    BulkRecorded,
    BulkResult,
    Progress,
    ProgressRecorded,
    RecordBulkProgress,
    RecordProgress,
)
from common.parsing import parse


def record(caller: Caller, session_id: UUID, progress: RecordProgress) -> ProgressRecorded:
    """Record segments and seeks, each once, however often they are sent; it is a sign of life too.

    Progress of a stale session opens it again. Progress of a closed one is late: it is recorded and folded into
    the attempt, and the session stays closed.

    Raises:
        SessionNotFound: the caller has no session with this id.
        SessionArchived: the session's raw record was archived.
        InvalidRequest: items were sent and none of them was good.
    """
    sent = len(progress.segments) + len(progress.seeks)
    if progress.rejected and not sent:
        raise InvalidRequest(errors=progress.rejected)
    events: Row = {
        "session_id": session_id,
        "user_id": sessions.owner(caller, session_id),
        "events": named(session_id, progress),
    }
    recorded = db.maybe("record_progress", Row, ended=False, **events) or record_ended(events)
    conflicts = []
    if recorded["accepted"] < sent:
        conflicts = [found["client_event_id"] for found in db.many("compare_events", Row, **events)]
    return ProgressRecorded(
        duplicates=sent - recorded["accepted"] - len(conflicts),
        conflicts=list(dict.fromkeys(conflicts)),
        rejected=progress.rejected,
        **recorded,
    )


@db.transaction
def record_ended(tx: db.Tx, events: Row) -> Row:
    """Record what belongs to a session that ended, and bring its attempts' totals up to date.

    Raises:
        SessionNotFound: the user has no session with this id.
        SessionArchived: the session's raw record was archived.
    """
    session = {"session_id": events["session_id"], "user_id": events["user_id"]}
    if not tx.many("lock_attempts_of_session", Row, **session):
        raise SessionNotFound
    recorded = tx.maybe("record_progress", Row, ended=True, **events)
    if recorded is None:
        raise SessionArchived
    tx.many("fold_attempts_of_session", Row, **session)
    return recorded


def named(session_id: UUID, progress: RecordProgress) -> str:
    """The items as JSON, each with an identity: its own, or one made of the request's content and its place in it."""
    content = items(progress)
    if all(seek.client_event_id for seek in progress.seeks):
        return content
    seeks = [
        seek.model_copy(update={"client_event_id": seek.client_event_id or uuid5(session_id, f"{place} {content}")})
        for place, seek in enumerate(progress.seeks)
    ]
    return items(progress.model_copy(update={"seeks": seeks}))


def items(progress: RecordProgress) -> str:
    return progress.__pydantic_serializer__.to_json(progress, include=RecordProgress.ITEMS).decode()


def record_bulk(caller: Caller, bulk: RecordBulkProgress) -> BulkRecorded:
    """Record what was buffered for several sessions; each is read, recorded and answered on its own.

    Raises:
        DatabaseUnavailable: nothing is lost when all of it is sent again.
    """
    return BulkRecorded(results=[record_item(caller, cast(JsonValue, item)) for item in bulk.items])


def record_item(caller: Caller, content: JsonValue) -> BulkResult:
    try:
        item = parse(BulkItem, to_json(content, inf_nan_mode="constants"))
        recorded = record(caller, item.session_id, item)
        status = sessions.close(caller, item.session_id).status if item.close else recorded.status
    except Problem as problem:
        if problem.status >= 500:
            raise
        session_id = content.get("sessionId") if isinstance(content, dict) else None
        return BulkResult(session_id=session_id if isinstance(session_id, str) else None, **problem.document())
    told = recorded.model_dump(mode="json", by_alias=True, exclude={"session_id", "status"})
    return BulkResult(session_id=str(item.session_id), status=200, sessionStatus=status, **told)


def find(caller: Caller, user_id: str, lesson_id: str) -> Progress:
    """The latest attempt of a user at a lesson, its totals with the open sessions live.

    Raises:
        UserNotFound: nothing is recorded of this user and lesson, or it is not the caller's to see.
    """
    if caller.role is Role.PLAYER and caller.user_id != user_id:
        raise UserNotFound
    found = db.maybe("find_progress", Progress, user_id=user_id, lesson_id=lesson_id)
    if found is None:
        raise UserNotFound
    return found
