"""GET /video/lessons/{lessonId}/engagement: which parts of a lesson were watched, watched again and skipped."""

from common import engagement
from common.auth import Caller, Role
from common.http import endpoint
from common.models import EngagementQuery, EngagementSummarized


@endpoint("GET /video/lessons/{lessonId}/engagement", roles={Role.MANAGER, Role.SERVICE})
def summarize_engagement(caller: Caller, lesson_id: str, query: EngagementQuery) -> EngagementSummarized:
    return engagement.summarize(lesson_id, query)
