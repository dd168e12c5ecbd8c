"""PUT /video/sessions/{sessionId}/heartbeat."""

from typing import Any
from uuid import uuid4

from tests.conftest import Person, Viewer, problem, run


def session_of(viewer: Viewer) -> dict[str, Any]:
    [found] = [one for one in viewer.progress()["sessions"] if one["sessionId"] == viewer.session_id]
    return dict(found)


def beat(session_id: object) -> str:
    return f"/video/sessions/{session_id}/heartbeat"


def test_a_heartbeat_answers_when_the_session_was_last_alive(viewer: Viewer) -> None:
    viewer.grow_older(200)
    before = session_of(viewer)["lastHeartbeatAt"]

    answer = viewer.touch()

    assert set(answer) == {"sessionId", "status", "lastHeartbeatAt"}
    assert (answer["sessionId"], answer["status"]) == (viewer.session_id, "open")
    assert answer["lastHeartbeatAt"] == session_of(viewer)["lastHeartbeatAt"] > before


def test_a_heartbeat_needs_no_body_and_minds_none(viewer: Viewer) -> None:
    for options in ({}, {"data": b"ping"}, {"json": {"at": 1}}):
        assert viewer.send("PUT", beat(viewer.session_id), **options).status_code == 200


def test_a_heartbeat_of_a_stale_session_opens_it_again(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.fall_silent()
    ended = session_of(viewer)
    assert (ended["status"], ended["closedAt"]) == ("stale", ended["lastHeartbeatAt"])

    assert viewer.touch()["status"] == "open"

    alive = session_of(viewer)
    assert (alive["status"], alive["closedAt"]) == ("open", None)
    assert alive["lastHeartbeatAt"] > ended["lastHeartbeatAt"]


def test_a_session_that_was_opened_again_counts_once(viewer: Viewer, database_url: str) -> None:
    viewer.watch((0, 10))
    viewer.fall_silent()

    viewer.touch()

    [[folded]] = run(
        database_url, "SELECT effective_ms FROM lesson_attempt WHERE attempt_id = :id", id=viewer.attempt_id
    )
    assert folded == 0
    assert viewer.progress()["aggregates"]["effectiveSecond"] == 10
    assert viewer.watch((10, 20))["effectiveSecond"] == 20
    assert viewer.close()["effectiveSecond"] == 20


def test_a_heartbeat_of_a_closed_session_is_409(viewer: Viewer) -> None:
    viewer.close()
    ended = session_of(viewer)

    refused = problem(viewer.send("PUT", beat(viewer.session_id)), 409)

    assert refused["type"] == "urn:watchledger:problem:session-closed"
    assert session_of(viewer) == ended


def test_a_session_that_was_archived_while_stale_stays_as_it_is(viewer: Viewer, database_url: str) -> None:
    viewer.fall_silent()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=viewer.session_id)

    assert problem(viewer.send("PUT", beat(viewer.session_id)), 409)
    assert session_of(viewer)["status"] == "stale"


def test_a_heartbeat_of_anothers_session_is_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other = Person()

    foreign = problem(other.send("PUT", beat(viewer.session_id)), 404)
    unknown = problem(other.send("PUT", beat(uuid4())), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None}


def test_a_service_sends_heartbeats_for_a_user(viewer: Viewer, service: Person) -> None:
    assert service.put(beat(viewer.session_id))["status"] == "open"
    assert problem(service.send("PUT", beat(uuid4())), 404)
