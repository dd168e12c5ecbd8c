"""PUT /video/sessions/{sessionId}/heartbeat: the player is still there."""

from uuid import UUID

from common import sessions
from common.auth import Caller, Role
from common.http import endpoint
from common.models import SessionTouched


@endpoint("PUT /video/sessions/{sessionId}/heartbeat", roles={Role.PLAYER, Role.SERVICE})
def touch_session(caller: Caller, session_id: UUID) -> SessionTouched:
    return sessions.touch(caller, session_id)
