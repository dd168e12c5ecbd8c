"""GET /video/lessons/{lessonId}: a lesson's duration and policy."""

from common import lessons
from common.auth import Caller, Role
from common.http import endpoint
from common.models import Lesson


@endpoint("GET /video/lessons/{lessonId}", roles={Role.PLAYER, Role.MANAGER, Role.SERVICE}, beside="PUT")
def find_lesson(caller: Caller, lesson_id: str) -> Lesson:
    return lessons.find(lesson_id)
