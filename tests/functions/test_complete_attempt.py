"""PUT /video/attempts/{attemptId}/complete."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem

Opened = Callable[..., Viewer]


@pytest.fixture
def opened(new_lesson: Callable[..., str]) -> Opened:
    """Open a lesson of 100 seconds with a policy."""

    def open_lesson(**policy: Any) -> Viewer:
        somebody = Viewer(new_lesson(**({"durationSecond": 100} | policy)))
        somebody.start()
        return somebody

    return open_lesson


def completion(viewer: Viewer) -> str:
    return f"/video/attempts/{viewer.attempt_id}/complete"


def test_completing_answers_the_attempts_totals(viewer: Viewer) -> None:
    viewer.watch((0, 40, 2))

    answer = viewer.complete()

    assert set(answer) == {
        "attemptId",
        "status",
        "completedAt",
        "coverageRatio",
        "coverageSecond",
        "effectiveSecond",
    }
    assert (answer["attemptId"], answer["status"]) == (viewer.attempt_id, "completed")
    assert (answer["coverageRatio"], answer["coverageSecond"], answer["effectiveSecond"]) == (0.4, 40, 20)
    attempt = viewer.progress()["attempt"]
    assert (attempt["status"], attempt["completedAt"]) == ("completed", answer["completedAt"])


def test_completing_is_idempotent(viewer: Viewer) -> None:
    viewer.watch((0, 40))

    assert viewer.complete() == viewer.complete()


def test_a_completed_attempt_says_what_was_watched_since_and_keeps_its_moment(viewer: Viewer) -> None:
    first = viewer.complete()
    viewer.watch((0, 40))

    again = viewer.complete()

    assert again["completedAt"] == first["completedAt"]
    assert (first["coverageSecond"], again["coverageSecond"]) == (0, 40)


def test_completing_below_the_threshold_is_409_and_says_by_how_much_it_falls_short(opened: Opened) -> None:
    somebody = opened(completionThreshold=0.9)
    somebody.watch((0, 10), (20, 35))

    refused = problem(somebody.send("PUT", completion(somebody)), 409)

    assert refused["type"] == "urn:watchledger:problem:attempt-below-threshold"
    assert (refused["coverageRatio"], refused["completionThreshold"]) == (0.25, 0.9)
    assert refused["missingRanges"] == [[10, 20], [35, 100]]
    assert "0.65 is missing" in refused["detail"]
    assert somebody.progress()["attempt"]["status"] == "active"


@pytest.mark.parametrize(("watched", "status"), [(89.999, 409), (90, 200), (100, 200)])
def test_the_threshold_itself_is_enough(opened: Opened, watched: float, status: int) -> None:
    somebody = opened(completionThreshold=0.9)
    somebody.watch((0, watched))

    assert somebody.send("PUT", completion(somebody)).status_code == status


@pytest.mark.parametrize(("watched", "status"), [((0, 98.999), 409), ((0, 99), 200), ((0.001, 100), 409)])
def test_a_threshold_of_1_is_reached_within_the_last_second_and_nothing_else_missing(
    opened: Opened, watched: tuple[float, float], status: int
) -> None:
    somebody = opened(completionThreshold=1)
    somebody.watch(watched)

    assert somebody.send("PUT", completion(somebody)).status_code == status


@pytest.mark.parametrize("thirds", [1, 2])
def test_thirds_are_thirds(opened: Opened, thirds: int) -> None:
    somebody = opened(durationSecond=90, completionThreshold=thirds / 3)
    somebody.watch((0, 30 * thirds))

    assert somebody.complete()["status"] == "completed"


def test_without_a_threshold_anything_is_enough(viewer: Viewer) -> None:
    assert viewer.complete()["coverageRatio"] == 0


def test_while_the_duration_is_unknown_a_threshold_cannot_be_reached(opened: Opened) -> None:
    somebody = opened(durationSecond=None, completionThreshold=0.5)
    somebody.watch((0, 50))

    refused = problem(somebody.send("PUT", completion(somebody)), 409)

    assert (refused["coverageRatio"], refused["missingRanges"]) == (None, None)
    assert "duration" in refused["detail"]


def test_without_a_threshold_an_unknown_duration_does_not_matter(opened: Opened) -> None:
    somebody = opened(durationSecond=None)
    somebody.watch((0, 50))

    answer = somebody.complete()

    assert (answer["coverageRatio"], answer["coverageSecond"]) == (None, 50)


def test_open_stale_and_closed_sessions_count_alike(opened: Opened) -> None:
    somebody = opened(completionThreshold=0.9)
    somebody.watch((0, 30))
    somebody.close()
    somebody.start()
    somebody.watch((30, 60))
    somebody.fall_silent()
    somebody.start()
    somebody.watch((60, 90))

    answer = somebody.complete()

    assert (answer["coverageRatio"], answer["effectiveSecond"]) == (0.9, 90)


def test_a_completed_attempt_stays_completed_when_the_threshold_is_raised(opened: Opened, service: Person) -> None:
    somebody = opened(completionThreshold=0.1)
    somebody.watch((0, 20))
    first = somebody.complete()
    service.put(f"/video/lessons/{somebody.lesson_id}", {"durationSecond": 100, "completionThreshold": 0.9})

    assert somebody.complete() == first


def test_a_start_after_completion_opens_the_next_attempt_which_starts_from_nothing(opened: Opened) -> None:
    somebody = opened(completionThreshold=0.5)
    somebody.watch((0, 60))
    somebody.complete()

    assert somebody.start()["attemptNo"] == 2

    refused = problem(somebody.send("PUT", completion(somebody)), 409)
    assert refused["coverageRatio"] == 0


def test_a_session_that_exceeds_the_wall_clock_counts_toward_completion_where_the_policy_is_flag(
    opened: Opened,
) -> None:
    somebody = opened(completionThreshold=0.9, integrityPolicy="flag")
    somebody.watch((0, 100))

    assert somebody.progress()["aggregates"]["integrity"] == "exceeds_wall_clock"
    assert somebody.complete()["coverageRatio"] == 1


def test_a_session_that_exceeds_the_wall_clock_does_not_count_toward_completion_where_the_policy_is_exclude(
    opened: Opened,
) -> None:
    somebody = opened(completionThreshold=0.5, integrityPolicy="exclude")
    somebody.watch((0, 100))
    somebody.start()
    somebody.watch((0, 20))

    refused = problem(somebody.send("PUT", completion(somebody)), 409)

    assert (refused["coverageRatio"], refused["missingRanges"]) == (0.2, [[20, 100]])


def test_policy_exclude_counts_such_a_session_out_of_completion_only(opened: Opened) -> None:
    somebody = opened(integrityPolicy="exclude")
    somebody.watch((0, 100))

    aggregates = somebody.progress()["aggregates"]
    assert (aggregates["coverageRatio"], aggregates["completionRatio"]) == (1, 0)
    assert aggregates["watchedRanges"] == [[0, 100]]
    assert somebody.close()["coverageRatio"] == 1
    assert somebody.start()["coverageRatio"] == 1
    assert somebody.complete()["coverageRatio"] == 1


def test_an_attempt_that_is_anothers_is_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other = Person()

    foreign = problem(other.send("PUT", completion(viewer)), 404)
    unknown = problem(other.send("PUT", f"/video/attempts/{uuid4()}/complete"), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None}
    assert viewer.progress()["attempt"]["status"] == "active"


def test_a_service_completes_for_a_user(viewer: Viewer, service: Person) -> None:
    assert service.put(completion(viewer))["status"] == "completed"
    assert problem(service.send("PUT", f"/video/attempts/{uuid4()}/complete"), 404)
