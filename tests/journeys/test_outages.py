"""The database dies, hangs, hangs up and refuses: requests hear of it in time, and nothing acknowledged is lost."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from common import db, logs
from infra import functions, postgres
from infra.migrate import migrate
from infra.postgres import Cluster
from tests.clock import Stalls, in_time
from tests.common.wire import Wire, wire
from tests.conftest import Person, Viewer, database, deployed, open_to_postgres, problem, run, segment
from tests.journeys.chaos import AN_ANSWER_TAKES_S, Storm, kills, progress_bar, verify

VIEWERS = 6
UNAVAILABLE = "urn:watchledger:problem:database-unavailable"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A durable server of our own with the schema, which the functions work on."""
    with (
        TemporaryDirectory(prefix="watchledger-tests-") as folder,
        postgres.running(open_to_postgres(folder), pg_bin=os.environ.get("PG_BIN")) as cluster,
    ):
        migrate(cluster.dsn("ledger"))
        with deployed(DATABASE_URL=cluster.dsn("ledger")):
            yield cluster


@pytest.fixture
def line(server_url: str) -> Iterator[Wire]:
    """A line to a database of our own, which the functions work on."""
    with database(server_url) as url, wire(url) as line, deployed(DATABASE_URL=line.url):
        yield line


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No log lines: there are thousands."""
    monkeypatch.setattr(logs, "write", lambda line: None)


@pytest.mark.usefixtures("quiet")
def test_what_was_acknowledged_is_there_once_however_often_the_database_is_killed(cluster: Cluster) -> None:
    storm = Storm()
    began = monotonic()
    recoveries = []
    with Stalls() as stalls, storm.raging(VIEWERS):
        for _ in progress_bar(kills()):
            storm.wait_for_answers(5 * VIEWERS)
            cluster.kill()
            cluster.start()
            recoveries.append(storm.wait_for_answers(1))
        storm.wait_for_answers(5 * VIEWERS)
    verify(cluster.dsn("ledger"), storm)
    assert storm.slowest_s - stalls.seconds < AN_ANSWER_TAKES_S
    sys.stdout.write(
        f"{kills()} kills in {monotonic() - began:.0f} s: {len(storm.acknowledged)} events acknowledged, each there"
        f" once; {storm.refusals} requests refused, the slowest answer took {storm.slowest_s:.2f} s, the first after"
        f" a start {max(recoveries):.2f} s\n"
    )


# A reply that is cut off after the commit


@pytest.mark.usefixtures("quiet")
def test_100_commits_whose_replies_are_cut_off_are_retried_by_the_client_and_happen_once(
    line: Wire, new_lesson: Callable[..., str]
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    retries = posts = 0

    def until_heard(method: str, path: str, json: Any = None, **options: Any) -> Any:
        """Send a request whose reply is lost at every try of the function, and then as often as needed."""
        nonlocal retries
        cut(line, db.ATTEMPTS)
        problem(viewer.send(method, path, json, **options), 503)
        retries += 1
        return viewer.send(method, path, json, **options).get_json()

    while retries < 100:
        opened = {"userId": viewer.user_id, "lessonId": viewer.lesson_id}
        key = {"Idempotency-Key": str(uuid4())}
        started = until_heard("POST", "/video/sessions", opened, headers=key)
        session = f"/video/sessions/{started['sessionId']}"
        assert until_heard("PUT", f"{session}/heartbeat")["status"] == "open"
        for _ in range(6):
            recorded = until_heard("POST", f"{session}/progress", {"segments": [segment(posts, posts + 1)]})
            assert (recorded["accepted"], recorded["duplicates"]) == (0, 1)
            posts += 1
            assert recorded["coverageSecond"] == recorded["effectiveSecond"] == posts
        closed = until_heard("PUT", f"{session}/close")
        assert closed["coverageSecond"] == closed["effectiveSecond"] == posts
    assert until_heard("PUT", f"/video/attempts/{started['attemptId']}/complete")["attemptId"] == closed["attemptId"]

    assert line.seen["cut commits"] == db.ATTEMPTS * retries
    assert run(line.url, "SELECT count(*), count(DISTINCT client_event_id) FROM watch_segment") == [[posts, posts]]
    assert run(line.url, "SELECT count(*) FROM lesson_attempt") == [[1]]
    storm = Storm()
    storm.sent = storm.acknowledged = {
        str(row[0]) for row in run(line.url, "SELECT client_event_id FROM watch_segment")
    }
    verify(line.url, storm)


def cut(line: Wire, times: int) -> None:
    """Cut off the replies to the next so many commits."""
    left = iter(range(times))
    line.cut_when = lambda tag: next(left, None) is not None


@pytest.mark.parametrize("times", [1, 2])
def test_a_reply_that_is_cut_off_once_or_twice_is_not_noticed_by_the_client(
    line: Wire, new_lesson: Callable[..., str], times: int
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    viewer.start()
    cut(line, times)
    recorded = viewer.watch((0, 10), (5, 20))
    assert (recorded["accepted"], recorded["duplicates"]) == (0, 2)
    cut(line, times)
    assert (viewer.close()["coverageSecond"], viewer.close()["effectiveSecond"]) == (20, 25)
    assert line.seen["cut commits"] == 2 * times


# A server that says nothing


def test_a_paused_server_is_answered_for_in_time_and_serves_again_when_it_goes_on(
    cluster: Cluster, new_lesson: Callable[..., str]
) -> None:
    viewers = [Viewer(new_lesson(durationSecond=100)) for _ in range(VIEWERS)]
    bodies = [{"segments": [segment(0, 10)]} for _ in viewers]

    def post(viewer: Viewer, body: Any) -> TestResponse:
        return viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", body)

    with ThreadPoolExecutor(VIEWERS) as clients:
        list(clients.map(Viewer.start, viewers))
        with paused(cluster):
            for _ in ("on connections that were open", "on new ones"):
                with in_time(AN_ANSWER_TAKES_S):
                    answers = list(clients.map(post, viewers, bodies))
                for answer in answers:
                    assert_unavailable(answer)
        answers = list(clients.map(post, viewers, bodies))
    assert [(answer.status_code, answer.get_json()["coverageSecond"]) for answer in answers] == [(200, 10)] * VIEWERS
    url = cluster.dsn("ledger")
    assert run(url, "SELECT count(*), sum(effective_ms)::int FROM watch_segment") == [[VIEWERS, VIEWERS * 10_000]]


@contextmanager
def paused(cluster: Cluster) -> Iterator[None]:
    """All of the server's processes stand still."""
    query = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    pids = [cluster.pid, *(pid for [pid] in run(cluster.dsn("ledger"), query))]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def assert_unavailable(response: TestResponse) -> None:
    document = problem(response, 503)
    assert document["type"] == UNAVAILABLE
    assert response.headers["Retry-After"] == "1"
    assert set(document) <= {"type", "title", "status", "detail", "traceId"}


