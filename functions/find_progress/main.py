"""GET /video/users/{userId}/lessons/{lessonId}/progress: the latest attempt, its totals up to this moment."""

from common import progress
from common.auth import Caller, Role
from common.http import endpoint
from common.models import Progress


@endpoint("GET /video/users/{userId}/lessons/{lessonId}/progress", roles={Role.PLAYER, Role.MANAGER, Role.SERVICE})
def find_progress(caller: Caller, user_id: str, lesson_id: str) -> Progress:
    return progress.find(caller, user_id, lesson_id)
