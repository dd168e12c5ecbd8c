"""GET /video/sessions/{sessionId}/skip-analytics: what was jumped over, and what of it is unwatched to this day."""

from uuid import UUID

from common import seeks
from common.auth import Caller, Role
from common.http import endpoint
from common.models import SkipsSummarized


@endpoint("GET /video/sessions/{sessionId}/skip-analytics", roles={Role.PLAYER, Role.MANAGER, Role.SERVICE})
def summarize_skips(caller: Caller, session_id: UUID) -> SkipsSummarized:
    return seeks.summarize(caller, session_id)
