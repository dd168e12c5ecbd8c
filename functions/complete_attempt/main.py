"""PUT /video/attempts/{attemptId}/complete: the learner is done, if enough was watched."""

from uuid import UUID

from common import attempts
from common.auth import Caller, Role
from common.http import endpoint
from common.models import AttemptCompleted


@endpoint("PUT /video/attempts/{attemptId}/complete", roles={Role.PLAYER, Role.SERVICE})
def complete_attempt(caller: Caller, attempt_id: UUID) -> AttemptCompleted:
    return attempts.complete(caller, attempt_id)
