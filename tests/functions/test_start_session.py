"""POST /video/sessions."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Person, Viewer, deployed, problem, run

MEMBERS = {
    "sessionId",
    "attemptId",
    "message",
    "attemptNo",
    "isAssigned",
    "resumeSecond",
    "maxVerifiedSecond",
    "coverageRatio",
    "seekPolicy",
}
NewLesson = Callable[..., str]


@pytest.fixture
def players_are_trusted() -> Iterator[None]:
    with deployed(PLAYERS_ARE_TRUSTED="true"):
        yield


def opening(person: Person, lesson_id: str, **more: Any) -> dict[str, Any]:
    return {"userId": person.user_id, "lessonId": lesson_id} | more


def test_a_start_opens_a_session_in_attempt_1(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson(durationSecond=100))

    response = somebody.send("POST", "/video/sessions", opening(somebody, somebody.lesson_id))

    started = response.get_json()
    assert response.status_code == 201
    assert set(started) == MEMBERS
    assert started["attemptNo"] == 1
    assert started["isAssigned"] is False
    assert started["seekPolicy"] == "flag"
    assert "attempt 1" in started["message"]


def test_ids_are_uuids_and_the_sessions_is_ordered_by_time(viewer: Viewer) -> None:
    first, second = UUID(viewer.session_id), UUID(viewer.start()["sessionId"])

    assert first.version == second.version == 7
    assert first < second


def test_nothing_watched_is_no_resume_position_nothing_verified_and_ratio_0(new_lesson: NewLesson) -> None:
    started = Viewer(new_lesson(durationSecond=100)).start()

    assert (started["resumeSecond"], started["maxVerifiedSecond"], started["coverageRatio"]) == (None, 0, 0)


def test_the_ratio_is_null_while_the_duration_is_unknown(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson())
    somebody.start()
    somebody.watch((0, 10))

    assert somebody.start()["coverageRatio"] is None


def test_a_lesson_that_nobody_wrote_is_made_with_the_default_policy(manager: Person) -> None:
    somebody = Viewer(f"lesson-{uuid4()}")

    assert somebody.start()["seekPolicy"] == "flag"

    assert manager.get(f"/video/lessons/{somebody.lesson_id}")["durationSecond"] is None


def test_a_second_start_joins_the_active_attempt_and_says_what_was_watched(viewer: Viewer) -> None:
    viewer.watch((0, 10), (20, 45))

    again = viewer.start()

    assert again["attemptNo"] == 1
    assert (again["resumeSecond"], again["maxVerifiedSecond"], again["coverageRatio"]) == (45, 10, 0.35)


def test_open_and_ended_sessions_count_alike_in_what_a_start_says(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.close()
    viewer.start()
    viewer.watch((10, 30))

    assert viewer.start()["maxVerifiedSecond"] == 30


def test_the_resume_position_is_within_the_lesson(viewer: Viewer) -> None:
    viewer.watch((90, 130))

    assert viewer.start()["resumeSecond"] == 100


@pytest.mark.parametrize("policy", ["free", "flag", "block"])
def test_a_start_tells_the_seek_policy(new_lesson: NewLesson, policy: str) -> None:
    assert Viewer(new_lesson(seekPolicy=policy)).start()["seekPolicy"] == policy


def test_a_start_after_completion_opens_the_next_attempt(viewer: Viewer) -> None:
    viewer.watch((0, 40))
    viewer.complete()

    again = viewer.start()

    assert again["attemptNo"] == 2
    assert (again["resumeSecond"], again["maxVerifiedSecond"], again["coverageRatio"]) == (None, 0, 0)


def test_the_same_idempotency_key_gives_the_same_session_with_200(viewer: Viewer) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = opening(viewer, viewer.lesson_id)
    first = viewer.send("POST", "/video/sessions", body, headers=key)

    again = viewer.send("POST", "/video/sessions", body, headers=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert set(again.get_json()) == MEMBERS
    same = MEMBERS - {"message"}
    assert {name: again.get_json()[name] for name in same} == {name: first.get_json()[name] for name in same}


def test_a_replay_says_what_was_watched_meanwhile(viewer: Viewer) -> None:
    key = {"headers": {"Idempotency-Key": str(uuid4())}}
    viewer.start(**key)
    viewer.watch((0, 30))

    assert viewer.start(**key)["maxVerifiedSecond"] == 30


def test_a_replay_after_completion_gives_the_session_of_the_completed_attempt(viewer: Viewer) -> None:
    key = {"headers": {"Idempotency-Key": str(uuid4())}}
    started = viewer.start(**key)
    viewer.complete()

    again = viewer.start(**key)

    assert (again["sessionId"], again["attemptNo"]) == (started["sessionId"], 1)


def test_starts_with_other_keys_or_none_are_other_sessions(viewer: Viewer) -> None:
    sessions = {viewer.start(headers={"Idempotency-Key": str(uuid4())})["sessionId"] for _ in range(2)}
    sessions |= {viewer.start()["sessionId"] for _ in range(2)}

    assert len(sessions) == 4


def test_the_same_key_of_another_user_is_another_session(viewer: Viewer) -> None:
    other, key = Viewer(viewer.lesson_id), {"headers": {"Idempotency-Key": "1"}}

    assert viewer.start(**key)["sessionId"] != other.start(**key)["sessionId"]


def test_the_same_key_for_another_lesson_is_422(viewer: Viewer, new_lesson: NewLesson) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    viewer.start(headers=key)
    body = opening(viewer, new_lesson())

    refused = problem(viewer.send("POST", "/video/sessions", body, headers=key), 422)

    assert refused["type"] == "urn:watchledger:problem:idempotency-key-reused"
    history = viewer.get(f"/video/users/{viewer.user_id}/unassigned-history")
    assert {item["lessonId"] for item in history["items"]} == {viewer.lesson_id}


@pytest.mark.parametrize(("key", "status"), [("x", 201), ("x" * 255, 201), ("x" * 256, 422), ("", 422)])
def test_an_idempotency_key_has_1_to_255_characters(viewer: Viewer, key: str, status: int) -> None:
    body = opening(viewer, viewer.lesson_id)

    response = viewer.send("POST", "/video/sessions", body, headers={"Idempotency-Key": key})

    assert response.status_code == status
    if status == 422:
        assert response.get_json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_player_cannot_make_itself_assigned(viewer: Viewer) -> None:
    started = viewer.post("/video/sessions", opening(viewer, viewer.lesson_id, isAssigned=True))

    assert started["isAssigned"] is False
    assert viewer.progress()["attempt"]["isAssigned"] is False


def test_is_assigned_counts_from_a_service(viewer: Viewer, service: Person) -> None:
    started = service.post("/video/sessions", opening(viewer, viewer.lesson_id, isAssigned=True))

    assert started["isAssigned"] is True
    assert viewer.progress()["attempt"]["isAssigned"] is True
    assert viewer.start()["isAssigned"] is True


@pytest.mark.usefixtures("players_are_trusted")
def test_is_assigned_counts_from_a_player_where_players_are_trusted(viewer: Viewer) -> None:
    assert viewer.post("/video/sessions", opening(viewer, viewer.lesson_id, isAssigned=True))["isAssigned"] is True


def test_not_assigned_in_the_body_takes_no_assignment_back(viewer: Viewer, service: Person) -> None:
    service.post("/video/sessions", opening(viewer, viewer.lesson_id, isAssigned=True))

    assert service.post("/video/sessions", opening(viewer, viewer.lesson_id, isAssigned=False))["isAssigned"] is True


def test_a_service_starts_for_a_user(viewer: Viewer, service: Person) -> None:
    service.post("/video/sessions", opening(viewer, viewer.lesson_id))

    assert len(viewer.progress()["sessions"]) == 2


def test_a_player_starts_only_for_itself(viewer: Viewer) -> None:
    body = opening(Person(), viewer.lesson_id)

    assert problem(viewer.send("POST", "/video/sessions", body), 404)["type"].endswith(":user-not-found")


def test_what_the_client_says_of_itself_is_kept(viewer: Viewer, database_url: str) -> None:
    info = {"agent": "Firefox", "größe": [1, 2.5, None, True, {"a": "\n"}]}
    body = opening(viewer, viewer.lesson_id, clientInfo=info, startedAt="2026-01-31T10:00:00+05:30")

    started = viewer.post("/video/sessions", body)

    [[kept, moment]] = run(
        database_url,
        "SELECT client_info, client_started_at::text FROM watch_session WHERE session_id = :session_id",
        session_id=started["sessionId"],
    )
    assert kept == info
    assert moment == "2026-01-31 04:30:00+00"


def test_the_clients_own_start_makes_no_session_look_older(viewer: Viewer) -> None:
    body = opening(viewer, viewer.lesson_id, startedAt="2020-01-01T00:00:00Z")

    started = viewer.post("/video/sessions", body)

    newest = viewer.progress()["sessions"][0]
    assert newest["sessionId"] == started["sessionId"]
    assert newest["startedAt"] > "2021"


@pytest.mark.parametrize("wrong", [{"userId": 5}, {"lessonId": ""}, {"clientInfo": {"a": "\0"}}, {"points": 1}])
def test_a_start_that_is_wrong_is_422_and_opens_nothing(viewer: Viewer, wrong: dict[str, Any]) -> None:
    body = opening(viewer, viewer.lesson_id) | wrong

    [error] = problem(viewer.send("POST", "/video/sessions", body), 422)["errors"]

    assert error["pointer"] == "/" + next(iter(wrong))
    assert len(viewer.progress()["sessions"]) == 1


@pytest.mark.parametrize("name", ["a/b c", "100 %", "äöü€😀", "x" * 128, " ", "../..", "a?b#c"])
def test_a_lessons_id_is_any_1_to_128_characters_of_the_callers_own(name: str) -> None:
    somebody = Viewer(name)

    assert somebody.start()["attemptNo"] == 1
