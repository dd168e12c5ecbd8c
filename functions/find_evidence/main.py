"""GET /video/users/{userId}/lessons/{lessonId}/evidence: what was watched, skipped and counted, session by session."""

from common import evidence
from common.auth import Caller, Role
from common.http import endpoint
from common.models import Evidence


@endpoint("GET /video/users/{userId}/lessons/{lessonId}/evidence", roles={Role.PLAYER, Role.MANAGER, Role.SERVICE})
def find_evidence(caller: Caller, user_id: str, lesson_id: str) -> Evidence:
    return evidence.find(caller, user_id, lesson_id)
