"""POST /jobs/maintain-partitions: the months to come have their partitions."""

from common import logs, partitions
from common.auth import Caller, Role
from common.http import endpoint
from common.models import PartitionsMaintained


@endpoint("POST /jobs/maintain-partitions", roles={Role.SCHEDULER})
def maintain_partitions(caller: Caller) -> PartitionsMaintained:
    maintained = partitions.maintain()
    if maintained.late_by or maintained.rows_in_default or maintained.more_to_do:
        logs.warning("maintain_partitions", "upkeep was late", **maintained.model_dump(mode="json", by_alias=True))
    return maintained
