"""GET /video/users/{userId}/unassigned-history."""

from collections.abc import Callable
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem

MEMBERS = {
    "lessonId",
    "attemptId",
    "sessionId",
    "status",
    "startedAt",
    "closedAt",
    "coverageSecond",
    "effectiveSecond",
    "creditedAttemptId",
}
NewLesson = Callable[..., str]


def history(person: Person, **query: object) -> str:
    asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return f"/video/users/{person.user_id}/unassigned-history" + (f"?{asked}" if asked else "")


def test_a_history_is_the_users_unassigned_sessions_the_newest_first(viewer: Viewer, new_lesson: NewLesson) -> None:
    viewer.watch((0, 10, 2), (95, 105))
    viewer.close()
    other = Viewer(new_lesson(), viewer.user_id)
    other.start()

    page = viewer.get(history(viewer))

    assert set(page) == {"items", "nextCursor"}
    assert page["nextCursor"] is None
    newest, oldest = page["items"]
    assert set(newest) == set(oldest) == MEMBERS
    assert (newest["lessonId"], newest["sessionId"]) == (other.lesson_id, other.session_id)
    assert (newest["status"], newest["closedAt"], newest["coverageSecond"]) == ("open", None, 0)
    assert (oldest["sessionId"], oldest["attemptId"]) == (viewer.session_id, viewer.attempt_id)
    assert (oldest["status"], oldest["creditedAttemptId"]) == ("closed", None)
    assert (oldest["coverageSecond"], oldest["effectiveSecond"]) == (15, 15)
    assert oldest["closedAt"] > oldest["startedAt"]


def test_somebody_who_watched_nothing_has_an_empty_history() -> None:
    nobody = Person()

    assert nobody.get(history(nobody)) == {"items": [], "nextCursor": None}


def test_assigned_sessions_are_not_in_it(viewer: Viewer, service: Person) -> None:
    before = viewer.session_id
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}
    service.post("/video/sessions", body)

    page = viewer.get(history(viewer))

    assert [item["sessionId"] for item in page["items"]] == [before]
    assert page["items"][0]["creditedAttemptId"] == viewer.attempt_id


def test_a_cursor_goes_on_where_the_page_ended(viewer: Viewer) -> None:
    started = [viewer.session_id, *(viewer.start()["sessionId"] for _ in range(6))]
    listed: list[str] = []
    pages = 0
    query: dict[str, object] = {"limit": 3}
    while True:
        page = viewer.get(history(viewer, **query))
        pages += 1
        listed += [item["sessionId"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]

    assert listed == started[::-1]
    assert pages == 3


def test_the_last_page_has_no_cursor_even_when_it_is_full(viewer: Viewer) -> None:
    viewer.start()

    page = viewer.get(history(viewer, limit=2))

    assert (len(page["items"]), page["nextCursor"]) == (2, None)


def test_a_session_that_starts_meanwhile_does_not_shift_the_pages(viewer: Viewer) -> None:
    first = viewer.session_id
    viewer.start()
    page = viewer.get(history(viewer, limit=1))
    viewer.start()

    rest = viewer.get(history(viewer, limit=5, cursor=page["nextCursor"]))

    assert [item["sessionId"] for item in rest["items"]] == [first]


def test_a_history_can_be_of_one_lesson(viewer: Viewer, new_lesson: NewLesson) -> None:
    other = Viewer(new_lesson(), viewer.user_id)
    other.start()

    for somebody in (viewer, other):
        page = viewer.get(history(viewer, lessonId=somebody.lesson_id))
        assert [item["sessionId"] for item in page["items"]] == [somebody.session_id]
    assert viewer.get(history(viewer, lessonId="no such lesson"))["items"] == []


def test_the_lesson_asked_for_may_have_any_characters() -> None:
    somebody = Viewer(f"a/b & c=ü+% {uuid4()}")
    somebody.start()

    page = somebody.get(history(somebody, lessonId=somebody.lesson_id))

    assert [item["lessonId"] for item in page["items"]] == [somebody.lesson_id]


@pytest.mark.parametrize("limit", [1, 200])
def test_a_page_has_1_to_200_sessions(viewer: Viewer, limit: int) -> None:
    assert len(viewer.get(history(viewer, limit=limit))["items"]) == 1


def test_a_page_has_50_sessions_when_nothing_is_said(viewer: Viewer) -> None:
    for _ in range(50):
        viewer.start()

    page = viewer.get(history(viewer))

    assert len(page["items"]) == 50
    assert page["nextCursor"] == page["items"][-1]["sessionId"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": 10**30}, "limit"),
        ({"cursor": "next"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": 5}, "cursor"),
        ({"lessonId": ""}, "lessonId"),
        ({"lessonId": "x" * 129}, "lessonId"),
        ({"lessonId": "\0"}, "lessonId"),
        ({"offset": 5}, "offset"),
    ],
    ids=str,
)
def test_a_query_that_is_wrong_is_422_and_names_the_parameter(
    viewer: Viewer, query: dict[str, object], parameter: str
) -> None:
    [error] = problem(viewer.send("GET", history(viewer, **query)), 422)["errors"]

    assert error["parameter"] == parameter and error["detail"]


def test_a_cursor_of_another_users_page_shows_nothing_of_that_user(viewer: Viewer) -> None:
    other = Viewer(viewer.lesson_id)
    other.start()

    page = viewer.get(history(viewer, cursor=other.session_id))

    assert [item["sessionId"] for item in page["items"]] == [viewer.session_id]


def test_anothers_history_is_404_for_a_player_and_readable_for_a_manager_and_a_service(
    viewer: Viewer, manager: Person, service: Person
) -> None:
    assert problem(Person().send("GET", history(viewer)), 404)
    for person in (manager, service):
        assert person.get(history(viewer)) == viewer.get(history(viewer))
