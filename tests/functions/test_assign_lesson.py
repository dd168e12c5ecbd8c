"""PUT /video/users/{userId}/lessons/{lessonId}/assignment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, database, deployed, ok, problem, run, segment, send, stored

DAY_S = 86_400
NewLesson = Callable[..., str]


def watched(viewer: Viewer) -> Any:
    return viewer.progress()["aggregates"]["watchedRanges"]


def watch_and_close(viewer: Viewer, *stretches: tuple[float, ...], days_ago: float = 0) -> str:
    """A whole session, some days ago; its id."""
    viewer.start()
    viewer.watch(*stretches)
    viewer.close()
    viewer.grow_older(days_ago * DAY_S)
    return viewer.session_id


# Which attempt is assigned


def test_without_an_attempt_an_assigned_one_is_made(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))

    answer = service.put(viewer.assignment)

    attempt = viewer.progress()["attempt"]
    assert (attempt["attemptNo"], attempt["status"], attempt["isAssigned"]) == (1, "active", True)
    assert answer == {
        "attemptId": attempt["attemptId"],
        "attemptNo": 1,
        "creditedSessions": [],
        "creditedSecond": 0,
        "coverageRatio": 0,
    }


def test_a_lesson_that_nobody_knew_of_can_be_assigned(service: Person) -> None:
    viewer = Viewer(f"lesson-{uuid4()}")

    answer = service.put(viewer.assignment)

    assert (answer["attemptNo"], answer["coverageRatio"]) == (1, None)
    assert viewer.start()["attemptId"] == answer["attemptId"]


def test_a_session_after_the_assignment_is_an_assigned_one(viewer: Viewer, service: Person) -> None:
    service.put(viewer.assignment)

    started = viewer.start()

    assert started["isAssigned"]
    assert started["sessionId"] not in viewer.credits()


def test_the_active_attempt_becomes_the_assigned_one(viewer: Viewer, service: Person) -> None:
    assert service.put(viewer.assignment)["attemptId"] == viewer.attempt_id
    assert viewer.progress()["attempt"]["isAssigned"]


def test_after_a_completed_unassigned_attempt_a_new_one_is_made(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 20))
    viewer.close()
    viewer.complete()

    answer = service.put(viewer.assignment)

    assert answer["attemptNo"] == 2
    assert answer["attemptId"] != viewer.attempt_id
    assert answer["creditedSessions"] == [viewer.session_id]
    assert viewer.start()["attemptId"] == answer["attemptId"]


def test_the_attempt_after_a_completed_assigned_one_is_assigned_too(viewer: Viewer, service: Person) -> None:
    credited = viewer.session_id
    viewer.watch((0, 20))
    first = service.put(viewer.assignment)
    viewer.complete()

    second = viewer.start()

    assert (second["attemptNo"], second["isAssigned"]) == (2, True)
    assert watched(viewer) == []
    assert viewer.credits() == {credited: first["attemptId"]}


def test_assigning_the_attempt_after_a_completed_assigned_one_credits_nothing_to_it(
    viewer: Viewer, service: Person
) -> None:
    viewer.watch((0, 20))
    service.put(viewer.assignment)
    viewer.complete()
    second = viewer.start()

    again = service.put(viewer.assignment)

    assert (again["attemptId"], again["attemptNo"]) == (second["attemptId"], 2)
    assert (again["creditedSessions"], again["creditedSecond"]) == ([], 0)


# Assigning again


def test_assigning_again_changes_nothing_and_answers_the_same(
    viewer: Viewer, service: Person, database_url: str
) -> None:
    viewer.watch((0, 20))
    viewer.close()
    first = service.put(viewer.assignment)
    before = stored(database_url, viewer.user_id)

    assert service.put(viewer.assignment) == first
    assert service.put(viewer.assignment, {"assignedAt": "2001-01-01T00:00:00Z"}) == first
    assert stored(database_url, viewer.user_id) == before


def test_a_completed_assigned_attempt_stays_the_assigned_one(
    viewer: Viewer, service: Person, database_url: str
) -> None:
    viewer.watch((0, 20))
    first = service.put(viewer.assignment)
    viewer.complete()
    before = stored(database_url, viewer.user_id)

    assert service.put(viewer.assignment) == first
    assert stored(database_url, viewer.user_id) == before


@pytest.mark.parametrize("policy", [{"creditWindowDays": 3660}, {"creditWindowDays": 0}, {"maxCreditRatio": 0.1}])
def test_a_policy_that_changes_after_the_assignment_changes_nothing_about_it(
    new_lesson: NewLesson, service: Person, database_url: str, policy: dict[str, Any]
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    watch_and_close(viewer, (0, 20), days_ago=400)
    watch_and_close(viewer, (50, 70))
    first = service.put(viewer.assignment)
    before = stored(database_url, viewer.user_id)

    service.put(f"/video/lessons/{viewer.lesson_id}", {"durationSecond": 100} | policy)

    assert service.put(viewer.assignment) == first
    assert stored(database_url, viewer.user_id) == before
    viewer.start()
    viewer.close()
    assert watched(viewer) == [[50, 70]]


# What is credited


def test_what_was_watched_before_counts_toward_the_assigned_attempt(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    first = watch_and_close(viewer, (0, 20))
    second = watch_and_close(viewer, (10, 30, 2))

    answer = service.put(viewer.assignment)

    assert answer["creditedSessions"] == [first, second]
    assert (answer["creditedSecond"], answer["coverageRatio"]) == (30, 0.3)
    totals = viewer.progress()["aggregates"]
    assert totals["watchedRanges"] == [[0, 30]]
    assert totals["effectiveSecond"] == 20 + 10
    assert (totals["maxVerifiedSecond"], totals["resumeSecond"]) == (30, 30)


def test_the_history_shows_what_was_credited_where(viewer: Viewer, service: Person) -> None:
    assert viewer.credits() == {viewer.session_id: None}

    answer = service.put(viewer.assignment)

    assert viewer.credits() == {viewer.session_id: answer["attemptId"]}


def test_the_sessions_of_all_attempts_before_are_credited(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    first = watch_and_close(viewer, (0, 20))
    viewer.complete()
    second = watch_and_close(viewer, (40, 60))

    answer = service.put(viewer.assignment)

    assert answer["attemptNo"] == 2
    assert answer["creditedSessions"] == [first, second]
    assert watched(viewer) == [[0, 20], [40, 60]]


def test_what_is_credited_still_counts_where_it_was_watched(
    new_lesson: NewLesson, service: Person, database_url: str
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    watch_and_close(viewer, (0, 20))
    viewer.complete()
    [before] = run(database_url, "SELECT a::text FROM lesson_attempt AS a WHERE user_id = :u", u=viewer.user_id)

    service.put(viewer.assignment)

    assert before[0] in stored(database_url, viewer.user_id)


def test_other_lessons_and_other_people_are_left_alone(
    viewer: Viewer, new_lesson: NewLesson, service: Person, database_url: str
) -> None:
    elsewhere = Viewer(new_lesson(), viewer.user_id)
    elsewhere.start()
    somebody_else = Viewer(viewer.lesson_id)
    somebody_else.start()
    before = stored(database_url, somebody_else.user_id)

    answer = service.put(viewer.assignment)

    assert answer["creditedSessions"] == [viewer.session_id]
    assert elsewhere.credits() == {elsewhere.session_id: None}
    assert not elsewhere.progress()["attempt"]["isAssigned"]
    assert stored(database_url, somebody_else.user_id) == before


def test_credit_counts_for_completing(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, completionThreshold=0.5))
    watch_and_close(viewer, (0, 30))
    service.put(viewer.assignment)
    viewer.start()
    viewer.watch((30, 49))
    problem(viewer.send("PUT", f"/video/attempts/{viewer.attempt_id}/complete"), 409)

    viewer.watch((49, 50))

    assert viewer.complete()["coverageRatio"] == 0.5


# The window


def test_a_session_older_than_the_window_stays_in_the_history_and_not_in_the_totals(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    too_old = watch_and_close(viewer, (0, 20), days_ago=366)
    in_time = watch_and_close(viewer, (50, 60), days_ago=364)
    assert watched(viewer) == [[0, 20], [50, 60]]

    answer = service.put(viewer.assignment)

    assert answer["creditedSessions"] == [in_time]
    assert viewer.credits() == {too_old: None, in_time: answer["attemptId"]}
    totals = viewer.progress()["aggregates"]
    assert (totals["watchedRanges"], totals["effectiveSecond"]) == ([[50, 60]], 10)


def test_an_open_session_older_than_the_window_does_not_count_either(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, creditWindowDays=0))
    viewer.start()
    viewer.grow_older(60)
    service.put(viewer.assignment)

    answer = viewer.watch((0, 20))

    assert (answer["coverageSecond"], answer["effectiveSecond"], answer["resumeSecond"]) == (0, 0, None)
    assert watched(viewer) == []
    assert viewer.close()["coverageSecond"] == 0


def test_the_window_ends_where_the_assignment_is_said_to_be(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, creditWindowDays=30))
    assigned_at = datetime.now(UTC) - timedelta(days=40)
    too_old = watch_and_close(viewer, (0, 10), days_ago=40 + 31)
    in_time = watch_and_close(viewer, (20, 30), days_ago=40 + 29)
    since_then = watch_and_close(viewer, (40, 50), days_ago=3)

    answer = service.put(viewer.assignment, {"assignedAt": assigned_at.isoformat()})

    assert answer["creditedSessions"] == [in_time, since_then]
    assert viewer.credits()[too_old] is None
    assert watched(viewer) == [[20, 30], [40, 50]]


# The cap


def test_credit_ends_where_the_lesson_ends(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    watch_and_close(viewer, (90, 150))

    answer = service.put(viewer.assignment)

    assert (answer["creditedSecond"], answer["coverageRatio"]) == (10, 0.1)


def test_credit_is_at_most_the_policys_share_of_the_lesson_and_the_earliest_of_it(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.255))
    watch_and_close(viewer, (60, 80), (10, 20))
    watch_and_close(viewer, (40, 50), (15, 25))

    answer = service.put(viewer.assignment)

    assert (answer["creditedSecond"], answer["coverageRatio"]) == (25.5, 0.255)
    assert len(answer["creditedSessions"]) == 2
    assert watched(viewer) == [[10, 25], [40, 50], [60, 60.5]]


def test_what_is_watched_under_the_assignment_has_no_cap(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.1))
    watch_and_close(viewer, (0, 30))
    service.put(viewer.assignment)

    watch_and_close(viewer, (50, 90))

    assert watched(viewer) == [[0, 10], [50, 90]]
    assert service.put(viewer.assignment)["creditedSecond"] == 10


def test_with_a_ratio_of_nothing_nothing_is_credited(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0))
    watch_and_close(viewer, (0, 30))

    assert service.put(viewer.assignment)["creditedSecond"] == 0
    assert watched(viewer) == []


def test_a_share_of_a_duration_that_nobody_knows_is_nothing(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(maxCreditRatio=0.5))
    watch_and_close(viewer, (0, 30))

    assert service.put(viewer.assignment)["creditedSecond"] == 0


def test_the_whole_of_a_duration_that_nobody_knows_has_no_cap(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson())
    watch_and_close(viewer, (0, 30))

    assert service.put(viewer.assignment)["creditedSecond"] == 30


# What comes after


def test_a_session_that_is_open_at_the_assignment_keeps_counting(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 10))

    answer = service.put(viewer.assignment)
    assert (answer["creditedSessions"], answer["creditedSecond"]) == ([viewer.session_id], 10)

    assert viewer.watch((10, 20))["coverageSecond"] == 20
    assert watched(viewer) == [[0, 20]]
    viewer.watch((20, 30))
    assert viewer.close()["coverageSecond"] == 30
    assert watched(viewer) == [[0, 30]]
    assert service.put(viewer.assignment)["creditedSecond"] == 30


def test_time_and_place_of_an_open_session_have_no_cap(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.1))
    viewer.start()
    viewer.watch((0, 30))
    service.put(viewer.assignment)

    answer = viewer.watch((40, 50))

    assert (answer["effectiveSecond"], answer["resumeSecond"]) == (40, 50)
    assert answer["coverageSecond"] <= 10
    totals = viewer.progress()["aggregates"]
    assert (totals["effectiveSecond"], totals["resumeSecond"], totals["coverageSecond"]) == (40, 50, 10)


def test_a_session_that_is_open_in_a_completed_attempt_keeps_counting_in_both(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 10))
    viewer.complete()
    service.put(viewer.assignment)

    assert viewer.watch((10, 20))["coverageSecond"] == 20
    assert watched(viewer) == [[0, 20]]
    assert viewer.close()["coverageSecond"] == 20
    assert watched(viewer) == [[0, 20]]


def test_a_silent_session_that_was_credited_and_speaks_again_keeps_counting(viewer: Viewer, service: Person) -> None:
    viewer.watch((0, 10))
    viewer.fall_silent()
    service.put(viewer.assignment)

    assert viewer.watch((20, 30))["status"] == "open"

    assert watched(viewer) == [[0, 10], [20, 30]]
    viewer.close()
    assert watched(viewer) == [[0, 10], [20, 30]]


@pytest.mark.parametrize("is_completed", [False, True])
def test_what_a_credited_session_delivers_late_raises_the_credit_too(
    viewer: Viewer, service: Person, database_url: str, is_completed: bool
) -> None:
    viewer.watch((0, 10))
    viewer.close()
    if is_completed:
        viewer.complete()
    service.put(viewer.assignment)

    late = viewer.watch((10, 20))

    assert late["late"]
    assert (late["coverageSecond"], late["effectiveSecond"]) == (20, 20)
    assert watched(viewer) == [[0, 20]]
    attempts = run(
        database_url, "SELECT coverage::text, effective_ms FROM lesson_attempt WHERE user_id = :u", u=viewer.user_id
    )
    assert attempts == [["{[0,20000)}", 20_000]] * (2 if is_completed else 1)


def test_what_comes_late_is_credited_up_to_the_cap_and_pushes_out_what_lies_behind_it(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.2))
    watch_and_close(viewer, (50, 65))
    assert service.put(viewer.assignment)["creditedSecond"] == 15

    viewer.watch((0, 10))

    assert service.put(viewer.assignment)["creditedSecond"] == 20
    assert watched(viewer) == [[0, 10], [50, 60]]


def test_a_session_whose_raw_record_was_archived_is_credited(server_url: str) -> None:
    with database(server_url) as url, deployed(DATABASE_URL=url):
        viewer, service = Viewer(f"lesson-{uuid4()}"), Person(role="service")
        watch_and_close(viewer, (0, 30))
        run(url, "UPDATE watch_session SET archived_at = now()")
        run(url, "DELETE FROM watch_segment")

        answer = service.put(viewer.assignment)

        assert (answer["creditedSessions"], answer["creditedSecond"]) == ([viewer.session_id], 30)
        assert watched(viewer) == [[0, 30]]
        service.delete(viewer.assignment)
        assert watched(viewer) == [[0, 30]]


@pytest.mark.parametrize("seek_policy", ["free", "flag"])
def test_a_session_that_was_credited_is_still_judged_as_an_unassigned_one(
    new_lesson: NewLesson, service: Person, seek_policy: str
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, seekPolicy=seek_policy))
    viewer.start()
    service.put(viewer.assignment)

    viewer.jump(0, 40)

    [skip] = viewer.skips()["skips"]
    assert (skip["skippedSecond"], skip["allowed"], skip["reason"]) == (40, False, "beyond_verified")


def test_a_session_under_the_assignment_is_judged_by_the_lessons_policy(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, seekPolicy="free"))
    watch_and_close(viewer, (0, 30))
    service.put(viewer.assignment)
    viewer.start()

    viewer.jump(0, 40)

    [skip] = viewer.skips()["skips"]
    assert (skip["skippedSecond"], skip["allowed"]) == (10, True)


def test_the_example_of_the_documentation_is_true(new_lesson: NewLesson, service: Person) -> None:
    ada = Viewer(new_lesson(durationSecond=600, maxCreditRatio=0.8))
    watch_and_close(ada, (0, 240), days_ago=14 * 30.5)
    watch_and_close(ada, (0, 180, 2), days_ago=90)
    may = watch_and_close(ada, (120, 360), (480, 540), days_ago=30)
    assert ada.progress()["aggregates"]["coverageRatio"] == 0.7

    assert service.put(ada.assignment)["coverageRatio"] == 0.7
    ada.record(segment(360, 480), session=may)
    assert watched(ada) == [[0, 480]]
    watch_and_close(ada, (480, 600))

    totals = ada.progress()["aggregates"]
    assert (totals["coverageRatio"], totals["effectiveSecond"]) == (1, 10 * 60 + 30)


# Starting with isAssigned


def test_a_start_that_a_service_says_is_assigned_is_an_assignment(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    before = watch_and_close(viewer, (0, 30))

    started = service.post(
        "/video/sessions", {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}
    )

    assert started["isAssigned"]
    assert (started["maxVerifiedSecond"], started["coverageRatio"]) == (30, 0.3)
    assert viewer.credits() == {before: started["attemptId"]}
    assert service.put(viewer.assignment)["creditedSessions"] == [before]


def test_a_player_cannot_make_itself_assigned_by_starting(viewer: Viewer) -> None:
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}

    assert not viewer.post("/video/sessions", body)["isAssigned"]
    assert set(viewer.credits().values()) == {None}


def test_where_players_are_trusted_their_start_is_an_assignment(viewer: Viewer, database_url: str) -> None:
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}

    with deployed(PLAYERS_ARE_TRUSTED="true"):
        assert viewer.post("/video/sessions", body)["isAssigned"]

    assert viewer.credits() == {viewer.session_id: viewer.attempt_id}


def test_a_start_that_is_only_repeated_assigns_nothing(viewer: Viewer, service: Person, database_url: str) -> None:
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}
    headers = {"Idempotency-Key": str(uuid4())}
    started = service.post("/video/sessions", body, headers=headers)
    service.delete(viewer.assignment)
    before = stored(database_url, viewer.user_id)

    assert service.post("/video/sessions", body, headers=headers)["sessionId"] == started["sessionId"]

    assert stored(database_url, viewer.user_id) == before


def test_a_start_that_is_refused_assigns_nothing(
    viewer: Viewer, new_lesson: NewLesson, service: Person, database_url: str
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    service.post("/video/sessions", {"userId": viewer.user_id, "lessonId": new_lesson()}, headers=headers)
    before = stored(database_url, viewer.user_id)

    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "isAssigned": True}
    problem(service.send("POST", "/video/sessions", body, headers=headers), 422)

    assert stored(database_url, viewer.user_id) == before


# Who may, and how it is asked


@pytest.mark.parametrize("role", ["player", "manager"])
def test_only_a_service_assigns(viewer: Viewer, role: str, database_url: str) -> None:
    before = stored(database_url, viewer.user_id)

    problem(Person(viewer.user_id, role).send("PUT", viewer.assignment), 403)

    assert stored(database_url, viewer.user_id) == before


def test_the_scheduler_does_not_assign(viewer: Viewer, scheduler: Person) -> None:
    problem(scheduler.send("PUT", viewer.assignment), 403)


def test_nobody_assigns_without_a_token(viewer: Viewer) -> None:
    problem(send("PUT", viewer.assignment), 401)


@pytest.mark.parametrize(
    "body",
    [
        {"assignedAt": "yesterday"},
        {"assignedAt": "2026-01-01T00:00:00"},
        {"assignedAt": 1_700_000_000},
        {"assigned_at": "2026-01-01T00:00:00Z"},
        {"creditWindowDays": 3660},
        [],
    ],
)
def test_a_body_that_is_wrong_is_refused(viewer: Viewer, service: Person, body: Any) -> None:
    problem(service.send("PUT", viewer.assignment, body), 422)
    assert not viewer.progress()["attempt"]["isAssigned"]


@pytest.mark.parametrize("body", [None, {}, {"assignedAt": None}])
def test_without_a_moment_the_lesson_is_assigned_now(viewer: Viewer, service: Person, body: Any) -> None:
    assert service.put(viewer.assignment, body)["creditedSessions"] == [viewer.session_id]


@pytest.mark.parametrize("moment", ["9998-12-30T00:00:00Z", "0001-01-02T00:00:00Z"])
def test_no_moment_is_too_far_away(viewer: Viewer, service: Person, moment: str) -> None:
    ok(service.send("PUT", viewer.assignment, {"assignedAt": moment}))
    assert viewer.progress()["attempt"]["isAssigned"]
    assert service.delete(viewer.assignment)["attemptId"] == viewer.attempt_id


def test_a_user_and_a_lesson_may_have_any_characters(service: Person) -> None:
    name = str(uuid4())
    viewer = Viewer(f"módulo 1/2 & {name}", f"ann/{name}")

    answer = service.put(f"/video/users/ann%2F{name}/lessons/m%C3%B3dulo%201%2F2%20%26%20{name}/assignment")

    assert viewer.start()["attemptId"] == answer["attemptId"]
