"""The proofs can fail: with the mistakes that are easily made, the same races leave faults, and the judge sees them.

Each mistake works in a database of its own, whose totals are wrong afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import UUID, uuid4

import pytest

from common import db, progress
from common.auth import Caller
from common.db import Row
from common.models import ProgressRecorded, RecordProgress
from tests.conftest import deployed
from tests.journeys.test_races import (
    Judge,
    Witness,
    closers_in_turn,
    progress_behind_the_close,
    retries_in_turn,
    writers_in_turn,
)

AS_IT_IS = db.sql

LOCK_NOTHING = """
    SELECT s.attempt_id FROM watch_session AS s WHERE s.session_id = :session_id AND s.user_id = :user_id
"""
LOCK_FIRST = """
    WITH locked AS MATERIALIZED (
        SELECT a.attempt_id
        FROM watch_session AS s
        INNER JOIN lesson_attempt AS a ON s.user_id = a.user_id AND s.lesson_id = a.lesson_id
        WHERE s.session_id = :session_id AND s.user_id = :user_id
        FOR NO KEY UPDATE OF a
    ),
"""
READ_TOTALS = """
    SELECT attempt_id, coverage::text AS coverage, effective_ms, segment_count
    FROM watch_session WHERE session_id = :session_id AND user_id = :user_id
"""
INSERT_SEGMENTS = """
    INSERT INTO watch_segment
    SELECT :session_id, client_event_id, :user_id, start_ms, end_ms, effective_ms, speed, now(), now()
    FROM jsonb_to_recordset(:events::jsonb -> 'segments') AS sent (
        client_event_id uuid, start_ms int, end_ms int, effective_ms int, speed numeric
    )
    ON CONFLICT DO NOTHING
    RETURNING format('[%s,%s)', start_ms, end_ms) AS stretch, effective_ms
"""
WRITE_TOTALS = """
    UPDATE watch_session SET
        coverage = :coverage::int4multirange, effective_ms = :effective_ms, segment_count = :segment_count
    WHERE session_id = :session_id AND user_id = :user_id
    RETURNING session_id
"""


@contextmanager
def mistaken(url: str, **statements: str) -> Iterator[tuple[Judge, Witness]]:
    """Some statements as they are not; each connection is new, for it prepares a statement once."""
    with deployed(DATABASE_URL=url), pytest.MonkeyPatch.context() as patch, closing(Judge(url)) as judge:
        patch.setattr(db, "sql", lambda name: statements.get(name) or AS_IT_IS(name))
        witness = Witness(f"lesson-{uuid4()}")
        witness.start()
        yield judge, witness


def changed(name: str, right: str, wrong: str) -> str:
    """A statement with a mistake in it."""
    text = AS_IT_IS(name)
    assert text.count(right) == 1, f"{name} does not have {right!r}"
    return text.replace(right, wrong)


@pytest.mark.parametrize("race", [closers_in_turn, progress_behind_the_close, retries_in_turn, writers_in_turn])
def test_without_a_mistake_there_are_no_faults(own_url: str, race: Callable[[str, Witness], object]) -> None:
    with mistaken(own_url) as (judge, witness):
        race(own_url, witness)

        assert judge.faults(witness) == []


def test_closing_without_the_attempts_lock_is_caught(own_url: str) -> None:
    with mistaken(own_url, lock_attempts_of_session=LOCK_NOTHING) as (judge, witness):
        closers_in_turn(own_url, witness)

        assert differing(judge, witness) == {"attempt": {"coverage", "effective_ms"}}


def test_closing_with_the_lock_in_the_statement_that_folds_is_caught(own_url: str) -> None:
    fold = changed("fold_attempts_of_session", "WITH noted AS (", f"{LOCK_FIRST} noted AS (")
    fold = fold.replace("a.user_id = :user_id", "a.attempt_id IN (SELECT attempt_id FROM locked)", 1)
    with mistaken(own_url, lock_attempts_of_session=LOCK_NOTHING, fold_attempts_of_session=fold) as (judge, witness):
        closers_in_turn(own_url, witness)

        assert differing(judge, witness) == {"attempt": {"coverage", "effective_ms"}}


def test_effective_time_of_what_was_sent_rather_than_inserted_is_caught(own_url: str) -> None:
    record = changed(
        "record_progress",
        "coalesce(sum(effective_ms), 0) AS effective_ms",
        "(SELECT coalesce(sum((sent ->> 'effective_ms')::int), 0)"
        " FROM jsonb_array_elements(:events::jsonb -> 'segments') AS sent) AS effective_ms",
    )
    with mistaken(own_url, record_progress=record) as (judge, witness):
        retries_in_turn(own_url, witness)

        assert differing(judge, witness) == {"session": {"effective_ms"}}


def test_reading_the_totals_first_and_writing_the_sum_is_caught(own_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = {"read_totals": READ_TOTALS, "insert_segments": INSERT_SEGMENTS, "write_totals": WRITE_TOTALS}
    monkeypatch.setattr(progress, "record", read_add_write)
    with mistaken(own_url, **statements) as (judge, witness):
        writers_in_turn(own_url, witness)

        assert {"coverage", "effective_ms", "segment_count"} <= differing(judge, witness)["session"]


def test_recording_without_the_sessions_lock_is_caught(own_url: str) -> None:
    record = changed("record_progress", "FOR NO KEY UPDATE OF s", "")
    with mistaken(own_url, record_progress=record) as (judge, witness):
        progress_behind_the_close(own_url, witness)

        assert differing(judge, witness)["attempt"] >= {"coverage", "effective_ms"}


def differing(judge: Judge, witness: Witness) -> dict[str, set[str]]:
    """The columns with faults, of sessions and of attempts, as the judge of the races tells them."""
    assert judge.faults(witness)
    found: dict[str, set[str]] = {}
    for difference in judge.recount.look(witness.user_id).differences:
        found.setdefault(difference.what.split()[0], set()).add(difference.column)
    return found


def read_add_write(caller: Caller, session_id: UUID, body: RecordProgress) -> ProgressRecorded:
    session = {"session_id": session_id, "user_id": caller.user_id}
    before = db.one("read_totals", Row, **session)
    new = db.many("insert_segments", Row, events=progress.items(body), **session)
    stretches = [before["coverage"].strip("{}"), *(row["stretch"] for row in new)]
    db.many(
        "write_totals",
        Row,
        coverage="{" + ",".join(filter(None, stretches)) + "}",
        effective_ms=before["effective_ms"] + sum(row["effective_ms"] for row in new),
        segment_count=before["segment_count"] + len(new),
        **session,
    )
    return ProgressRecorded(
        session_id=session_id,
        attempt_id=before["attempt_id"],
        status="open",
        late=False,
        accepted=len(new),
        duplicates=len(body.segments) - len(new),
        conflicts=[],
        rejected=[],
        coverage_ms=0,
        effective_ms=0,
        max_verified_ms=0,
        resume_ms=None,
        seek_policy="flag",
    )
