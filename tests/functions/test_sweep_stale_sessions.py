"""POST /jobs/sweep-stale-sessions, in a database of its own: what it says it did is all there was to do."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common import db, sweeping
from tests.conftest import Person, Viewer, database, deployed, problem, run, segment, send, stored

JOB = "/jobs/sweep-stale-sessions"
NOTHING = {"stale": 0, "postponed": 0, "moreToDo": False}


@pytest.fixture(autouse=True)
def own_database(own_url: str) -> Iterator[None]:
    run(own_url, "DELETE FROM watch_session")
    with deployed(DATABASE_URL=own_url):
        yield


@pytest.fixture
def sweep(scheduler: Person) -> Callable[[], Any]:
    return lambda: scheduler.post(JOB)


def session(viewer: Viewer) -> Any:
    return viewer.progress()["sessions"][0]


def attempts(url: str, viewer: Viewer) -> list[list[Any]]:
    return run(url, "SELECT coverage::text, effective_ms FROM lesson_attempt WHERE user_id = :u", u=viewer.user_id)


# What falls silent


def test_a_session_without_a_sign_of_life_for_five_minutes_ends(viewer: Viewer, sweep: Callable[[], Any]) -> None:
    viewer.grow_older(5 * 60 + 1)

    assert sweep() == {"stale": 1, "postponed": 0, "moreToDo": False}

    assert session(viewer)["status"] == "stale"


def test_a_session_that_gave_one_a_moment_less_ago_stays_open(viewer: Viewer, sweep: Callable[[], Any]) -> None:
    viewer.grow_older(4 * 60 + 59)
    before = session(viewer)

    assert sweep() == NOTHING

    assert session(viewer) == before
    assert before["status"] == "open"


@pytest.mark.parametrize("speak", [Viewer.touch, lambda viewer: viewer.watch((0, 10)), Viewer.record])
def test_a_heartbeat_and_progress_are_signs_of_life(
    viewer: Viewer, sweep: Callable[[], Any], speak: Callable[[Viewer], Any]
) -> None:
    viewer.grow_older(3600)
    speak(viewer)

    assert sweep() == NOTHING
    assert session(viewer)["status"] == "open"


def test_a_moment_that_the_client_claims_is_no_sign_of_life(viewer: Viewer, sweep: Callable[[], Any]) -> None:
    viewer.record(segment(0, 10, occurredAt="2999-01-01T00:00:00Z"))
    viewer.grow_older(301)

    assert sweep()["stale"] == 1


def test_a_session_ends_at_its_last_sign_of_life_and_not_when_it_was_swept(
    viewer: Viewer, sweep: Callable[[], Any]
) -> None:
    viewer.watch((0, 10))
    viewer.touch()
    viewer.grow_older(3600)
    last_sign = session(viewer)["lastHeartbeatAt"]

    sweep()

    assert session(viewer)["closedAt"] == session(viewer)["lastHeartbeatAt"] == last_sign
    assert datetime.fromisoformat(last_sign) < datetime.now().astimezone() - timedelta(seconds=3599)


def test_what_was_watched_is_folded_into_the_attempt(viewer: Viewer, sweep: Callable[[], Any], own_url: str) -> None:
    viewer.watch((0, 10), (20, 30, 2))
    viewer.grow_older(301)
    live = viewer.progress()["aggregates"]

    sweep()

    assert viewer.progress()["aggregates"] == live
    [folded] = attempts(own_url, viewer)
    assert folded == ["{[0,10000),[20000,30000)}", 15_000]


def test_what_was_credited_is_folded_into_the_attempt_that_it_was_credited_to(
    viewer: Viewer, service: Person, sweep: Callable[[], Any], own_url: str
) -> None:
    viewer.watch((0, 10))
    viewer.complete()
    service.put(viewer.assignment)
    viewer.grow_older(301)

    sweep()

    assert attempts(own_url, viewer) == [["{[0,10000)}", 10_000]] * 2


def test_a_session_that_was_closed_or_is_stale_already_is_left_alone(
    viewer: Viewer, sweep: Callable[[], Any], own_url: str
) -> None:
    viewer.close()
    viewer.grow_older(3600)
    viewer.start()
    viewer.grow_older(3600)
    sweep()
    before = stored(own_url, viewer.user_id)

    assert sweep() == NOTHING

    assert stored(own_url, viewer.user_id) == before


# What speaks again


@pytest.mark.parametrize("speak", [Viewer.touch, Viewer.record])
def test_a_stale_session_that_speaks_again_is_open_again(
    viewer: Viewer, sweep: Callable[[], Any], own_url: str, speak: Callable[[Viewer], Any]
) -> None:
    viewer.watch((0, 10))
    viewer.grow_older(301)
    sweep()

    assert speak(viewer)["status"] == "open"

    assert (session(viewer)["status"], session(viewer)["closedAt"]) == ("open", None)
    assert sweep() == NOTHING
    [folded] = attempts(own_url, viewer)
    assert folded == ["{}", 0]


def test_through_silence_and_return_nothing_is_lost_and_nothing_counts_twice(
    viewer: Viewer, sweep: Callable[[], Any]
) -> None:
    buffered = segment(20, 30)
    for stretch in ((0, 10), (5, 15), (40, 50)):
        viewer.watch(stretch)
        viewer.record(buffered)
        viewer.grow_older(301)
        assert sweep()["stale"] == 1
    viewer.record(buffered)
    viewer.close()

    totals = viewer.progress()["aggregates"]
    assert totals["watchedRanges"] == [[0, 15], [20, 30], [40, 50]]
    assert totals["effectiveSecond"] == 10 + 10 + 10 + 10


def test_a_stale_session_that_is_closed_keeps_its_end(viewer: Viewer, sweep: Callable[[], Any]) -> None:
    viewer.grow_older(301)
    sweep()
    ended = session(viewer)

    viewer.close()

    assert session(viewer) == {**ended, "status": "closed"}


def test_a_session_that_speaks_after_it_was_listed_is_not_ended(
    viewer: Viewer, sweep: Callable[[], Any], own_url: str
) -> None:
    viewer.grow_older(301)

    with ThreadPoolExecutor() as threads, closing(db.direct(own_url, 60_000)) as player:
        player.run("BEGIN")
        player.run("UPDATE watch_session SET last_heartbeat_at = now() WHERE session_id = :s", s=viewer.session_id)
        swept = threads.submit(sweep)
        while not run(own_url, "SELECT FROM pg_locks WHERE NOT granted"):
            assert not swept.done()
        player.run("COMMIT")

        assert swept.result() == NOTHING

    assert session(viewer)["status"] == "open"


# What gets in the way


@contextmanager
def somebody_else_works_on(url: str, viewer: Viewer) -> Iterator[None]:
    """Another transaction has locked the attempt and does not end."""
    with closing(db.direct(url, 60_000)) as connection:
        connection.run("BEGIN")
        connection.run("SELECT FROM lesson_attempt WHERE user_id = :u FOR NO KEY UPDATE", u=viewer.user_id)
        yield
        connection.run("ROLLBACK")


def test_a_session_that_somebody_else_works_on_is_left_to_the_next_run_and_the_others_are_not(
    new_lesson: Callable[..., str], sweep: Callable[[], Any], own_url: str
) -> None:
    viewers = [Viewer(new_lesson()) for _ in range(5)]
    for viewer in viewers:
        viewer.start()
        viewer.grow_older(301)

    with (
        deployed(STATEMENT_TIMEOUT_MS="400"),
        somebody_else_works_on(own_url, viewers[0]),
        somebody_else_works_on(own_url, viewers[3]),
    ):
        assert sweep() == {"stale": 3, "postponed": 2, "moreToDo": True}

    assert [session(viewer)["status"] for viewer in viewers] == ["open", "stale", "stale", "open", "stale"]
    assert sweep() == {"stale": 2, "postponed": 0, "moreToDo": False}


def test_many_sessions_of_somebody_whose_attempt_is_held_do_not_keep_the_others_waiting(
    viewer: Viewer, new_lesson: Callable[..., str], sweep: Callable[[], Any], own_url: str
) -> None:
    for _ in range(5):
        viewer.grow_older(301)
        viewer.start()
    other = Viewer(new_lesson())
    other.start()
    other.grow_older(301)

    with deployed(STATEMENT_TIMEOUT_MS="400"), somebody_else_works_on(own_url, viewer):
        assert sweep() == {"stale": 1, "postponed": 5, "moreToDo": True}


def test_when_its_time_is_over_it_says_that_there_is_more(
    viewer: Viewer, sweep: Callable[[], Any], own_url: str
) -> None:
    viewer.grow_older(301)
    before = stored(own_url, viewer.user_id)

    with deployed(JOB_TIME_BUDGET_S="0"):
        assert sweep() == {"stale": 0, "postponed": 0, "moreToDo": True}
    assert stored(own_url, viewer.user_id) == before

    assert sweep() == {"stale": 1, "postponed": 0, "moreToDo": False}


def test_with_nothing_to_do_no_time_is_enough(viewer: Viewer, sweep: Callable[[], Any]) -> None:
    with deployed(JOB_TIME_BUDGET_S="0"):
        assert sweep() == NOTHING


def test_without_a_database_it_fails_and_may_be_tried_again(scheduler: Person, own_url: str) -> None:
    with deployed(DATABASE_URL="postgresql://nobody@/none?host=/nowhere"):
        answer = scheduler.send("POST", JOB)

    problem(answer, 503)
    assert answer.headers["Retry-After"]


def test_more_than_a_page_is_swept_in_one_run(
    viewer: Viewer, sweep: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 2)
    for _ in range(5):
        viewer.grow_older(301)
        viewer.start()

    assert sweep() == {"stale": 5, "postponed": 0, "moreToDo": False}
    assert session(viewer)["status"] == "open"


def test_a_dry_run_counts_and_changes_nothing(viewer: Viewer, own_url: str) -> None:
    viewer.grow_older(301)
    before = stored(own_url, viewer.user_id)

    swept = sweeping.sweep(dry_run=True)

    assert (swept.stale, swept.postponed, swept.more_to_do) == (1, 0, False)
    assert stored(own_url, viewer.user_id) == before


# Who may


@pytest.mark.parametrize("role", ["player", "manager", "service", "scheduler"])
def test_nobody_who_claims_a_role_may_sweep(viewer: Viewer, own_url: str, role: str) -> None:
    viewer.grow_older(301)
    before = stored(own_url, viewer.user_id)

    problem(Person(role=role).send("POST", JOB), 403)

    assert stored(own_url, viewer.user_id) == before


def test_nobody_sweeps_without_a_token() -> None:
    problem(send("POST", JOB), 401)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_job_is_posted(scheduler: Person, method: str) -> None:
    answer = scheduler.send(method, JOB)
    problem(answer, 405)
    assert answer.headers["Allow"] == "POST"


# How it finds them

CROWD = (
    "SET session_replication_role = replica",  # there are no lessons and attempts to these
    """
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, closed_at, idempotency_key, last_heartbeat_at
    )
    SELECT
        lpad(n::text, 32, '0')::uuid,  -- in order of time, as the real ones
        'u' || n,
        gen_random_uuid(),
        'crowded',
        false,
        CASE WHEN n > 100000 THEN 'open' ELSE 'closed' END,
        CASE WHEN n <= 100000 THEN now() END,
        'k' || n,
        now() - interval '1 minute' * CASE WHEN n % 10 = 0 THEN 6 ELSE 4 END
    FROM generate_series(1, 200000) AS n
    """,
    "VACUUM ANALYZE watch_session",
    "SET plan_cache_mode = force_generic_plan",  # as for a statement that was prepared long ago
)


def test_among_100_000_open_sessions_and_many_closed_ones_only_open_ones_are_looked_at(server_url: str) -> None:
    with database(server_url) as url, closing(db.direct(url, 60_000)) as connection:
        for statement in CROWD:
            connection.run(statement)
        explained = "EXPLAIN (ANALYZE, FORMAT JSON) " + db.sql("list_silent_sessions")
        [[[plan]]] = connection.run(explained, after=UUID(int=0), silent_s=300, limit=1_000_000)

    [scan] = leaves(plan["Plan"])
    assert scan["Index Name"] == "open_session"
    assert (scan["Actual Rows"], scan["Rows Removed by Filter"]) == (10_000, 90_000)


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a plan that read something."""
    below = node.get("Plans")
    return [leaf for child in below for leaf in leaves(child)] if below else [node]
