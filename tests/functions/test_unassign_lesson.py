"""DELETE /video/users/{userId}/lessons/{lessonId}/assignment."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, send, stored

NewLesson = Callable[..., str]


@pytest.fixture
def veteran(new_lesson: NewLesson) -> Viewer:
    """Somebody with a completed attempt, two more sessions and one that is too old to be credited."""
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.25))
    for stretch, days_ago in (((0, 10), 400), ((5, 20), 30)):
        viewer.start()
        viewer.watch(stretch)
        viewer.close()
        viewer.grow_older(days_ago * 86_400)
    viewer.complete()
    viewer.start()
    viewer.watch((40, 60, 2))
    viewer.fall_silent()
    viewer.start()
    viewer.watch((80, 90))
    return viewer


def test_what_was_before_the_assignment_is_back_to_the_byte(
    veteran: Viewer, service: Person, database_url: str
) -> None:
    before, seen = stored(database_url, veteran.user_id), veteran.progress()
    assigned = service.put(veteran.assignment)
    assert len(assigned["creditedSessions"]) == 3
    assert stored(database_url, veteran.user_id) != before

    service.delete(veteran.assignment)

    assert stored(database_url, veteran.user_id) == before
    assert veteran.progress() == seen
    assert set(veteran.credits().values()) == {None}


def test_what_was_before_is_back_where_an_attempt_was_made_for_the_credit(
    veteran: Viewer, service: Person, database_url: str
) -> None:
    veteran.close()
    veteran.complete()
    before = stored(database_url, veteran.user_id)
    assert service.put(veteran.assignment)["attemptNo"] == 3

    answer = service.delete(veteran.assignment)

    assert (answer["attemptId"], answer["attemptNo"]) == (veteran.attempt_id, 2)
    assert stored(database_url, veteran.user_id) == before


def test_the_answer_is_the_attempt_that_is_left(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 20))
    service.put(viewer.assignment)

    answer = service.delete(viewer.assignment)

    assert answer == {
        "attemptId": viewer.attempt_id,
        "attemptNo": 1,
        "creditedSessions": [],
        "creditedSecond": 0,
        "coverageRatio": 0.2,
    }
    assert not viewer.progress()["attempt"]["isAssigned"]


def test_taking_it_back_twice_changes_nothing_more(veteran: Viewer, service: Person, database_url: str) -> None:
    service.put(veteran.assignment)
    first = service.delete(veteran.assignment)
    before = stored(database_url, veteran.user_id)

    assert service.delete(veteran.assignment) == first
    assert stored(database_url, veteran.user_id) == before


def test_taking_back_what_was_never_assigned_changes_nothing(
    veteran: Viewer, service: Person, database_url: str
) -> None:
    before = stored(database_url, veteran.user_id)

    assert service.delete(veteran.assignment)["attemptId"] == veteran.attempt_id

    assert stored(database_url, veteran.user_id) == before


# The attempt that was made for it


def test_an_attempt_that_was_made_and_never_opened_is_gone(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    service.put(viewer.assignment)

    answer = service.delete(viewer.assignment)

    assert (answer["attemptId"], answer["attemptNo"], answer["coverageRatio"]) == (None, None, None)
    problem(service.send("GET", f"/video/users/{viewer.user_id}/lessons/{viewer.lesson_id}/progress"), 404)
    problem(service.send("DELETE", viewer.assignment), 404)
    assert viewer.start()["attemptNo"] == 1


def test_an_attempt_that_was_made_and_then_watched_in_stays(
    new_lesson: NewLesson, service: Person, database_url: str
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    made = service.put(viewer.assignment)
    viewer.start()
    viewer.watch((0, 20))

    answer = service.delete(viewer.assignment)

    assert (answer["attemptId"], answer["coverageRatio"]) == (made["attemptId"], 0.2)
    assert viewer.credits() == {viewer.session_id: None}
    attempt = "SELECT made_for_credit FROM lesson_attempt WHERE user_id = :user_id"
    assert run(database_url, attempt, user_id=viewer.user_id) == [[False]]
    service.put(viewer.assignment)
    assert service.delete(viewer.assignment)["attemptId"] == made["attemptId"]


def test_an_attempt_that_was_made_and_opened_stays_for_what_is_still_to_come(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    made = service.put(viewer.assignment)
    viewer.start()

    assert service.delete(viewer.assignment)["attemptId"] == made["attemptId"]

    assert viewer.watch((0, 20))["coverageSecond"] == 20


def test_an_attempt_that_was_made_and_completed_stays(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 20))
    viewer.close()
    viewer.complete()
    made = service.put(viewer.assignment)
    service.put(f"/video/attempts/{made['attemptId']}/complete")

    answer = service.delete(viewer.assignment)

    assert (answer["attemptId"], answer["coverageRatio"]) == (made["attemptId"], 0)
    assert viewer.progress()["attempt"]["status"] == "completed"
    assert viewer.start()["attemptNo"] == 3


# What was watched under the assignment


def test_a_session_that_was_started_under_the_assignment_becomes_an_unassigned_one(
    viewer: Viewer, service: Person
) -> None:
    before = viewer.session_id
    viewer.watch((0, 20))
    service.put(viewer.assignment)
    viewer.start()
    viewer.watch((50, 60))
    viewer.close()
    viewer.start()

    service.delete(viewer.assignment)

    assert len(viewer.credits()) == 3
    assert viewer.credits()[before] is None
    assert viewer.watch((70, 80))["coverageSecond"] == 20
    assert viewer.progress()["aggregates"]["watchedRanges"] == [[0, 20], [50, 60], [70, 80]]
    viewer.jump(80, 95)
    [skip] = viewer.skips()["skips"]
    assert skip["reason"] == "beyond_verified"


def test_every_assigned_attempt_of_the_lesson_is_an_unassigned_one_again(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 20))
    service.put(viewer.assignment)
    viewer.complete()
    viewer.start()
    viewer.watch((50, 60))
    viewer.complete()
    third = viewer.start()
    assert third["isAssigned"]

    answer = service.delete(viewer.assignment)

    assert answer["attemptNo"] == 3
    assert set(viewer.credits().values()) == {None}
    viewer.complete()
    assert not viewer.start()["isAssigned"]


def test_an_assignment_after_an_assignment_gives_the_same_credit(veteran: Viewer, service: Person) -> None:
    first = service.put(veteran.assignment)
    seen = veteran.progress()
    service.delete(veteran.assignment)

    assert service.put(veteran.assignment) == first
    assert veteran.progress() == seen


def test_what_comes_late_after_the_assignment_was_taken_back_counts_where_it_was_watched(
    viewer: Viewer, service: Person, database_url: str
) -> None:
    viewer.watch((0, 20))
    viewer.close()
    viewer.complete()
    service.put(viewer.assignment)
    service.delete(viewer.assignment)

    assert viewer.watch((20, 30))["coverageSecond"] == 30

    [[coverage]] = run(database_url, "SELECT coverage::text FROM lesson_attempt WHERE user_id = :u", u=viewer.user_id)
    assert coverage == "{[0,30000)}"


# Whose it is


def test_nothing_is_known_of_a_stranger_or_another_lesson(viewer: Viewer, service: Person) -> None:
    problem(service.send("DELETE", f"/video/users/{uuid4()}/lessons/{viewer.lesson_id}/assignment"), 404)
    problem(service.send("DELETE", f"/video/users/{viewer.user_id}/lessons/{uuid4()}/assignment"), 404)


def test_other_lessons_and_other_people_keep_their_assignment(
    viewer: Viewer, new_lesson: NewLesson, service: Person, database_url: str
) -> None:
    elsewhere, somebody_else = Viewer(new_lesson(), viewer.user_id), Viewer(viewer.lesson_id)
    for other in (viewer, elsewhere, somebody_else):
        other.start()
        service.put(other.assignment)
    before = stored(database_url, somebody_else.user_id)

    service.delete(viewer.assignment)

    assert elsewhere.progress()["attempt"]["isAssigned"]
    assert elsewhere.credits() == {elsewhere.session_id: elsewhere.attempt_id}
    assert stored(database_url, somebody_else.user_id) == before


@pytest.mark.parametrize("role", ["player", "manager"])
def test_only_a_service_takes_an_assignment_back(viewer: Viewer, service: Person, role: str) -> None:
    service.put(viewer.assignment)

    problem(Person(viewer.user_id, role).send("DELETE", viewer.assignment), 403)

    assert viewer.progress()["attempt"]["isAssigned"]


def test_the_scheduler_takes_no_assignment_back(viewer: Viewer, scheduler: Person) -> None:
    problem(scheduler.send("DELETE", viewer.assignment), 403)


def test_nobody_takes_an_assignment_back_without_a_token(viewer: Viewer) -> None:
    problem(send("DELETE", viewer.assignment), 401)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_assignment_is_put_or_deleted(viewer: Viewer, service: Person, method: str) -> None:
    answer: Any = service.send(method, viewer.assignment)
    problem(answer, 405)
