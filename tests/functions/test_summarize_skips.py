"""GET /video/sessions/{sessionId}/skip-analytics: seeks as they were judged, and what of them is still unwatched."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, seek, segment

NewLesson = Callable[..., str]
Opened = Callable[..., Viewer]


@pytest.fixture
def opened(new_lesson: NewLesson, service: Person) -> Opened:
    """Open a lesson of 100 seconds with a policy, assigned or not."""

    def open_lesson(assigned: bool = False, **policy: Any) -> Viewer:
        somebody = Viewer(new_lesson(**({"durationSecond": 100} | policy)))
        if assigned:
            body = {"userId": somebody.user_id, "lessonId": somebody.lesson_id, "isAssigned": True}
            somebody.session_id = service.post("/video/sessions", body)["sessionId"]
        else:
            somebody.start()
        return somebody

    return open_lesson


def judged(viewer: Viewer) -> tuple[bool, str | None]:
    """What was made of the session's only seek, whether it is a skip or not."""
    [[allowed, reason]] = run(
        os.environ["DATABASE_URL"],
        "SELECT allowed, reason FROM seek_event WHERE session_id = :id",
        id=viewer.session_id,
    )
    return allowed, reason


def test_an_answer_has_the_seeks_counted_and_the_skips_listed(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.record(seeks=[seek(10, 40), seek(40, 20), seek(20, 23)])

    answer = viewer.skips()

    assert set(answer) == {
        "sessionId",
        "seekCount",
        "skipCount",
        "disallowedCount",
        "skippedSecond",
        "stillUnwatchedSecond",
        "skips",
    }
    assert answer["sessionId"] == viewer.session_id
    assert (answer["seekCount"], answer["skipCount"], answer["disallowedCount"]) == (3, 1, 2)
    assert (answer["skippedSecond"], answer["stillUnwatchedSecond"]) == (30, 30)
    [skip] = answer["skips"]
    assert set(skip) == {
        "fromSecond",
        "toSecond",
        "skippedSecond",
        "stillUnwatchedSecond",
        "allowed",
        "reason",
        "occurredAt",
    }
    assert (skip["fromSecond"], skip["toSecond"], skip["skippedSecond"]) == (10, 40, 30)


def test_a_session_without_seeks_skipped_nothing(viewer: Viewer) -> None:
    answer = viewer.skips()

    assert (answer["seekCount"], answer["skipCount"], answer["disallowedCount"]) == (0, 0, 0)
    assert (answer["skippedSecond"], answer["stillUnwatchedSecond"], answer["skips"]) == (0, 0, [])


def test_only_the_unwatched_seconds_that_were_jumped_over_are_skipped(viewer: Viewer) -> None:
    viewer.watch((0, 10), (20, 30))

    viewer.jump(10, 50)

    assert viewer.skips()["skippedSecond"] == 30


def test_a_skip_is_judged_with_the_requests_own_segments(viewer: Viewer) -> None:
    viewer.record(segment(0, 10), segment(20, 40), seeks=[seek(10, 40)])

    [skip] = viewer.skips()["skips"]

    assert skip["skippedSecond"] == 10


def test_a_skip_is_judged_with_the_attempts_coverage(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.close()
    viewer.start()
    viewer.watch((30, 40))

    viewer.jump(5, 60)

    assert viewer.skips()["skippedSecond"] == 20


def test_a_skip_is_not_judged_with_an_attempt_before(viewer: Viewer) -> None:
    viewer.watch((0, 100))
    viewer.close()
    viewer.complete()
    viewer.start()

    viewer.jump(0, 60)

    assert viewer.skips()["skippedSecond"] == 60


def test_a_resent_segment_counts_for_the_seek_beside_it(viewer: Viewer) -> None:
    sent = segment(10, 40)
    viewer.record(sent)

    viewer.record(sent, seeks=[seek(10, 40)])

    assert viewer.skips()["skipCount"] == 0


@pytest.mark.parametrize("jump", [(40, 10), (100, 0), (30, 30), (30, 29.999)])
def test_a_seek_backward_or_nowhere_never_skips(viewer: Viewer, jump: tuple[float, float]) -> None:
    viewer.jump(*jump)

    assert judged(viewer) == (True, None)
    assert viewer.skips()["skipCount"] == 0


@pytest.mark.parametrize(("to", "skips"), [(15, 0), (15.001, 1)])
def test_a_seek_is_a_skip_when_it_skipped_more_than_the_default_of_5_seconds(
    viewer: Viewer, to: float, skips: int
) -> None:
    viewer.jump(10, to)

    assert viewer.skips()["skipCount"] == skips
    assert viewer.progress()["sessions"][0]["skipCount"] == skips


@pytest.mark.parametrize(("threshold", "skips"), [(0, 1), (29.999, 1), (30, 0)])
def test_the_lessons_policy_says_what_a_skip_is(opened: Opened, threshold: float, skips: int) -> None:
    somebody = opened(skipThresholdSecond=threshold)

    somebody.jump(10, 40)

    assert somebody.skips()["skipCount"] == skips


def test_only_the_lesson_can_be_skipped(viewer: Viewer) -> None:
    viewer.jump(90, 200)

    assert viewer.skips()["skippedSecond"] == 10


def test_all_that_was_jumped_over_is_skipped_while_the_duration_is_unknown(opened: Opened) -> None:
    somebody = opened(durationSecond=None)

    somebody.jump(90, 200)

    assert somebody.skips()["skippedSecond"] == 110


# Allowed or not


@pytest.mark.parametrize("policy", ["free", "flag", "block"])
def test_of_an_unassigned_session_a_seek_over_more_than_a_second_is_beyond_verified(
    opened: Opened, policy: str
) -> None:
    somebody = opened(seekPolicy=policy)

    somebody.jump(10, 11.001)

    assert judged(somebody) == (False, "beyond_verified")


@pytest.mark.parametrize("policy", ["flag", "block"])
def test_of_an_assigned_session_it_is_a_policy_violation_where_the_policy_is_flag_or_block(
    opened: Opened, policy: str
) -> None:
    somebody = opened(assigned=True, seekPolicy=policy)

    somebody.jump(10, 11.001)

    assert judged(somebody) == (False, "policy_violation")


@pytest.mark.parametrize(
    "said", [{}, {"allowed": True, "reason": "chapter"}, {"allowed": False}, {"allowed": False, "reason": "shaky"}]
)
def test_of_an_assigned_session_what_the_client_said_stands_where_the_policy_is_free(
    opened: Opened, said: dict[str, Any]
) -> None:
    somebody = opened(assigned=True, seekPolicy="free")

    somebody.jump(10, 80, **said)

    assert judged(somebody) == (said.get("allowed", True), said.get("reason"))


@pytest.mark.parametrize("assigned", [False, True])
@pytest.mark.parametrize(
    "said", [{}, {"allowed": True, "reason": "chapter"}, {"allowed": False}, {"allowed": False, "reason": "shaky"}]
)
def test_when_no_more_than_a_second_was_skipped_what_the_client_said_stands(
    opened: Opened, assigned: bool, said: dict[str, Any]
) -> None:
    somebody = opened(assigned=assigned)
    somebody.watch((10, 50), (51, 80))

    somebody.jump(10, 80, **said)

    assert judged(somebody) == (said.get("allowed", True), said.get("reason"))


@pytest.mark.parametrize(("assigned", "ours"), [(False, "beyond_verified"), (True, "policy_violation")])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"allowed": False, "reason": "shaky"}, "shaky"),
        ({"allowed": False}, None),
        ({"allowed": True, "reason": "chapter"}, None),
        ({"reason": "chapter"}, None),
        ({"allowed": True}, None),
    ],
)
def test_a_clients_own_refusal_and_its_reason_stand_and_its_consent_does_not(
    opened: Opened, assigned: bool, ours: str, said: dict[str, Any], reason: str | None
) -> None:
    somebody = opened(assigned=assigned, seekPolicy="block")

    somebody.jump(10, 80, **said)

    assert judged(somebody) == (False, reason or ours)


