"""POST /video/progress/bulk."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, seek, segment

PATH = "/video/progress/bulk"
ANSWER = {
    "sessionId",
    "status",
    "sessionStatus",
    "attemptId",
    "late",
    "accepted",
    "duplicates",
    "conflicts",
    "rejected",
    "coverageSecond",
    "effectiveSecond",
    "maxVerifiedSecond",
    "resumeSecond",
    "seekPolicy",
}


def send(person: Person, *items: Any) -> list[Any]:
    answer = person.post(PATH, {"items": list(items)})
    assert set(answer) == {"results"}
    return list(answer["results"])


def buffered(session_id: object, *segments: Any, **more: Any) -> dict[str, Any]:
    return {"sessionId": str(session_id), "segments": list(segments)} | more


def test_what_was_buffered_for_several_sessions_is_recorded_and_answered_session_by_session(viewer: Viewer) -> None:
    first, second = viewer.session_id, viewer.start()["sessionId"]

    results = send(
        viewer,
        buffered(first, segment(0, 10), seeks=[seek(10, 40)]),
        buffered(second, segment(40, 60, 2)),
    )

    assert [set(result) for result in results] == [ANSWER, ANSWER]
    assert [(result["sessionId"], result["status"]) for result in results] == [(first, 200), (second, 200)]
    assert [result["sessionStatus"] for result in results] == ["open", "open"]
    assert [result["accepted"] for result in results] == [2, 1]
    assert (results[1]["coverageSecond"], results[1]["effectiveSecond"]) == (20, 10)
    assert viewer.progress()["aggregates"]["coverageSecond"] == 30


def test_one_item_that_is_wrong_does_not_block_the_others(viewer: Viewer, database_url: str) -> None:
    foreign = Viewer(viewer.lesson_id)
    foreign.start()
    first, archived = viewer.session_id, viewer.start()["sessionId"]
    viewer.close()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=archived)
    unknown, bad = str(uuid4()), segment(5, 1)

    results = send(
        viewer,
        buffered(first, segment(0, 10)),
        buffered(foreign.session_id, segment(10, 20)),
        buffered(unknown, segment(10, 20)),
        buffered(archived, segment(10, 20)),
        buffered(first, bad),
        buffered(first, segment(20, 30)) | {"points": 1},
        {"segments": []},
        {"sessionId": "one"},
        None,
        [],
        "x",
        buffered(first, segment(30, 40)),
    )

    assert [result["status"] for result in results] == [200, 404, 404, 410, 422, 422, 422, 422, 422, 422, 422, 200]
    assert [result["sessionId"] for result in results] == [
        first,
        foreign.session_id,
        unknown,
        archived,
        first,
        first,
        None,
        "one",
        None,
        None,
        None,
        first,
    ]
    assert results[1] | {"sessionId": 0} == results[2] | {"sessionId": 0}
    assert results[1]["type"] == "urn:watchledger:problem:session-not-found"
    assert results[3]["type"] == "urn:watchledger:problem:session-archived"
    assert results[4]["errors"] == [
        {
            "pointer": "/segments/0",
            "clientEventId": bad["clientEventId"],
            "detail": results[4]["errors"][0]["detail"],
        }
    ]
    assert [error["pointer"] for error in results[5]["errors"]] == ["/points"]
    assert all(result["title"] for result in results if result["status"] != 200)
    assert viewer.progress()["aggregates"]["watchedRanges"] == [[0, 10], [30, 40]]
    assert foreign.progress()["aggregates"]["coverageSecond"] == 0


def test_a_bad_event_is_refused_alone_within_its_item(viewer: Viewer) -> None:
    bad = segment(5, 1)

    [result] = send(viewer, buffered(viewer.session_id, segment(0, 10), bad))

    assert (result["status"], result["accepted"]) == (200, 1)
    assert [one["pointer"] for one in result["rejected"]] == ["/segments/1"]
    assert [one["clientEventId"] for one in result["rejected"]] == [bad["clientEventId"]]


def test_a_nan_in_one_item_does_not_spoil_the_body(viewer: Viewer) -> None:
    bad = segment(0, 10) | {"startSecond": float("nan"), "endSecond": float("inf")}
    body = json.dumps({"items": [buffered(viewer.session_id, bad, segment(0, 10))]})

    response = viewer.send("POST", PATH, data=body, headers={"Content-Type": "application/json"})

    [result] = response.get_json()["results"]
    assert (result["status"], result["accepted"], len(result["rejected"])) == (200, 1, 1)


def test_the_same_session_twice_is_recorded_one_after_the_other(viewer: Viewer) -> None:
    same = segment(0, 10)

    first, second = send(viewer, buffered(viewer.session_id, same), buffered(viewer.session_id, same, segment(10, 20)))

    assert (first["accepted"], second["accepted"], second["duplicates"]) == (1, 1, 1)
    assert second["coverageSecond"] == 20


def test_a_bulk_that_is_sent_again_changes_nothing(viewer: Viewer) -> None:
    jump = {"fromSecond": 10, "toSecond": 40}
    item = buffered(viewer.session_id, segment(0, 10), seeks=[jump], close=True)
    send(viewer, item)

    [again] = send(viewer, item)

    assert (again["status"], again["accepted"], again["duplicates"]) == (200, 0, 2)
    assert viewer.skips()["seekCount"] == 1


def test_close_ends_the_session_after_its_progress(viewer: Viewer) -> None:
    [result] = send(viewer, buffered(viewer.session_id, segment(0, 10), close=True))

    assert (result["status"], result["sessionStatus"], result["late"]) == (200, "closed", False)
    assert viewer.progress()["sessions"][0]["status"] == "closed"
    assert viewer.close()["coverageSecond"] == 10


def test_what_comes_after_a_close_is_late(viewer: Viewer) -> None:
    results = send(
        viewer,
        buffered(viewer.session_id, segment(0, 10), close=True),
        buffered(viewer.session_id, segment(10, 20)),
    )

    assert [result["late"] for result in results] == [False, True]
    assert results[1]["coverageSecond"] == 20


def test_a_stale_session_is_opened_again_and_stays_open_without_close(viewer: Viewer) -> None:
    viewer.fall_silent()

    [result] = send(viewer, buffered(viewer.session_id, segment(0, 10)))

    assert (result["sessionStatus"], result["late"]) == ("open", False)


def test_an_item_without_events_is_a_sign_of_life(viewer: Viewer) -> None:
    viewer.grow_older(100)
    before = viewer.progress()["sessions"][0]["lastHeartbeatAt"]

    [result] = send(viewer, {"sessionId": viewer.session_id})

    assert result["status"] == 200
    assert viewer.progress()["sessions"][0]["lastHeartbeatAt"] > before


def test_50_sessions_are_taken(viewer: Viewer) -> None:
    results = send(viewer, *(buffered(viewer.session_id, segment(n, n + 1)) for n in range(50)))

    assert [result["status"] for result in results] == [200] * 50
    assert results[-1]["coverageSecond"] == 50


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": [{}] * 51}, "/items"),
        ({"items": []}, "/items"),
        ({"items": {}}, "/items"),
        ({}, "/items"),
        ({"items": [{}], "sessionId": 1}, "/sessionId"),
        ([], ""),
    ],
    ids=["51 sessions", "none", "an object", "nothing", "an unknown member", "a list"],
)
def test_a_bulk_that_is_wrong_as_a_whole_is_refused_whole(viewer: Viewer, body: Any, pointer: str) -> None:
    [error] = problem(viewer.send("POST", PATH, body), 422)["errors"]

    assert error["pointer"] == pointer


def test_a_service_records_for_several_users(viewer: Viewer, service: Person) -> None:
    other = Viewer(viewer.lesson_id)
    other.start()

    results = send(service, buffered(viewer.session_id, segment(0, 10)), buffered(other.session_id, segment(0, 20)))

    assert [result["coverageSecond"] for result in results] == [10, 20]
