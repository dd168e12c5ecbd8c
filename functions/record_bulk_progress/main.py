"""POST /video/progress/bulk: what a player buffered while it was offline, session by session."""

from common import progress
from common.auth import Caller, Role
from common.http import endpoint
from common.models import BulkRecorded, RecordBulkProgress


@endpoint("POST /video/progress/bulk", roles={Role.PLAYER, Role.SERVICE})
def record_bulk_progress(caller: Caller, body: RecordBulkProgress) -> BulkRecorded:
    return progress.record_bulk(caller, body)
