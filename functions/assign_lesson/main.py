"""PUT /video/users/{userId}/lessons/{lessonId}/assignment: the lesson is assigned, what was watched before counts."""

from common import crediting
from common.auth import Caller, Role
from common.http import endpoint
from common.models import AssignLesson, LessonAssigned


@endpoint("PUT /video/users/{userId}/lessons/{lessonId}/assignment", roles={Role.SERVICE}, beside="DELETE")
def assign_lesson(caller: Caller, user_id: str, lesson_id: str, body: AssignLesson | None) -> LessonAssigned:
    return crediting.assign(user_id, lesson_id, body)
