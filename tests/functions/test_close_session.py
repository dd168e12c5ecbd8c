"""PUT and POST /video/sessions/{sessionId}/close."""

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, seek, segment


def session_of(viewer: Viewer) -> dict[str, Any]:
    [found] = [one for one in viewer.progress()["sessions"] if one["sessionId"] == viewer.session_id]
    return dict(found)


def end(session_id: object) -> str:
    return f"/video/sessions/{session_id}/close"


def test_a_close_ends_the_session_and_gives_the_attempts_totals(viewer: Viewer) -> None:
    viewer.watch((0, 30, 2), (50, 60))

    answer = viewer.close()

    assert answer == {
        "sessionId": viewer.session_id,
        "status": "closed",
        "attemptId": viewer.attempt_id,
        "coverageSecond": 40,
        "effectiveSecond": 25,
        "coverageRatio": 0.4,
        "maxVerifiedSecond": 30,
    }
    ended = session_of(viewer)
    assert ended["status"] == "closed"
    assert ended["closedAt"] == ended["lastHeartbeatAt"] > ended["startedAt"]


def test_closing_again_changes_nothing_and_gives_the_same_totals(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    first, ended = viewer.close(), session_of(viewer)

    assert viewer.close() == first
    assert session_of(viewer) == ended


def test_a_close_folds_all_that_ended_in_any_order(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    first = viewer.session_id
    viewer.start()
    viewer.watch((20, 50))

    assert viewer.close()["coverageSecond"] == 30
    both = viewer.close(first)

    assert (both["coverageSecond"], both["effectiveSecond"], both["maxVerifiedSecond"]) == (50, 60, 50)


def test_a_session_in_which_nothing_was_watched_can_be_closed(viewer: Viewer) -> None:
    answer = viewer.close()

    assert (answer["coverageSecond"], answer["effectiveSecond"], answer["maxVerifiedSecond"]) == (0, 0, 0)
    assert answer["coverageRatio"] == 0


def test_a_beacon_closes_by_post(viewer: Viewer) -> None:
    viewer.watch((0, 30))

    assert viewer.post(end(viewer.session_id)) == viewer.put(end(viewer.session_id))


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_close_may_bring_the_last_progress(viewer: Viewer, method: str) -> None:
    last = {"segments": [segment(0, 30)], "seeks": [seek(30, 50)]}

    answer = viewer.send(method, end(viewer.session_id), last).get_json()

    assert (answer["status"], answer["coverageSecond"]) == ("closed", 30)
    assert viewer.skips()["skipCount"] == 1


def test_a_beacon_that_is_sent_twice_counts_once(viewer: Viewer) -> None:
    last = {"segments": [segment(0, 30)], "seeks": [{"fromSecond": 30, "toSecond": 50}]}
    first, ended = viewer.post(end(viewer.session_id), last), session_of(viewer)

    assert viewer.post(end(viewer.session_id), last) == first
    assert session_of(viewer) == ended


def test_a_bad_item_in_the_last_progress_is_refused_alone(viewer: Viewer) -> None:
    assert viewer.post(end(viewer.session_id), {"segments": [segment(0, 30), segment(5, 1)]})["coverageSecond"] == 30


@pytest.mark.parametrize(
    ("body", "status"),
    [({"data": b"{"}, 400), ({"json": []}, 422), ({"json": {"segments": [None]}}, 422), ({"data": b"x"}, 415)],
)
def test_a_last_progress_that_cannot_be_read_closes_nothing(viewer: Viewer, body: dict[str, Any], status: int) -> None:
    if "data" in body and status == 400:
        body |= {"headers": {"Content-Type": "application/json"}}

    assert problem(viewer.send("POST", end(viewer.session_id), **body), status)
    assert session_of(viewer)["status"] == "open"


def test_a_stale_session_that_is_closed_keeps_its_end(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.fall_silent()
    silent = session_of(viewer)

    answer = viewer.close()

    ended = session_of(viewer)
    assert (answer["status"], answer["coverageSecond"], answer["effectiveSecond"]) == ("closed", 30, 30)
    assert (ended["closedAt"], ended["lastHeartbeatAt"]) == (silent["closedAt"], silent["lastHeartbeatAt"])


def test_an_archived_session_stays_closed_with_its_totals(viewer: Viewer, database_url: str) -> None:
    viewer.watch((0, 30))
    first = viewer.close()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=viewer.session_id)

    assert viewer.close() == first
    assert problem(viewer.send("POST", end(viewer.session_id), {"segments": [segment(40, 50)]}), 410)


def test_the_ratio_is_null_while_the_duration_is_unknown(service: Person) -> None:
    somebody = Viewer(f"lesson-{uuid4()}")
    somebody.start()
    somebody.watch((0, 30))

    answer = somebody.close()

    assert (answer["coverageRatio"], answer["coverageSecond"]) == (None, 30)


def test_closing_anothers_session_is_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other = Person()

    foreign = problem(other.send("PUT", end(viewer.session_id)), 404)
    unknown = problem(other.send("PUT", end(uuid4())), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None}
    assert session_of(viewer)["status"] == "open"


def test_a_service_closes_for_a_user(viewer: Viewer, service: Person) -> None:
    assert service.put(end(viewer.session_id))["status"] == "closed"
    assert problem(service.send("PUT", end(uuid4())), 404)