# A server that cannot be had

LESSON = "/video/users/u/lessons/l"
SESSION = f"/video/sessions/{uuid4()}"
REQUESTS = [
    ("PUT", f"{LESSON}/assignment", None),
    ("DELETE", f"{LESSON}/assignment", None),
    ("PUT", f"{SESSION}/close", None),
    ("POST", f"{SESSION}/close", {"segments": [segment(0, 1)]}),
    ("PUT", f"/video/attempts/{uuid4()}/complete", None),
    ("GET", "/video/lessons/l", None),
    ("GET", f"{LESSON}/progress", None),
    ("GET", f"{LESSON}/evidence", None),
    ("GET", "/video/lessons/l/engagement", None),
    ("GET", "/video/users/u/unassigned-history", None),
    ("POST", "/video/progress/bulk", {"items": [{"sessionId": str(uuid4()), "segments": [segment(0, 1)]}]}),
    ("POST", f"{SESSION}/progress", {"segments": [segment(0, 1)]}),
    ("PUT", "/video/lessons/l", {"durationSecond": 100}),
    ("POST", "/video/sessions", {"userId": "u", "lessonId": "l"}),
    ("POST", "/video/sessions", {"userId": "u", "lessonId": "l", "isAssigned": True}),
    ("GET", f"{SESSION}/skip-analytics", None),
    ("PUT", f"{SESSION}/heartbeat", None),
    ("POST", "/jobs/sweep-stale-sessions", None),
    ("POST", "/jobs/maintain-partitions", None),
    ("POST", "/jobs/archive-segments", None),
]


def test_every_function_is_tried_without_a_database() -> None:
    found = [functions.find(method, path) for method, path, _ in REQUESTS]
    assert {function.endpoint.name for function in found if function} == set(functions.load_all())


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_without_a_database_every_function_is_unavailable(
    method: str, path: str, body: Any, service: Person, scheduler: Person
) -> None:
    caller = scheduler if path.startswith("/jobs/") else service
    with deployed(DATABASE_URL="postgresql://u@127.0.0.1:9/nowhere"), in_time(1):
        assert_unavailable(caller.send(method, path, body))


def test_when_the_connections_are_used_up_requests_are_refused_in_time(viewer: Viewer) -> None:
    with deployed(DATABASE_CONNECTIONS="1"):

        def ask(_: db.Tx) -> TestResponse:
            return viewer.send("PUT", f"/video/sessions/{viewer.session_id}/heartbeat")

        with in_time(AN_ANSWER_TAKES_S):
            assert_unavailable(db.pool().run(ask))
        viewer.touch()


def test_a_session_that_somebody_else_holds_is_answered_for_in_time_and_nothing_is_stored(
    viewer: Viewer, database_url: str
) -> None:
    session = f"/video/sessions/{viewer.session_id}"
    with closing(db.direct(database_url, 60_000)) as other, ThreadPoolExecutor(3) as clients:
        other.run("BEGIN")
        other.run("SELECT FROM watch_session WHERE session_id = :id FOR UPDATE", id=viewer.session_id)
        with in_time(AN_ANSWER_TAKES_S):
            answers = [
                clients.submit(viewer.send, "POST", f"{session}/progress", {"segments": [segment(0, 10)]}),
                clients.submit(viewer.send, "PUT", f"{session}/heartbeat"),
                clients.submit(viewer.send, "PUT", f"{session}/close"),
            ]
            for answer in answers:
                assert_unavailable(answer.result())
    assert viewer.close()["coverageSecond"] == 0
