"""PUT /video/sessions/{sessionId}/close: the learner leaves; the attempt's totals are brought up to date.

POST is the same for beacons, which may carry the last progress as their body.
"""

from uuid import UUID

from common import progress, sessions
from common.auth import Caller, Role
from common.http import endpoint
from common.models import RecordProgress, SessionEnded


@endpoint("PUT POST /video/sessions/{sessionId}/close", roles={Role.PLAYER, Role.SERVICE})
def close_session(caller: Caller, session_id: UUID, body: RecordProgress | None) -> SessionEnded:
    if body:
        progress.record(caller, session_id, body)
    return sessions.close(caller, session_id)
