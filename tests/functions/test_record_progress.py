"""POST /video/sessions/{sessionId}/progress: segments, each once, and what they add up to."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, seek, segment

MEMBERS = {
    "sessionId",
    "attemptId",
    "status",
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
NewLesson = Callable[..., str]


def path(session_id: object) -> str:
    return f"/video/sessions/{session_id}/progress"


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def session_of(viewer: Viewer) -> dict[str, Any]:
    [found] = [one for one in viewer.progress()["sessions"] if one["sessionId"] == viewer.session_id]
    return dict(found)


# Numbers


def test_a_progress_answers_what_became_of_each_item_and_the_attempts_totals(viewer: Viewer) -> None:
    answer = viewer.record(segment(0, 10, 2), seeks=[seek(10, 5)])

    assert set(answer) == MEMBERS
    assert answer == {
        "sessionId": viewer.session_id,
        "attemptId": viewer.attempt_id,
        "status": "open",
        "late": False,
        "accepted": 2,
        "duplicates": 0,
        "conflicts": [],
        "rejected": [],
        "coverageSecond": 10,
        "effectiveSecond": 5,
        "maxVerifiedSecond": 10,
        "resumeSecond": 10,
        "seekPolicy": "flag",
    }


def test_seconds_watched_twice_are_covered_once(viewer: Viewer) -> None:
    viewer.watch((0, 10), (5, 20))

    totals = viewer.close()

    assert totals["coverageSecond"] == 20
    assert totals["effectiveSecond"] == 25


def test_ranges_are_half_open_so_that_two_that_meet_make_one(viewer: Viewer) -> None:
    viewer.watch((0, 5), (5, 10))

    aggregates = viewer.progress()["aggregates"]

    assert aggregates["watchedRanges"] == [[0, 10]]
    assert aggregates["coverageSecond"] == 10


def test_a_millisecond_between_two_ranges_is_missing(viewer: Viewer) -> None:
    viewer.watch((0, 5), (5.001, 10))

    aggregates = viewer.progress()["aggregates"]

    assert aggregates["watchedRanges"] == [[0, 5], [5.001, 10]]
    assert aggregates["coverageSecond"] == 9.999


def test_half_a_millisecond_rounds_to_even_on_its_way_in(viewer: Viewer) -> None:
    viewer.watch((1.0005, 2.0015), (10.0025, 11.0035))

    assert viewer.progress()["aggregates"]["watchedRanges"] == [[1, 2.002], [10.002, 11.004]]


def test_a_place_in_the_video_is_up_to_a_day(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson())
    somebody.start()

    answer = somebody.watch((0, 86_400), (86_399.999, 86_400, 0.0625))

    assert answer["coverageSecond"] == answer["maxVerifiedSecond"] == answer["resumeSecond"] == 86_400
    assert answer["effectiveSecond"] == 86_400.016


@pytest.mark.parametrize(
    ("length", "speed", "spent"),
    [
        (10, 1.5, 6.667),
        (10, 3, 3.333),
        (10, 1.75, 5.714),
        (10, 16, 0.625),
        (10, 0.0625, 160),
        (0.005, 2, 0.002),
        (0.015, 2, 0.008),
        (0.001, 2, 0),
        (0.003, 2, 0.002),
        (1, 0.9999, 1),
        (100, 0.9999, 100.010),
    ],
)
def test_effective_time_is_length_over_speed(viewer: Viewer, length: float, speed: float, spent: float) -> None:
    assert viewer.watch((0, length, speed))["effectiveSecond"] == spent


def test_a_speed_counts_to_four_decimals(viewer: Viewer) -> None:
    sent = segment(0, 10, 1.23456)
    viewer.record(sent)

    assert viewer.record(sent)["duplicates"] == 1
    assert viewer.record(sent | {"speed": 1.2346})["duplicates"] == 1
    assert viewer.record(sent | {"speed": 1.2345})["conflicts"] == [sent["clientEventId"]]


def test_effective_time_is_summed_segment_by_segment_as_integers(viewer: Viewer) -> None:
    chance = random.Random(3)
    stretches = [
        (start, start + chance.randint(1, 30_000), Decimal(chance.randint(625, 160_000)) / 10_000)
        for start in chance.choices(range(70_000), k=120)
    ]
    expected = sum(
        int((Decimal(end - start) / speed).quantize(Decimal(1), ROUND_HALF_EVEN)) for start, end, speed in stretches
    )

    answer = viewer.watch(*((start / 1000, end / 1000, float(speed)) for start, end, speed in stretches))

    assert answer["effectiveSecond"] == expected / 1000


def test_what_was_covered_is_the_set_of_milliseconds_that_were_played(viewer: Viewer) -> None:
    chance = random.Random(4)
    stretches = [(start, start + chance.randint(1, 900)) for start in chance.choices(range(30_000), k=40)]
    played = {ms for start, end in stretches for ms in range(start, end)}

    answer = viewer.watch(*((start / 1000, end / 1000) for start, end in stretches))

    assert answer["coverageSecond"] == len(played) / 1000


def test_a_segment_beyond_the_duration_is_kept_as_sent_and_clipped_in_every_aggregate(
    viewer: Viewer, database_url: str
) -> None:
    answer = viewer.watch((95, 120), (150, 160))

    assert (answer["coverageSecond"], answer["resumeSecond"]) == (5, 100)
    found = viewer.progress()
    assert found["aggregates"]["watchedRanges"] == [[95, 100]]
    assert found["aggregates"]["coverageRatio"] == 0.05
    assert found["sessions"][0]["coverageSecond"] == 5
    closed = viewer.close()
    assert (closed["coverageSecond"], closed["coverageRatio"]) == (5, 0.05)
    kept = run(
        database_url,
        "SELECT start_ms, end_ms FROM watch_segment WHERE session_id = :id ORDER BY start_ms",
        id=viewer.session_id,
    )
    assert kept == [[95_000, 120_000], [150_000, 160_000]]


def test_a_lesson_watched_through_and_beyond_is_verified_to_its_end(viewer: Viewer) -> None:
    assert viewer.watch((0, 130))["maxVerifiedSecond"] == 100


# Verified progress


@pytest.mark.parametrize(
    ("stretches", "verified"),
    [
        ([(0, 10)], 10),
        ([(0, 10), (11, 20)], 20),
        ([(0, 10), (11.001, 20)], 10),
        ([(1, 10)], 10),
        ([(1.001, 10)], 0),
        ([(0, 10), (10.5, 11), (12, 13), (13.9, 14)], 14),
        ([(20, 30)], 0),
        ([(20, 30), (0, 19.5)], 30),
        ([(0, 0.001)], 0.001),
    ],
    ids=str,
)
def test_verified_progress_is_unbroken_from_0_with_gaps_of_a_second_bridged(
    viewer: Viewer, stretches: list[tuple[float, float]], verified: float
) -> None:
    assert viewer.watch(*stretches)["maxVerifiedSecond"] == verified
    assert viewer.progress()["aggregates"]["maxVerifiedSecond"] == verified


def test_verified_progress_is_of_the_attempts_sessions_together(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.close()
    viewer.start()

    assert viewer.watch((30, 50))["maxVerifiedSecond"] == 50


# Each event once


def test_a_retry_changes_nothing_and_says_so(viewer: Viewer) -> None:
    sent = segment(0, 10)
    viewer.record(sent)

    again = viewer.record(sent)

    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (0, 1, [])
    assert again["effectiveSecond"] == 10


def test_a_retry_with_something_new_adds_only_that(viewer: Viewer) -> None:
    first, second = segment(0, 10), segment(0, 20, 2)
    viewer.record(first)

    answer = viewer.record(second, first)

    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert (answer["coverageSecond"], answer["effectiveSecond"]) == (20, 20)


def test_the_same_event_twice_in_one_request_is_a_duplicate(viewer: Viewer) -> None:
    sent = segment(0, 10)

    answer = viewer.record(sent, sent, sent)

    assert (answer["accepted"], answer["duplicates"], answer["conflicts"]) == (1, 2, [])
    assert answer["effectiveSecond"] == 10


def test_the_same_content_written_otherwise_is_a_duplicate(viewer: Viewer) -> None:
    sent = segment(0, 10, occurredAt="2026-01-31T10:00:00.5+05:30")
    viewer.record(sent)

    answer = viewer.record(
        {
            "clientEventId": sent["clientEventId"].upper(),
            "startSecond": 0.0,
            "endSecond": 10.0004,
            "occurredAt": "2026-01-31T04:30:00.500Z",
        }
    )

    assert (answer["accepted"], answer["duplicates"], answer["conflicts"]) == (0, 1, [])


@pytest.mark.parametrize(
    "other", [{"startSecond": 1}, {"endSecond": 50}, {"speed": 2}, {"occurredAt": ago(days=1)}], ids=str
)
def test_the_same_event_with_other_content_is_a_conflict_and_the_stored_one_stays(
    viewer: Viewer, other: dict[str, Any]
) -> None:
    first = segment(0, 10)
    viewer.record(first)

    answer = viewer.record(first | other, segment(20, 30))

    assert answer["conflicts"] == [first["clientEventId"]]
    assert (answer["accepted"], answer["duplicates"]) == (1, 0)
    assert (answer["coverageSecond"], answer["effectiveSecond"]) == (20, 20)


def test_the_same_event_with_other_content_in_one_request_is_a_conflict_and_the_first_one_stays(
    viewer: Viewer,
) -> None:
    first = segment(0, 10)

    answer = viewer.record(first, first | {"endSecond": 50}, first, first | {"endSecond": 60})

    assert answer["conflicts"] == [first["clientEventId"]]
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert answer["coverageSecond"] == 10


def test_the_same_id_in_another_session_is_another_event(viewer: Viewer) -> None:
    sent = segment(0, 10)
    viewer.record(sent)
    viewer.start()

    answer = viewer.record(sent)

    assert (answer["accepted"], answer["conflicts"]) == (1, [])


def test_conflicts_and_duplicates_are_told_of_a_closed_session_too(viewer: Viewer) -> None:
    same, changed = segment(0, 10), segment(20, 30)
    viewer.record(same, changed)
    viewer.close()

    answer = viewer.record(same, changed | {"endSecond": 40}, segment(50, 60))

    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert answer["conflicts"] == [changed["clientEventId"]]
    assert answer["coverageSecond"] == 30


# Items that are wrong


def test_a_bad_item_is_refused_alone(viewer: Viewer) -> None:
    bad = segment(30, 20)

    answer = viewer.record(segment(0, 10), bad, segment(10, 20))

    assert answer["accepted"] == 2
    [rejected] = answer["rejected"]
    assert set(rejected) == {"pointer", "clientEventId", "detail"}
    assert (rejected["pointer"], rejected["clientEventId"]) == ("/segments/1", bad["clientEventId"])
    assert answer["coverageSecond"] == 20


def test_when_no_item_was_good_it_is_422_and_says_the_same_of_each(viewer: Viewer) -> None:
    bad = segment(30, 20)
    body = {"segments": [bad, None], "seeks": [seek(-1, 5)]}

    refused = problem(viewer.send("POST", path(viewer.session_id), body), 422)

    assert refused["type"] == "urn:watchledger:problem:invalid-request"
    assert [error["pointer"] for error in refused["errors"]] == ["/segments/0", "/segments/1", "/seeks/0/fromSecond"]
    assert refused["errors"][0]["clientEventId"] == bad["clientEventId"]
    assert all(error["detail"] for error in refused["errors"])


def test_a_poisoned_item_never_blocks_a_buffer(viewer: Viewer) -> None:
    buffer = [segment(n, n + 1) for n in range(10)] + [segment(5, 5), {"startSecond": float("nan")}]

    answer = viewer.record(*buffer, seeks=[seek(0, 5, reason="a\0b")])

    assert (answer["accepted"], len(answer["rejected"])) == (10, 3)
    assert viewer.record(*buffer)["duplicates"] == 10


def test_a_progress_without_items_is_a_sign_of_life(viewer: Viewer) -> None:
    viewer.grow_older(200)
    before = session_of(viewer)["lastHeartbeatAt"]

    answer = viewer.post(path(viewer.session_id), {})

    assert (answer["accepted"], answer["rejected"]) == (0, [])
    assert session_of(viewer)["lastHeartbeatAt"] > before


def test_500_items_are_stored_and_501_are_refused_whole(viewer: Viewer) -> None:
    segments, seeks = [segment(n / 10, n / 10 + 0.1) for n in range(250)], [seek(n / 10, 0) for n in range(250)]

    refused = viewer.send("POST", path(viewer.session_id), {"segments": [*segments, segment(0, 1)], "seeks": seeks})

    assert "500" in problem(refused, 422)["errors"][0]["detail"]
    assert viewer.record(*segments, seeks=seeks)["accepted"] == 500


def test_a_member_that_is_not_known_refuses_the_body_whole(viewer: Viewer) -> None:
    body = {"segments": [segment(0, 10)], "points": 5}

    assert problem(viewer.send("POST", path(viewer.session_id), body), 422)["errors"][0]["pointer"] == "/points"
    assert viewer.progress()["aggregates"]["coverageSecond"] == 0


# Whose session, and in which state


def test_a_session_that_is_anothers_is_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other, body = Viewer(viewer.lesson_id), {"segments": [segment(0, 10)]}

    foreign = problem(other.send("POST", path(viewer.session_id), body), 404)
    unknown = problem(other.send("POST", path(uuid4()), body), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None}
    assert viewer.progress()["aggregates"]["coverageSecond"] == 0


def test_a_service_records_for_a_user(viewer: Viewer, service: Person) -> None:
    answer = service.post(path(viewer.session_id), {"segments": [segment(0, 10)]})

    assert answer["coverageSecond"] == 10
    assert viewer.progress()["aggregates"]["coverageSecond"] == 10
    assert problem(service.send("POST", path(uuid4()), {}), 404)


def test_progress_of_a_closed_session_is_late_and_folded_and_the_session_stays_closed(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.close()
    ended = session_of(viewer)

    answer = viewer.watch((10, 30, 2))

    assert (answer["status"], answer["late"], answer["accepted"]) == ("closed", True, 1)
    assert (answer["coverageSecond"], answer["effectiveSecond"]) == (30, 20)
    after = session_of(viewer)
    assert (after["status"], after["closedAt"]) == ("closed", ended["closedAt"])
    assert after["lastHeartbeatAt"] == ended["lastHeartbeatAt"]


def test_late_progress_is_in_the_attempts_row_when_it_is_acknowledged(viewer: Viewer, database_url: str) -> None:
    viewer.watch((0, 10))
    viewer.close()

    viewer.watch((10, 30, 2))

    assert run(
        database_url,
        "SELECT coverage::text, effective_ms FROM lesson_attempt WHERE attempt_id = :id",
        id=viewer.attempt_id,
    ) == [["{[0,30000)}", 20_000]]


def test_late_progress_of_one_session_leaves_another_open_one_out_until_it_ends(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.close()
    first = viewer.session_id
    viewer.start()
    viewer.watch((50, 60))

    answer = viewer.record(segment(10, 20), session=first)

    assert answer["coverageSecond"] == 20
    assert viewer.progress()["aggregates"]["coverageSecond"] == 30


def test_progress_of_a_stale_session_opens_it_again_and_nothing_counts_twice(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.fall_silent()
    assert session_of(viewer)["status"] == "stale"

    answer = viewer.watch((10, 30))

    assert (answer["status"], answer["late"]) == ("open", False)
    assert (answer["coverageSecond"], answer["effectiveSecond"]) == (30, 30)
    assert session_of(viewer)["closedAt"] is None
    totals = viewer.close()
    assert (totals["coverageSecond"], totals["effectiveSecond"]) == (30, 30)


def test_a_retry_at_a_stale_session_opens_it_too(viewer: Viewer) -> None:
    sent = segment(0, 10)
    viewer.record(sent)
    viewer.fall_silent()

    answer = viewer.record(sent)

    assert (answer["status"], answer["duplicates"]) == ("open", 1)
    assert (answer["coverageSecond"], answer["effectiveSecond"]) == (10, 10)


def test_progress_of_an_archived_session_is_410(viewer: Viewer, database_url: str) -> None:
    sent = segment(0, 10)
    viewer.record(sent)
    viewer.close()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=viewer.session_id)

    refused = viewer.send("POST", path(viewer.session_id), {"segments": [segment(20, 30)]})

    assert problem(refused, 410)["type"] == "urn:watchledger:problem:session-archived"
    assert problem(viewer.send("POST", path(viewer.session_id), {"segments": [sent]}), 410)
    assert viewer.progress()["aggregates"]["coverageSecond"] == 10


def test_progress_of_a_session_that_was_archived_while_stale_is_410(viewer: Viewer, database_url: str) -> None:
    viewer.fall_silent()
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=viewer.session_id)

    assert problem(viewer.send("POST", path(viewer.session_id), {}), 410)
    assert session_of(viewer)["status"] == "stale"


def test_progress_goes_on_in_a_completed_attempt(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    viewer.complete()

    assert viewer.watch((10, 20))["attemptId"] == viewer.attempt_id
    assert viewer.close()["coverageSecond"] == 20


# The resume position


def test_the_resume_position_is_where_the_latest_segment_ended(viewer: Viewer) -> None:
    assert viewer.watch((0, 40))["resumeSecond"] == 40
    assert viewer.watch((10, 20))["resumeSecond"] == 20


def test_without_moments_the_last_segment_of_a_request_is_the_latest(viewer: Viewer) -> None:
    assert viewer.watch((50, 60), (0, 10), (30, 35))["resumeSecond"] == 35


def test_with_moments_the_order_inside_a_request_does_not_matter(viewer: Viewer) -> None:
    early, late = segment(0, 10, occurredAt=ago(seconds=30)), segment(30, 35, occurredAt=ago(seconds=10))

    assert viewer.record(late, early)["resumeSecond"] == 35


def test_what_occurred_before_does_not_move_the_resume_position_back(viewer: Viewer) -> None:
    viewer.record(segment(40, 50, occurredAt=ago(seconds=10)))

    assert viewer.record(segment(0, 10, occurredAt=ago(seconds=30)))["resumeSecond"] == 50
    assert viewer.progress()["aggregates"]["resumeSecond"] == 50


def test_late_data_does_not_move_the_resume_position_back(viewer: Viewer) -> None:
    viewer.watch((40, 50))
    viewer.close()
    first = viewer.session_id
    viewer.start()
    viewer.watch((60, 70))

    answer = viewer.record(segment(0, 10, occurredAt=ago(hours=1)), session=first)
    viewer.close()

    assert answer["resumeSecond"] == 50
    assert viewer.progress()["aggregates"]["resumeSecond"] == 70


def test_a_moment_in_the_future_is_now_so_that_what_comes_after_counts(viewer: Viewer) -> None:
    viewer.record(segment(40, 50, occurredAt=ago(days=-365)))

    assert viewer.watch((0, 10))["resumeSecond"] == 10


def test_a_seek_does_not_move_the_resume_position(viewer: Viewer) -> None:
    assert viewer.jump(0, 50)["resumeSecond"] is None
    viewer.watch((0, 10))

    assert viewer.jump(10, 50)["resumeSecond"] == 10


def test_a_retry_does_not_move_the_resume_position(viewer: Viewer) -> None:
    first = segment(40, 50)
    viewer.record(first)
    viewer.watch((0, 10))

    assert viewer.record(first)["resumeSecond"] == 10


def test_the_resume_position_is_the_attempts_before_this_session_played(viewer: Viewer) -> None:
    viewer.watch((0, 40))
    viewer.close()
    viewer.start()

    assert viewer.jump(40, 20)["resumeSecond"] == 40
    assert viewer.watch((20, 25))["resumeSecond"] == 25


# Time


def test_a_moment_that_the_client_claims_makes_no_session_look_alive(viewer: Viewer) -> None:
    viewer.record(segment(0, 10, occurredAt=ago(days=-1)))

    assert session_of(viewer)["lastHeartbeatAt"] < ago(seconds=-5)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2020-02-29T23:59:59.123456+02:00", "2020-02-29 21:59:59.123456+00"),
        ("2020-03-01T12:00:00+23:59", "2020-02-29 12:01:00+00"),
        ("2020-03-01T12:00:00-23:59", "2020-03-02 11:59:00+00"),
    ],
)
def test_what_the_client_says_of_when_is_kept(viewer: Viewer, database_url: str, said: str, kept: str) -> None:
    viewer.record(segment(0, 10, occurredAt=said), seeks=[seek(0, 20, occurredAt=said)])

    for table in ("watch_segment", "seek_event"):
        assert run(
            database_url, f"SELECT occurred_at::text FROM {table} WHERE session_id = :id", id=viewer.session_id
        ) == [[kept]]


# Plausibility


def test_more_effective_time_than_wall_clock_and_30_seconds_is_stored_and_shown(viewer: Viewer) -> None:
    before = time.monotonic()
    viewer.start()

    answer = viewer.watch((0, 100))

    passed = time.monotonic() - before
    assert (answer["accepted"], answer["effectiveSecond"]) == (1, 100)
    aggregates = viewer.progress()["aggregates"]
    assert aggregates["integrity"] == "exceeds_wall_clock"
    assert 70 - passed - 0.001 <= aggregates["exceedsWallClockSecond"] <= 70
    assert session_of(viewer)["integrity"] == "exceeds_wall_clock"


def test_30_seconds_more_than_the_wall_clock_are_plausible(viewer: Viewer) -> None:
    viewer.watch((0, 30))

    aggregates = viewer.progress()["aggregates"]
    assert (aggregates["integrity"], aggregates["exceedsWallClockSecond"]) == ("plausible", 0)


@pytest.mark.parametrize("speed", [1, 2, 16])
def test_honest_viewing_is_never_flagged_at_any_speed(viewer: Viewer, speed: float) -> None:
    viewer.grow_older(100 / speed)

    viewer.watch((0, 100, speed))

    assert viewer.progress()["aggregates"]["integrity"] == "plausible"


def test_an_honest_offline_hour_is_not_flagged(viewer: Viewer) -> None:
    viewer.grow_older(3_600)

    viewer.watch(*((0, 100, 2) for _ in range(72)))

    assert viewer.progress()["aggregates"]["integrity"] == "plausible"


def test_what_exceeded_once_stays_exceeded(viewer: Viewer) -> None:
    viewer.watch((0, 100))
    before = viewer.progress()["aggregates"]["exceedsWallClockSecond"]
    viewer.grow_older(3_600)
    viewer.watch((0, 1))

    assert viewer.progress()["aggregates"]["exceedsWallClockSecond"] == before


def test_a_retry_exceeds_nothing(viewer: Viewer) -> None:
    sent = segment(0, 25)

    for _ in range(5):
        viewer.record(sent)

    assert viewer.progress()["aggregates"]["integrity"] == "plausible"


def test_the_clients_claims_of_when_do_not_count_for_plausibility(viewer: Viewer) -> None:
    viewer.record(*(segment(0, 100, occurredAt=ago(hours=n)) for n in range(1, 4)))

    assert viewer.progress()["aggregates"]["integrity"] == "exceeds_wall_clock"


def test_a_session_that_exceeds_makes_only_itself_implausible(viewer: Viewer) -> None:
    viewer.watch((0, 100))
    viewer.start()
    viewer.watch((0, 10))

    assert [one["integrity"] for one in viewer.progress()["sessions"]] == ["plausible", "exceeds_wall_clock"]