def test_a_seek_that_is_not_allowed_counts_even_when_it_is_no_skip(viewer: Viewer) -> None:
    viewer.jump(10, 13)

    answer = viewer.skips()

    assert (answer["skipCount"], answer["disallowedCount"], answer["skippedSecond"]) == (0, 1, 0)


# Healing


def test_a_skip_that_was_watched_later_shows_as_healed_and_stays_recorded(viewer: Viewer) -> None:
    viewer.jump(10, 40)
    viewer.watch((10, 25))
    part = viewer.skips()
    viewer.watch((25, 40))
    whole = viewer.skips()

    assert (part["skippedSecond"], part["stillUnwatchedSecond"]) == (30, 15)
    assert (whole["skippedSecond"], whole["stillUnwatchedSecond"]) == (30, 0)
    assert whole["skips"][0]["stillUnwatchedSecond"] == 0
    assert whole["skips"][0]["allowed"] is False


def test_a_skip_is_healed_by_another_session_of_the_attempt_open_or_closed(viewer: Viewer) -> None:
    viewer.jump(10, 40)
    skipping = viewer.session_id
    viewer.start()
    viewer.watch((10, 25))

    def still_unwatched() -> float:
        return float(viewer.get(f"/video/sessions/{skipping}/skip-analytics")["stillUnwatchedSecond"])

    assert still_unwatched() == 15
    viewer.close()
    assert still_unwatched() == 15


