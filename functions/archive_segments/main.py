"""POST /jobs/archive-segments: raw rows older than RETENTION_DAYS go to the archive, and then from the database."""

from common import logs
from common.auth import Caller, Role
from common.http import endpoint
from common.models import MonthsArchived


@endpoint("POST /jobs/archive-segments", roles={Role.SCHEDULER})
def archive_segments(caller: Caller) -> MonthsArchived:
    from common import archive  # it brings pyarrow: 60 MiB that only who archives should pay

    archived = archive.run()
    for month in archived.waiting:
        logs.warning("archive_segments", "a month waits", **month.model_dump(mode="json", by_alias=True))
    return archived
