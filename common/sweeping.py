"""Sessions that fell silent: ended where they did, and folded into their attempts."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from uuid import UUID

from common import db
from common.config import settings
from common.db import Row
from common.errors import DatabaseUnavailable
from common.models import SessionsSwept

SILENT_S = 300
PAGE = 200
WORKERS = 4  # an ending is five round trips and a commit: mostly waiting


class Outcome(Enum):
    """What became of a session that was listed as silent."""

    ENDED = auto()
    SPOKE = auto()
    POSTPONED = auto()  # somebody holds its attempt: the next run will have it
    LEFT = auto()  # the time was over


def sweep(dry_run: bool = False, on_progress: Callable[[int], None] = lambda stale: None) -> SessionsSwept:
    """End the open sessions without a sign of life for five minutes, at their last sign of life.

    Each is a transaction of its own that asks once more whether the session is silent, so that a live one is never
    ended. Stops within the job's time budget; two at once share the work. A dry run counts and changes nothing.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    deadline = time.monotonic() + settings().job_time_budget_s

    def end_in_time(session: Row) -> Outcome:
        if time.monotonic() > deadline:
            return Outcome.LEFT
        if dry_run:
            return Outcome.ENDED
        try:
            return Outcome.ENDED if end(silent_s=SILENT_S, **session) else Outcome.SPOKE
        except DatabaseUnavailable:
            return Outcome.POSTPONED

    def end_all(sessions: list[Row]) -> Counter[Outcome]:
        return Counter(map(end_in_time, sessions))

    outcomes: Counter[Outcome] = Counter()
    after = UUID(int=0)
    at_once = min(WORKERS, settings().database_connections)
    with ThreadPoolExecutor(at_once) as workers:
        while not outcomes[Outcome.LEFT] and (page := silent(after)):
            for of_a_worker in workers.map(end_all, [page[n::at_once] for n in range(at_once)]):
                outcomes += of_a_worker
            on_progress(outcomes[Outcome.ENDED])
            after = page[-1]["session_id"]
    return SessionsSwept(
        stale=outcomes[Outcome.ENDED],
        postponed=outcomes[Outcome.POSTPONED],
        more_to_do=outcomes[Outcome.POSTPONED] + outcomes[Outcome.LEFT] > 0,
    )


def silent(after: UUID) -> list[Row]:
    """A page of the sessions that are open and silent, behind another, the oldest first."""
    return db.many("list_silent_sessions", Row, after=after, silent_s=SILENT_S, limit=PAGE)


@db.transaction
def end(tx: db.Tx, session_id: UUID, user_id: str, silent_s: int) -> bool:
    """End a session if it is still silent, and fold it; True if it was."""
    session = {"session_id": session_id, "user_id": user_id}
    tx.many("lock_attempts_of_session", Row, **session)
    if tx.maybe("end_silent_session", Row, silent_s=silent_s, **session) is None:
        return False
    tx.many("fold_attempts_of_session", Row, **session)
    return True