def test_a_skip_is_healed_by_segments_that_arrive_late(viewer: Viewer) -> None:
    viewer.jump(10, 40)
    viewer.close()

    viewer.watch((10, 40))

    assert viewer.skips()["stillUnwatchedSecond"] == 0


def test_what_two_skips_left_unwatched_counts_once_in_the_sum(viewer: Viewer) -> None:
    viewer.record(seeks=[seek(10, 40), seek(20, 60)])

    answer = viewer.skips()

    assert (answer["skippedSecond"], answer["stillUnwatchedSecond"]) == (70, 50)
    assert [skip["stillUnwatchedSecond"] for skip in answer["skips"]] == [30, 40]


# Identity


def test_a_retried_request_never_doubles_a_seek_without_an_id(viewer: Viewer) -> None:
    body = {
        "segments": [segment(0, 10)],
        "seeks": [{"fromSecond": 10, "toSecond": 40}, {"fromSecond": 10, "toSecond": 40}],
    }
    path = f"/video/sessions/{viewer.session_id}/progress"
    first = viewer.post(path, body)

    again = viewer.post(path, body)

    assert (first["accepted"], again["accepted"], again["duplicates"], again["conflicts"]) == (3, 0, 3, [])
    assert viewer.skips()["seekCount"] == 2


def test_the_same_seek_in_another_request_is_another_seek(viewer: Viewer) -> None:
    jump = {"fromSecond": 10, "toSecond": 40}
    viewer.record(segment(0, 10), seeks=[jump])
    viewer.record(segment(0, 11), seeks=[jump])

    assert viewer.skips()["seekCount"] == 2


def test_a_seek_with_an_id_is_stored_once(viewer: Viewer) -> None:
    sent = seek(10, 40)
    viewer.record(seeks=[sent])

    again = viewer.record(segment(0, 10), seeks=[sent, sent])

    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (1, 2, [])
    assert viewer.skips()["seekCount"] == 1


@pytest.mark.parametrize("other", [{"fromSecond": 11}, {"toSecond": 50}, {"occurredAt": "2020-01-01T00:00:00Z"}])
def test_a_seek_with_the_same_id_and_other_content_is_a_conflict(viewer: Viewer, other: dict[str, Any]) -> None:
    sent = seek(10, 40)
    viewer.record(seeks=[sent])

    answer = viewer.record(seeks=[sent | other, seek(50, 55)])

    assert (answer["accepted"], answer["duplicates"], answer["conflicts"]) == (1, 0, [sent["clientEventId"]])
    assert viewer.skips()["skips"][0]["fromSecond"] == 10


def test_what_is_judged_at_arrival_stays_so_when_the_seek_is_sent_again(viewer: Viewer) -> None:
    sent = seek(10, 40)
    viewer.record(seeks=[sent])
    viewer.watch((10, 40))

    viewer.record(seeks=[sent])

    assert viewer.skips()["skippedSecond"] == 30


# Who asks, and when


def test_skips_are_listed_in_the_order_they_occurred(viewer: Viewer) -> None:
    now = datetime.now(UTC)
    jumps = [seek(start, start + 10, occurredAt=(now - timedelta(minutes=start)).isoformat()) for start in (20, 40, 0)]

    viewer.record(seeks=jumps)

    assert [skip["fromSecond"] for skip in viewer.skips()["skips"]] == [40, 20, 0]


def test_skips_without_moments_are_listed_in_the_order_of_the_request(viewer: Viewer) -> None:
    viewer.record(seeks=[seek(start, start + 10) for start in (50, 0, 30, 70, 10)])

    assert [skip["fromSecond"] for skip in viewer.skips()["skips"]] == [50, 0, 30, 70, 10]


def test_a_moment_at_the_edge_of_what_can_be_said_can_be_read_again(viewer: Viewer) -> None:
    moments = ["0001-01-02T00:00:00Z", "9999-12-30T23:59:59.999999Z"]
    viewer.record(seeks=[seek(0, 20, occurredAt=moment) for moment in moments])

    assert [skip["occurredAt"] for skip in viewer.skips()["skips"]] == moments


def test_a_manager_and_a_service_see_anyones_skips(viewer: Viewer, manager: Person, service: Person) -> None:
    viewer.jump(10, 40)

    for person in (manager, service):
        assert person.get(f"/video/sessions/{viewer.session_id}/skip-analytics") == viewer.skips()


def test_skips_of_a_session_that_is_anothers_are_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other = Person()

    foreign = problem(other.send("GET", f"/video/sessions/{viewer.session_id}/skip-analytics"), 404)
    unknown = problem(other.send("GET", f"/video/sessions/{uuid4()}/skip-analytics"), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None}


def test_skips_of_an_archived_session_are_410(viewer: Viewer, database_url: str) -> None:
    viewer.close()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=viewer.session_id)

    assert problem(viewer.send("GET", f"/video/sessions/{viewer.session_id}/skip-analytics"), 410)
