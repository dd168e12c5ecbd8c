"""GET /video/users/{userId}/lessons/{lessonId}/evidence: what is known of one user at one lesson."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from common import archive
from infra import restore
from tests.conftest import Person, Viewer, database, deployed, problem, run, seek, segment
from tests.months import watched_in

NewLesson = Callable[..., str]


def path(user_id: str, lesson_id: str) -> str:
    return f"/video/users/{quote(user_id, safe='')}/lessons/{quote(lesson_id, safe='')}/evidence"


def evidence(viewer: Viewer) -> Any:
    return viewer.get(path(viewer.user_id, viewer.lesson_id))


def latest(viewer: Viewer) -> Any:
    """The latest attempt."""
    return evidence(viewer)["attempts"][0]


def of_session(viewer: Viewer) -> Any:
    """The session at hand, in the latest attempt."""
    [session] = [each for each in latest(viewer)["sessions"] if each["sessionId"] == viewer.session_id]
    return session


def test_an_answer_has_the_policy_the_attempts_and_their_sessions(viewer: Viewer) -> None:
    viewer.record(segment(0, 30, 2), segment(20, 30, 2), seeks=[seek(30, 60), seek(60, 10)])

    found = evidence(viewer)

    assert {name: value for name, value in found.items() if name not in ("policy", "attempts")} == {
        "userId": viewer.user_id,
        "lessonId": viewer.lesson_id,
        "durationSecond": 100,
        "isAssigned": False,
        "truncated": False,
    }
    assert found["policy"] == viewer.get(f"/video/lessons/{viewer.lesson_id}")
    [attempt] = found["attempts"]
    assert attempt | {"startedAt": None, "sessions": None} == {
        "attemptId": viewer.attempt_id,
        "attemptNo": 1,
        "status": "active",
        "isAssigned": False,
        "startedAt": None,
        "completedAt": None,
        "coverageSecond": 30,
        "coverageRatio": 0.3,
        "effectiveSecond": 20,
        "maxVerifiedSecond": 30,
        "resumeSecond": 30,
        "coverage": [[0, 30]],
        "rewatched": [[20, 30]],
        "skipped": [[30, 60]],
        "missing": {
            "thresholdRatio": None,
            "completionRatio": 0.3,
            "shortSecond": 0,
            "unwatched": [[30, 100]],
        },
        "creditedSecond": 0,
        "integrity": "plausible",
        "exceedsWallClockSecond": 0,
        "sessions": None,
    }
    [session] = attempt["sessions"]
    assert session | {"startedAt": None, "lastHeartbeatAt": None, "wallClockSecond": None, "skips": None} == {
        "sessionId": viewer.session_id,
        "attemptId": viewer.attempt_id,
        "attemptNo": 1,
        "status": "open",
        "isAssigned": False,
        "creditedAttemptId": None,
        "isArchived": False,
        "startedAt": None,
        "endedAt": None,
        "lastHeartbeatAt": None,
        "clientInfo": None,
        "coverageSecond": 30,
        "effectiveSecond": 20,
        "wallClockSecond": None,
        "integrity": "plausible",
        "exceedsWallClockSecond": 0,
        "coverage": [[0, 30]],
        "rewatched": [[20, 30]],
        "seekCount": 2,
        "skipCount": 1,
        "counts": True,
        "whyNot": None,
        "skips": None,
    }
    [skip] = session["skips"]
    assert skip | {"occurredAt": None, "receivedAt": None} == {
        "fromSecond": 30,
        "toSecond": 60,
        "skippedSecond": 30,
        "stillUnwatchedSecond": 30,
        "isSkip": True,
        "allowed": False,
        "reason": "beyond_verified",
        "occurredAt": None,
        "receivedAt": None,
    }


def test_its_totals_are_those_of_progress_and_of_skip_analytics(viewer: Viewer) -> None:
    viewer.record(segment(0, 30), segment(95, 110), seeks=[seek(30, 95)])
    viewer.close()
    viewer.start()
    viewer.watch((40, 50, 1.5))

    attempt, progress = latest(viewer), viewer.progress()
    totals = progress["aggregates"]

    assert {name: attempt[name] for name in attempt.keys() & progress["attempt"].keys()} == progress["attempt"]
    shared = attempt.keys() & totals.keys()
    assert len(shared) == 7
    assert {name: attempt[name] for name in shared} == {name: totals[name] for name in shared}
    assert (attempt["coverage"], attempt["missing"]["unwatched"]) == (totals["watchedRanges"], totals["missingRanges"])
    for session, listed in zip(attempt["sessions"], progress["sessions"], strict=True):
        assert session["endedAt"] == listed.pop("closedAt")
        assert session | listed == session
        [skips] = [viewer.get(f"/video/sessions/{session['sessionId']}/skip-analytics")["skips"]]
        assert [skip | listed for skip, listed in zip(session["skips"], skips, strict=True)] == session["skips"]


# Watched again, and skipped


def test_what_an_open_session_watched_again_is_told_at_once_and_the_same_when_it_ended(viewer: Viewer) -> None:
    viewer.watch((0, 30), (10, 20), (15, 40))
    live = of_session(viewer)["rewatched"]
    viewer.close()

    assert live == of_session(viewer)["rewatched"] == [[10, 30]]


def test_a_session_that_woke_up_is_told_live_again(viewer: Viewer) -> None:
    viewer.watch((0, 30), (10, 20))
    viewer.fall_silent()
    viewer.record(segment(40, 50), segment(45, 60), seeks=[seek(60, 90)])

    assert of_session(viewer)["rewatched"] == [[10, 20], [45, 50]]
    assert latest(viewer)["skipped"] == [[60, 90]]


def test_what_comes_late_is_told(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.close()
    viewer.record(segment(20, 40), seeks=[seek(40, 70)])

    assert of_session(viewer)["rewatched"] == [[20, 30]]
    assert latest(viewer)["skipped"] == [[40, 70]]


def test_segments_that_touch_are_not_watched_again(viewer: Viewer) -> None:
    viewer.watch((0, 10), (10, 20), (20.001, 30))

    assert latest(viewer)["rewatched"] == []


def test_what_two_sessions_cover_was_watched_again_in_the_attempt_only(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.close()
    viewer.start()
    viewer.watch((20, 50))

    attempt = latest(viewer)

    assert attempt["rewatched"] == [[20, 30]]
    assert [session["rewatched"] for session in attempt["sessions"]] == [[], []]


def test_another_attempt_does_not_make_it_watched_again(viewer: Viewer) -> None:
    viewer.watch((0, 30))
    viewer.close()
    viewer.complete()
    viewer.start()
    viewer.watch((0, 30))

    assert [attempt["rewatched"] for attempt in evidence(viewer)["attempts"]] == [[], []]


def test_what_was_skipped_and_watched_later_is_not_skipped(viewer: Viewer) -> None:
    viewer.record(segment(0, 10), seeks=[seek(10, 60), seek(90, 95)])
    viewer.close()
    viewer.start()
    viewer.watch((20, 30))

    attempt = latest(viewer)

    assert attempt["skipped"] == [[10, 20], [30, 60]]
    assert [skip["stillUnwatchedSecond"] for skip in attempt["sessions"][1]["skips"]] == [40, 5]


def test_jumps_that_were_no_skips_are_told_if_they_were_not_allowed(viewer: Viewer) -> None:
    viewer.record(seeks=[seek(0, 3), seek(50, 50.5), seek(90, 80), seek(80, 20, allowed=False, reason="shaky")])

    told = of_session(viewer)

    assert [(s["fromSecond"], s["isSkip"], s["reason"], s["stillUnwatchedSecond"]) for s in told["skips"]] == [
        (0, False, "beyond_verified", 3),
        (80, False, "shaky", 0),
    ]
    assert (told["seekCount"], told["skipCount"], latest(viewer)["skipped"]) == (4, 0, [])


def test_jumps_are_told_in_the_order_they_occurred_with_both_moments(viewer: Viewer) -> None:
    moments = ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"]
    viewer.record(seeks=[seek(0, 10, occurredAt=moments[0]), seek(20, 30, occurredAt=moments[1])])

    skips = of_session(viewer)["skips"]

    assert [skip["occurredAt"] for skip in skips] == moments[::-1]
    assert all(
        viewer_saw <= datetime.fromisoformat(skip["receivedAt"])
        for skip in skips
        for viewer_saw in [datetime.fromisoformat(of_session(viewer)["startedAt"])]
    )


# What is missing


@pytest.mark.parametrize(
    ("threshold", "watched", "short"),
    [
        (None, (0, 10), 0),
        (0.5, (0, 10), 40),
        (0.5, (0, 49.999), 0.001),
        (0.5, (0, 50), 0),
        (0.333333, (0, 33.333), 0.001),
        (0, (0, 1), 0),
        (1, (0, 98), 1),  # the last second is not asked for
        (1, (0, 98.999), 0.001),
        (1, (0, 99), 0),
        (1, (50, 100), 50),
        (0.995, (0, 98.5), 0.5),
    ],
)
def test_how_much_is_short_is_what_has_to_be_watched_to_complete_it(
    new_lesson: NewLesson, threshold: float | None, watched: tuple[float, float], short: float
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, completionThreshold=threshold))
    viewer.start()
    viewer.watch(watched)

    missing = latest(viewer)["missing"]

    assert (missing["thresholdRatio"], missing["shortSecond"]) == (threshold, short)
    assert missing["completionRatio"] == viewer.progress()["aggregates"]["completionRatio"]
    status = viewer.send("PUT", f"/video/attempts/{viewer.attempt_id}/complete").status_code
    assert status == (409 if short else 200)


def test_who_watches_what_is_short_can_complete(new_lesson: NewLesson) -> None:
    viewer = Viewer(new_lesson(durationSecond=99.999, completionThreshold=0.777777))
    viewer.start()
    viewer.watch((3, 10))
    short = latest(viewer)["missing"]["shortSecond"]

    viewer.watch((10, 10 + short - 0.001))
    problem(viewer.send("PUT", f"/video/attempts/{viewer.attempt_id}/complete"), 409)
    viewer.watch((10 + short - 0.001, 10 + short))

    assert latest(viewer)["missing"]["shortSecond"] == 0
    viewer.complete()


def test_nothing_is_short_of_a_completed_attempt(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100))
    viewer.start()
    viewer.watch((0, 10))
    viewer.complete()
    service.put(f"/video/lessons/{viewer.lesson_id}", {"durationSecond": 100, "completionThreshold": 0.9})

    attempt = latest(viewer)

    assert (attempt["status"], attempt["missing"]["shortSecond"]) == ("completed", 0)
    assert attempt["completedAt"]
    assert attempt["missing"]["unwatched"] == [[10, 100]]


@pytest.mark.parametrize(("threshold", "short"), [(None, 0), (0.5, None), (0, None)])
def test_while_the_duration_is_unknown_nobody_can_tell(
    new_lesson: NewLesson, threshold: float | None, short: float | None
) -> None:
    viewer = Viewer(new_lesson(completionThreshold=threshold))
    viewer.start()
    viewer.watch((0, 10))

    attempt = latest(viewer)

    assert attempt["coverageRatio"] is None
    assert attempt["missing"] == {
        "thresholdRatio": threshold,
        "completionRatio": None,
        "shortSecond": short,
        "unwatched": None,
    }


# What counts, and why not


def test_a_session_that_claims_too_much_does_not_count_where_the_policy_excludes_it(new_lesson: NewLesson) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, completionThreshold=0.5, integrityPolicy="exclude"))
    viewer.start()
    viewer.watch((0, 20))
    viewer.start()
    viewer.watch((20, 60))

    attempt = latest(viewer)

    assert [(each["counts"], each["whyNot"], each["integrity"]) for each in attempt["sessions"]] == [
        (False, "integrity", "exceeds_wall_clock"),
        (True, None, "plausible"),
    ]
    assert 9 < attempt["sessions"][0]["exceedsWallClockSecond"] <= 10
    assert attempt["exceedsWallClockSecond"] == attempt["sessions"][0]["exceedsWallClockSecond"]
    assert (attempt["coverage"], attempt["integrity"]) == ([[0, 60]], "exceeds_wall_clock")
    assert (attempt["coverageRatio"], attempt["missing"]["completionRatio"]) == (0.6, 0.2)
    assert (attempt["missing"]["shortSecond"], attempt["missing"]["unwatched"]) == (30, [[20, 100]])


def test_a_session_that_claims_too_much_counts_where_the_policy_flags_it(viewer: Viewer) -> None:
    viewer.watch((0, 60))

    session = of_session(viewer)

    assert (session["counts"], session["whyNot"], session["integrity"]) == (True, None, "exceeds_wall_clock")


def test_credit_is_told_with_where_it_came_from(new_lesson: NewLesson, service: Person) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, maxCreditRatio=0.3))
    viewer.start()
    viewer.record(segment(0, 20), seeks=[seek(20, 50)])
    viewer.complete()
    first = viewer.session_id
    viewer.close()
    viewer.start()
    viewer.watch((10, 40))
    viewer.close()
    second = viewer.session_id
    assigned = service.put(viewer.assignment)
    viewer.start()
    viewer.watch((90, 95))

    found = evidence(viewer)

    assert found["isAssigned"]
    current, before = found["attempts"]
    assert (current["attemptNo"], before["attemptNo"]) == (2, 1)
    assert (current["isAssigned"], before["isAssigned"]) == (True, False)
    assert current["creditedSecond"] == assigned["creditedSecond"] == 30
    assert before["creditedSecond"] == 0
    assert current["coverage"] == [[0, 30], [90, 95]]
    assert [(each["sessionId"], each["attemptNo"], each["creditedAttemptId"]) for each in current["sessions"]] == [
        (viewer.session_id, 2, None),
        (second, 2, current["attemptId"]),
        (first, 1, current["attemptId"]),
    ]
    assert all(each["counts"] for each in current["sessions"] + before["sessions"])
    assert [each["sessionId"] for each in before["sessions"]] == [first]
    # what was seen and not credited is not skipped, nor watched again
    assert (current["skipped"], current["rewatched"]) == ([[40, 50]], [[10, 20]])
    assert before["skipped"] == [[20, 50]]
    assert [skip["stillUnwatchedSecond"] for skip in current["sessions"][2]["skips"]] == [20]


def test_an_unassigned_session_that_is_too_old_for_credit_does_not_count(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, creditWindowDays=0))
    viewer.start()
    viewer.record(segment(0, 20), segment(0, 10), seeks=[seek(20, 50)])
    viewer.watch((30, 40))
    viewer.close()
    viewer.grow_older(86_400)
    service.put(viewer.assignment)

    attempt = latest(viewer)

    [session] = attempt["sessions"]
    assert [skip["stillUnwatchedSecond"] for skip in session["skips"]] == [20]
    assert (session["counts"], session["whyNot"], session["isAssigned"]) == (False, "unassigned", False)
    assert (session["coverage"], session["rewatched"]) == ([[0, 20], [30, 40]], [[0, 10]])
    assert (attempt["coverage"], attempt["rewatched"], attempt["skipped"]) == ([], [], [])


def test_only_what_lies_in_the_lesson_is_told(viewer: Viewer) -> None:
    viewer.record(segment(90, 120), segment(95, 120), seeks=[seek(80, 130)])

    attempt = latest(viewer)

    assert (attempt["coverage"], attempt["rewatched"], attempt["skipped"]) == ([[90, 100]], [[95, 100]], [[80, 90]])
    [session] = attempt["sessions"]
    assert (session["coverage"], session["rewatched"], session["coverageSecond"]) == ([[90, 100]], [[95, 100]], 10)


# Sessions


def test_a_session_tells_the_time_it_took_by_the_servers_clock(viewer: Viewer, database_url: str) -> None:
    viewer.watch((0, 10))
    run(
        database_url,
        "UPDATE watch_session SET started_at = last_heartbeat_at - interval '83.5 seconds' WHERE session_id = :id",
        id=viewer.session_id,
    )
    assert of_session(viewer)["wallClockSecond"] == 83.5

    viewer.fall_silent()

    assert (of_session(viewer)["status"], of_session(viewer)["wallClockSecond"]) == ("stale", 83.5)
    assert of_session(viewer)["endedAt"] == of_session(viewer)["lastHeartbeatAt"]


def test_a_session_tells_what_its_player_said_of_itself(viewer: Viewer) -> None:
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id, "clientInfo": {"player": "web", "tabs": [1, None]}}
    viewer.session_id = viewer.post("/video/sessions", body)["sessionId"]

    assert of_session(viewer)["clientInfo"] == {"player": "web", "tabs": [1, None]}


def test_of_an_archived_session_the_totals_are_told_and_no_jumps(viewer: Viewer, database_url: str) -> None:
    viewer.record(segment(0, 20), segment(0, 10), seeks=[seek(20, 50)])
    viewer.close()
    before = latest(viewer)
    for statement in (
        "UPDATE watch_session SET archived_at = now() WHERE session_id = :id",
        "DELETE FROM watch_segment WHERE session_id = :id",
        "DELETE FROM seek_event WHERE session_id = :id",
    ):
        run(database_url, statement, id=viewer.session_id)
    viewer.close()

    after = latest(viewer)

    [told] = before.pop("sessions")
    assert after.pop("sessions") == [told | {"isArchived": True, "skips": None}]
    assert after == before


def test_a_month_that_goes_to_the_archive_and_comes_back_takes_nothing_of_it_away(
    server_url: str, tmp_path: Path
) -> None:
    with database(server_url) as url, deployed(DATABASE_URL=url, ARCHIVE_URL=tmp_path.as_uri()):
        viewer = watched_in(date(2024, 3, 1), (0, 20), (10, 30), (50, 90))
        before = latest(viewer)
        archive.run()
        assert run(url, "SELECT count(*) FROM watch_segment") == [[0]]
        archived = latest(viewer)
        assert restore.main(["2024-03"]) == 0

        assert latest(viewer) == before
    [session] = archived.pop("sessions")
    [with_jumps] = before.pop("sessions")
    assert before["rewatched"] == [[10, 20], [70, 80]]
    assert before["skipped"] == [[30, 40]]
    assert archived == before
    assert session == with_jumps | {"isArchived": True, "skips": None}


def test_the_newest_100_sessions_are_told_and_all_of_them_count(viewer: Viewer) -> None:
    viewer.record(segment(0, 10), segment(0, 5), seeks=[seek(10, 40)])
    for _ in range(99):
        viewer.start()
    assert not evidence(viewer)["truncated"]
    viewer.start()

    found = evidence(viewer)

    assert found["truncated"]
    [attempt] = found["attempts"]
    assert len(attempt["sessions"]) == 100
    assert attempt["sessions"][0]["sessionId"] == viewer.session_id
    assert (attempt["coverage"], attempt["rewatched"], attempt["skipped"]) == ([[0, 10]], [[0, 5]], [[10, 40]])


def test_the_newest_20_attempts_are_told(viewer: Viewer) -> None:
    for _ in range(19):
        viewer.complete()
        viewer.start()
    assert (len(evidence(viewer)["attempts"]), evidence(viewer)["truncated"]) == (20, False)
    viewer.complete()
    viewer.start()

    found = evidence(viewer)

    assert [attempt["attemptNo"] for attempt in found["attempts"]] == list(range(21, 1, -1))
    assert found["truncated"]
    assert found["attempts"][0]["sessions"][0]["sessionId"] == viewer.session_id


def test_the_first_100_jumps_of_a_session_are_told(viewer: Viewer) -> None:
    viewer.record(seeks=[seek(0, 10 + n / 10) for n in range(101)])

    told = of_session(viewer)

    assert [skip["toSecond"] for skip in told["skips"]] == [10 + n / 10 for n in range(100)]
    assert told["skipCount"] == 101


def test_an_assigned_lesson_that_nobody_opened_has_an_attempt_without_sessions(
    new_lesson: NewLesson, service: Person
) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, completionThreshold=0.9))
    service.put(viewer.assignment)

    [attempt] = evidence(viewer)["attempts"]

    assert (attempt["isAssigned"], attempt["sessions"], attempt["coverage"], attempt["resumeSecond"]) == (
        True,
        [],
        [],
        None,
    )
    assert attempt["missing"]["shortSecond"] == 90


# Who asks


def test_a_manager_and_a_service_see_anyones(viewer: Viewer, manager: Person, service: Person) -> None:
    viewer.watch((0, 10))

    for person in (manager, service):
        assert person.get(path(viewer.user_id, viewer.lesson_id)) == evidence(viewer)


def test_another_players_is_404_like_one_that_nobody_has(viewer: Viewer) -> None:
    other = Person()

    foreign = problem(other.send("GET", path(viewer.user_id, viewer.lesson_id)), 404)
    unknown = problem(other.send("GET", path(f"user-{uuid4()}", viewer.lesson_id)), 404)
    nothing = problem(viewer.send("GET", path(viewer.user_id, f"lesson-{uuid4()}")), 404)

    assert foreign | {"traceId": None} == unknown | {"traceId": None} == nothing | {"traceId": None}


def test_nothing_of_somebody_else_is_told(viewer: Viewer) -> None:
    other = Viewer(viewer.lesson_id)
    other.start()
    other.record(segment(0, 90), segment(0, 90), seeks=[seek(0, 100)])

    [attempt] = evidence(viewer)["attempts"]

    assert (attempt["coverage"], attempt["rewatched"], attempt["skipped"]) == ([], [], [])
    assert [session["sessionId"] for session in attempt["sessions"]] == [viewer.session_id]


def test_nothing_is_sent_again_while_it_is_the_same(viewer: Viewer) -> None:
    where = path(viewer.user_id, viewer.lesson_id)
    etag = viewer.send("GET", where).headers["ETag"]

    assert viewer.send("GET", where, headers={"If-None-Match": etag}).status_code == 304
    viewer.watch((0, 1))
    assert viewer.send("GET", where, headers={"If-None-Match": etag}).status_code == 200
