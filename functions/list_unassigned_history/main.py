"""GET /video/users/{userId}/unassigned-history: what was watched without an assignment."""

from common import sessions
from common.auth import Caller, Role
from common.http import endpoint
from common.models import HistoryQuery, UnassignedHistory


@endpoint("GET /video/users/{userId}/unassigned-history", roles={Role.PLAYER, Role.MANAGER, Role.SERVICE})
def list_unassigned_history(caller: Caller, user_id: str, query: HistoryQuery) -> UnassignedHistory:
    return sessions.list_unassigned(caller, user_id, query)
