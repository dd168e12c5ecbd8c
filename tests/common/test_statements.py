"""What each request asks of the database, counted on the wire and by the server, and what its updates touch."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from pydantic_core import to_json

from common import db, progress, sessions
from common.auth import Caller, Role
from common.models import RecordProgress
from common.parsing import parse
from tests.common.wire import Wire, wire
from tests.conftest import Person, Viewer, database, deployed, run, seek, segment

# Statements, round trips, commits. BEGIN and COMMIT are no statements, but round trips.
ONE = (1, 1, 1)
IN_A_TRANSACTION = (3, 5, 1)  # lock, change, fold

OURS = """
    SELECT sum(calls)::int FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query NOT LIKE '%pg_stat%' AND query !~* '^(begin|commit)'
"""


@pytest.fixture(scope="module")
def line(server_url: str) -> Iterator[Wire]:
    """A line to a database of our own."""
    with database(server_url) as url, wire(url) as line:
        yield line


@pytest.fixture(autouse=True)
def one_connection(line: Wire) -> Iterator[None]:
    """The functions work on that database, with one connection, on which each statement is prepared once."""
    with deployed(DATABASE_URL=line.url, DATABASE_CONNECTIONS="1"):
        yield


class Acts:
    """What can be asked, by name; each can be asked any number of times."""

    def __init__(self, viewer: Viewer, service: Person) -> None:
        self._viewer, self._service = viewer, service
        self._session = f"/video/sessions/{viewer.session_id}"
        self._sent = segment(90, 91)
        viewer.record(self._sent)

    def progress(self) -> None:
        stretches = [segment(n, n + 10) for n in (0, 10, 20)]
        assert self._viewer.record(*stretches, seeks=[seek(30, 60)])["accepted"] == 4

    def progress_of_300_segments(self) -> None:
        assert self._viewer.record(*(segment(n, n + 1) for n in range(300)))["accepted"] == 300

    def heartbeat(self) -> None:
        self._viewer.touch()

    def progress_sent_again(self) -> None:
        assert self._viewer.record(self._sent)["duplicates"] == 1

    def bulk_of_two_sessions(self) -> None:
        items = [{"sessionId": self._viewer.session_id, "segments": [segment(0, 1)]} for _ in range(2)]
        self._viewer.post("/video/progress/bulk", {"items": items})

    def start(self) -> None:
        self._viewer.start()

    def first_start_of_a_lesson(self) -> None:
        Viewer(f"lesson-{uuid4()}").start()

    def close(self) -> None:
        self._viewer.close()

    def complete(self) -> None:
        self._viewer.complete()

    def find_progress(self) -> None:
        self._viewer.progress()

    def history(self) -> None:
        self._viewer.get(f"/video/users/{self._viewer.user_id}/unassigned-history")

    def skips(self) -> None:
        self._viewer.skips()

    def evidence(self) -> None:
        self._viewer.get(f"/video/users/{self._viewer.user_id}/lessons/{self._viewer.lesson_id}/evidence")

    def engagement(self) -> None:
        self._service.get(f"/video/lessons/{self._viewer.lesson_id}/engagement")

    def find_lesson(self) -> None:
        self._viewer.get(f"/video/lessons/{self._viewer.lesson_id}")

    def heartbeat_for_somebody_else(self) -> None:
        self._service.put(f"{self._session}/heartbeat")


COSTS = {
    "progress": ONE,
    "progress_of_300_segments": ONE,
    "heartbeat": ONE,
    "progress_sent_again": (2, 2, 2),  # and is it the same?
    "bulk_of_two_sessions": (2, 2, 2),
    "start": ONE,
    "first_start_of_a_lesson": (3, 3, 3),  # not known; add it; start
    "close": IN_A_TRANSACTION,
    "complete": IN_A_TRANSACTION,
    "find_progress": ONE,
    "history": ONE,
    "skips": ONE,
    "evidence": ONE,
    "engagement": ONE,
    "find_lesson": ONE,
    "heartbeat_for_somebody_else": (2, 2, 2),  # whose is it?
}


@pytest.fixture
def acts(viewer: Viewer, service: Person) -> Acts:
    return Acts(viewer, service)


def cost(line: Wire, act: Callable[[], object]) -> tuple[int, int, int]:
    before = line.seen.copy()
    act()
    done = line.seen - before
    return done["statements"], done["round trips"], done["commits"]


@pytest.mark.parametrize(("act", "expected"), COSTS.items())
def test_what_a_request_costs_is_as_written_above(
    line: Wire, acts: Acts, act: str, expected: tuple[int, int, int]
) -> None:
    getattr(acts, act)()
    assert cost(line, getattr(acts, act)) == expected


def test_late_progress_is_tried_as_usual_and_then_folded_in_a_transaction(line: Wire, viewer: Viewer) -> None:
    viewer.close()
    viewer.watch((0, 10))
    assert cost(line, lambda: viewer.watch((10, 20))) == (4, 6, 2)


def test_a_heartbeat_of_a_stale_session_opens_it_again_in_a_transaction(line: Wire, viewer: Viewer) -> None:
    for _ in ("to prepare the statements", "to count them"):
        viewer.fall_silent()
        counted = cost(line, viewer.touch)
    assert counted == (4, 6, 2)


@pytest.mark.parametrize(("act", "expected"), [(act, COSTS[act][0]) for act in COSTS])
def test_the_server_counts_the_same_statements(line: Wire, acts: Acts, act: str, expected: int) -> None:
    if run(line.url, "SHOW shared_preload_libraries") != [["pg_stat_statements"]]:
        pytest.skip("the server does not count statements: pg_stat_statements is not in shared_preload_libraries")
    run(line.url, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    getattr(acts, act)()
    [[before]] = run(line.url, OURS)
    getattr(acts, act)()
    assert run(line.url, OURS) == [[before + expected]]


def test_a_statement_is_prepared_once_on_a_connection(line: Wire, viewer: Viewer) -> None:
    for _ in range(3):
        viewer.touch()
    prepared = "SELECT count(*)::int FROM pg_prepared_statements WHERE statement LIKE '%last_heartbeat_at = greatest%'"
    assert db.pool().run(lambda tx: tx.connection.run(prepared)) == [[1]]


def test_heartbeats_and_progress_are_hot_updates(server_url: str, new_lesson: Callable[..., str]) -> None:
    """A thousand of each, of one session and of a hundred in turn: no index is touched, no page overflows."""
    with database(server_url) as url:
        with deployed(DATABASE_URL=url):
            lesson_id = new_lesson(durationSecond=7200)
            viewers = [Viewer(lesson_id) for _ in range(101)]
            watching = []
            for viewer in viewers:
                viewer.start()
                watching.append((Caller(viewer.user_id, Role.PLAYER), UUID(viewer.session_id)))
            alone, *others = watching
            for n in range(1000):
                body = to_json({"segments": [segment(n * 5, n * 5 + 5, 1.5)]})
                for caller, session_id in (alone, others[n % 100]):
                    progress.record(caller, session_id, parse(RecordProgress, body))
                    sessions.touch(caller, session_id)
        query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'watch_session'"
        [[updates, hot]] = run(url, query)
    assert updates == 4000
    assert hot > 0.99 * updates
