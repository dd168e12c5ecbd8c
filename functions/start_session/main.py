"""POST /video/sessions: the learner opens the player; an attempt is opened if none is active."""

from common import sessions
from common.auth import Caller, Role
from common.http import endpoint
from common.models import SessionReplayed, SessionStarted, StartSession


@endpoint("POST /video/sessions", roles={Role.PLAYER, Role.SERVICE})
def start_session(caller: Caller, body: StartSession, idempotency_key: str | None) -> SessionStarted | SessionReplayed:
    return sessions.start(caller, body, idempotency_key)
