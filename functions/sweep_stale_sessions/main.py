"""POST /jobs/sweep-stale-sessions: sessions that fell silent end where they did."""

from common import sweeping
from common.auth import Caller, Role
from common.http import endpoint
from common.models import SessionsSwept


@endpoint("POST /jobs/sweep-stale-sessions", roles={Role.SCHEDULER})
def sweep_stale_sessions(caller: Caller) -> SessionsSwept:
    return sweeping.sweep()
