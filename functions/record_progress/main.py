"""POST /video/sessions/{sessionId}/progress: what was played and where the playhead jumped, each event once."""

from uuid import UUID

from common import progress
from common.auth import Caller, Role
from common.http import endpoint
from common.models import ProgressRecorded, RecordProgress


@endpoint("POST /video/sessions/{sessionId}/progress", roles={Role.PLAYER, Role.SERVICE})
def record_progress(caller: Caller, session_id: UUID, body: RecordProgress) -> ProgressRecorded:
    return progress.record(caller, session_id, body)
