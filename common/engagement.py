"""A lesson as its learners watched it, all of them together."""

from common import db
from common.errors import LessonNotFound
from common.models import EngagementQuery, EngagementSummarized


def summarize(lesson_id: str, query: EngagementQuery) -> EngagementSummarized:
    """How many learners watched each part of a lesson, how many watched it again, how many skipped it.

    A learner is whoever watched any of the lesson, and counts with everything that was watched, in all sessions
    together, whether assigned or not, credited or not, plausible or not: here nobody is judged. What an open session
    watched again or jumped over comes in when it ends.

    Raises:
        LessonNotFound: nobody wrote its policy or ever opened it.
    """
    found = db.maybe("summarize_engagement", EngagementSummarized, lesson_id=lesson_id, buckets=query.buckets)
    if found is None:
        raise LessonNotFound
    return found
