"""PUT /video/lessons/{lessonId}: a lesson's duration and policy are written, whole."""

from common import lessons
from common.auth import Caller, Role
from common.http import endpoint
from common.models import Lesson, SetLesson


@endpoint("PUT /video/lessons/{lessonId}", roles={Role.SERVICE}, beside="GET HEAD")
def set_lesson(caller: Caller, lesson_id: str, body: SetLesson) -> Lesson:
    return lessons.write(lesson_id, body)
