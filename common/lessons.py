"""Lessons and the policy that applies to them."""

from common import db
from common.errors import LessonNotFound
from common.models import Lesson, SetLesson


def write(lesson_id: str, policy: SetLesson) -> Lesson:
    """Write a lesson's policy whole; what was left out takes its default."""
    return db.one("set_lesson", Lesson, lesson_id=lesson_id, **policy.model_dump())


def find(lesson_id: str) -> Lesson:
    """A lesson and its policy.

    Raises:
        LessonNotFound: nobody wrote its policy or ever opened it.
    """
    found = db.maybe("find_lesson", Lesson, lesson_id=lesson_id)
    if found is None:
        raise LessonNotFound
    return found
