"""DELETE /video/users/{userId}/lessons/{lessonId}/assignment: the assignment is taken back, and its credit."""

from common import crediting
from common.auth import Caller, Role
from common.http import endpoint
from common.models import LessonUnassigned


@endpoint("DELETE /video/users/{userId}/lessons/{lessonId}/assignment", roles={Role.SERVICE}, beside="PUT")
def unassign_lesson(caller: Caller, user_id: str, lesson_id: str) -> LessonUnassigned:
    return crediting.unassign(user_id, lesson_id)
