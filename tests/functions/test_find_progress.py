"""GET /video/users/{userId}/lessons/{lessonId}/progress."""

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, seek, segment

NewLesson = Callable[..., str]


def path(user_id: str, lesson_id: str) -> str:
    return f"/video/users/{quote(user_id, safe='')}/lessons/{quote(lesson_id, safe='')}/progress"


def test_an_answer_has_the_attempt_its_totals_and_its_sessions(viewer: Viewer) -> None:
    viewer.record(segment(0, 30, 2), seeks=[seek(30, 60)])

    found = viewer.progress()

    assert set(found) == {"userId", "lessonId", "durationSecond", "attempt", "aggregates", "sessions"}
    assert (found["userId"], found["lessonId"], found["durationSecond"]) == (viewer.user_id, viewer.lesson_id, 100)
    assert set(found["attempt"]) == {"attemptId", "attemptNo", "status", "isAssigned", "startedAt", "completedAt"}
    assert found["attempt"] | {"startedAt": None} == {
        "attemptId": viewer.attempt_id,
        "attemptNo": 1,
        "status": "active",
        "isAssigned": False,
        "startedAt": None,
        "completedAt": None,
    }
    assert found["aggregates"] == {
        "coverageSecond": 30,
        "effectiveSecond": 15,
        "coverageRatio": 0.3,
        "maxVerifiedSecond": 30,
        "resumeSecond": 30,
        "watchedRanges": [[0, 30]],
        "missingRanges": [[30, 100]],
        "integrity": "plausible",
        "exceedsWallClockSecond": 0,
        "completionRatio": 0.3,
        "completionThreshold": None,
    }
    [session] = found["sessions"]
    moments = {"startedAt", "lastHeartbeatAt", "closedAt"}
    assert {name: value for name, value in session.items() if name not in moments} == {
        "sessionId": viewer.session_id,
        "status": "open",
        "coverageSecond": 30,
        "effectiveSecond": 15,
        "skipCount": 1,
        "integrity": "plausible",
    }
    assert moments <= set(session)


def test_moments_are_rfc_3339_in_utc(viewer: Viewer) -> None:
    viewer.close()
    viewer.complete()

    found = viewer.progress()

    moments = [found["attempt"]["startedAt"], found["sessions"][0]["closedAt"], found["attempt"]["completedAt"]]
    for moment in moments:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", moment)
    assert sorted(moments, key=datetime.fromisoformat) == moments


def test_seconds_have_at_most_three_decimals(viewer: Viewer) -> None:
    viewer.watch((0.1234567, 33.3333333, 1.7))

    response = viewer.send("GET", path(viewer.user_id, viewer.lesson_id))

    numbers = re.findall(r'Second":([\d.]+)', response.get_data(as_text=True))
    assert len(numbers) > 5
    assert all(re.fullmatch(r"\d+(\.\d{1,3})?", number) for number in numbers)


def test_open_sessions_are_included_live(viewer: Viewer) -> None:
    viewer.watch((0, 20))
    viewer.close()
    viewer.start()
    viewer.watch((10, 40))
    viewer.start()
    viewer.watch((60, 70, 2))

    found = viewer.progress()

    assert found["aggregates"]["watchedRanges"] == [[0, 40], [60, 70]]
    assert (found["aggregates"]["coverageSecond"], found["aggregates"]["effectiveSecond"]) == (50, 55)
    assert [one["status"] for one in found["sessions"]] == ["open", "open", "closed"]


def test_ending_a_session_changes_no_total(viewer: Viewer) -> None:
    viewer.watch((0, 20))
    viewer.start()
    viewer.watch((10, 40))
    live = viewer.progress()["aggregates"]

    viewer.fall_silent(0)
    assert viewer.progress()["aggregates"] == live
    viewer.close()
    assert viewer.progress()["aggregates"] == live


def test_sessions_are_listed_the_newest_first(viewer: Viewer) -> None:
    started = [viewer.session_id, *(viewer.start()["sessionId"] for _ in range(3))]

    assert [one["sessionId"] for one in viewer.progress()["sessions"]] == started[::-1]


def test_the_latest_100_sessions_are_listed_and_all_are_counted(viewer: Viewer) -> None:
    viewer.watch((0, 10))
    for _ in range(100):
        viewer.start()

    found = viewer.progress()

    assert len(found["sessions"]) == 100
    assert found["sessions"][0]["sessionId"] == viewer.session_id
    assert found["aggregates"]["coverageSecond"] == 10


def test_an_open_session_has_no_end_and_an_ended_one_has(viewer: Viewer) -> None:
    assert viewer.progress()["sessions"][0]["closedAt"] is None

    viewer.close()

    assert viewer.progress()["sessions"][0]["closedAt"]


def test_the_latest_attempt_is_told(viewer: Viewer) -> None:
    viewer.watch((0, 100))
    viewer.complete()
    assert viewer.progress()["attempt"]["status"] == "completed"
    viewer.start()
    viewer.watch((0, 10))

    found = viewer.progress()

    assert (found["attempt"]["attemptNo"], found["attempt"]["status"]) == (2, "active")
    assert found["aggregates"]["coverageSecond"] == 10
    assert len(found["sessions"]) == 1


@pytest.mark.parametrize(
    ("stretch", "ratio", "missing"),
    [
        ((0, 98.999), 0.98999, [[98.999, 100]]),
        ((0, 99), 1, []),
        ((0, 99.7), 1, []),
        ((0, 100), 1, []),
        ((0, 100.4), 1, []),
        ((0.001, 100), 0.99999, [[0, 0.001]]),
    ],
    ids=str,
)
def test_the_ratio_reaches_exactly_1_within_the_last_second_and_nothing_else_missing(
    viewer: Viewer, stretch: tuple[float, float], ratio: float, missing: list[list[float]]
) -> None:
    viewer.watch(stretch)

    aggregates = viewer.progress()["aggregates"]

    assert (aggregates["coverageRatio"], aggregates["missingRanges"]) == (ratio, missing)


def test_a_millisecond_missing_in_a_day_is_not_1(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson(durationSecond=86_400))
    somebody.start()
    somebody.watch((0, 43_200), (43_200.001, 86_400))

    aggregates = somebody.progress()["aggregates"]

    assert 0.999 < aggregates["coverageRatio"] < 1
    assert aggregates["missingRanges"] == [[43_200, 43_200.001]]


def test_a_gap_that_is_bridged_for_verified_progress_is_still_missing(viewer: Viewer) -> None:
    viewer.watch((0, 50), (51, 100))

    aggregates = viewer.progress()["aggregates"]

    assert (aggregates["maxVerifiedSecond"], aggregates["coverageRatio"]) == (100, 0.99)
    assert aggregates["missingRanges"] == [[50, 51]]


def test_while_the_duration_is_unknown_there_is_no_ratio_and_nothing_is_missing_yet(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson())
    somebody.start()
    somebody.watch((0, 30), (50, 200))

    found = somebody.progress()

    assert found["durationSecond"] is None
    assert found["aggregates"]["coverageRatio"] is found["aggregates"]["missingRanges"] is None
    assert found["aggregates"]["watchedRanges"] == [[0, 30], [50, 200]]
    assert found["aggregates"]["resumeSecond"] == 200


def test_a_duration_that_is_learnt_later_applies_to_what_was_watched_before(
    new_lesson: NewLesson, service: Person
) -> None:
    somebody = Viewer(new_lesson())
    somebody.start()
    somebody.watch((0, 30), (50, 200))
    somebody.close()

    service.put(f"/video/lessons/{somebody.lesson_id}", {"durationSecond": 60})

    aggregates = somebody.progress()["aggregates"]
    assert aggregates["watchedRanges"] == [[0, 30], [50, 60]]
    assert aggregates["missingRanges"] == [[30, 50]]
    assert (aggregates["coverageRatio"], aggregates["resumeSecond"]) == (0.666666, 60)
    assert somebody.progress()["sessions"][0]["coverageSecond"] == 40


def test_a_duration_that_is_corrected_brings_back_what_was_beyond_it(viewer: Viewer, service: Person) -> None:
    viewer.watch((90, 150))
    assert viewer.progress()["aggregates"]["coverageSecond"] == 10

    service.put(f"/video/lessons/{viewer.lesson_id}", {"durationSecond": 200})

    assert viewer.progress()["aggregates"]["watchedRanges"] == [[90, 150]]


def test_nothing_watched_is_nothing_watched(viewer: Viewer) -> None:
    aggregates = viewer.progress()["aggregates"]

    assert (aggregates["coverageSecond"], aggregates["effectiveSecond"], aggregates["coverageRatio"]) == (0, 0, 0)
    assert (aggregates["maxVerifiedSecond"], aggregates["resumeSecond"]) == (0, None)
    assert (aggregates["watchedRanges"], aggregates["missingRanges"]) == ([], [[0, 100]])


def test_a_session_in_which_nothing_was_played_has_no_say_in_the_resume_position(viewer: Viewer) -> None:
    viewer.watch((0, 40))
    viewer.start()

    assert viewer.progress()["aggregates"]["resumeSecond"] == 40
    viewer.close()
    assert viewer.start()["resumeSecond"] == 40


def test_a_lesson_shorter_than_a_second_is_whole_when_any_of_it_was_seen(new_lesson: NewLesson) -> None:
    somebody = Viewer(new_lesson(durationSecond=0.5))
    somebody.start()
    assert somebody.progress()["aggregates"]["coverageRatio"] == 0

    somebody.watch((0, 0.1))

    assert somebody.progress()["aggregates"]["coverageRatio"] == 1


# ETag


def test_an_answer_has_a_strong_etag_and_is_not_sent_again_while_it_is_the_same(viewer: Viewer) -> None:
    where = path(viewer.user_id, viewer.lesson_id)
    first = viewer.send("GET", where)
    etag = first.headers["ETag"]

    again = viewer.send("GET", where, headers={"If-None-Match": etag})

    assert re.fullmatch(r'"[0-9a-f]+"', etag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert viewer.send("GET", where).headers["ETag"] == etag


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', "*"])
def test_an_etag_may_be_asked_about_in_every_form(viewer: Viewer, form: str) -> None:
    where = path(viewer.user_id, viewer.lesson_id)
    asked = form.format(viewer.send("GET", where).headers["ETag"])

    assert viewer.send("GET", where, headers={"If-None-Match": asked}).status_code == 304
    assert viewer.send("GET", where, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda viewer, service: viewer.watch((0, 1)),
        lambda viewer, service: viewer.touch(),
        lambda viewer, service: viewer.jump(0, 50),
        lambda viewer, service: viewer.start(),
        lambda viewer, service: viewer.fall_silent(),
        lambda viewer, service: viewer.close(),
        lambda viewer, service: viewer.complete(),
        lambda viewer, service: service.put(f"/video/lessons/{viewer.lesson_id}", {"durationSecond": 101}),
    ],
    ids=["progress", "heartbeat", "seek", "start", "stale", "close", "complete", "duration"],
)
def test_the_etag_changes_when_anything_changes(
    viewer: Viewer, service: Person, change: Callable[[Viewer, Person], object]
) -> None:
    where = path(viewer.user_id, viewer.lesson_id)
    etag = viewer.send("GET", where).headers["ETag"]

    change(viewer, service)

    changed = viewer.send("GET", where, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_head_answers_like_get_without_the_body(viewer: Viewer) -> None:
    where = path(viewer.user_id, viewer.lesson_id)
    got, asked = viewer.send("GET", where), viewer.send("HEAD", where)

    assert (asked.status_code, asked.data) == (200, b"")
    assert asked.headers["ETag"] == got.headers["ETag"]
    assert asked.headers["Content-Length"] == got.headers["Content-Length"]
    assert viewer.send("HEAD", where, headers={"If-None-Match": got.headers["ETag"]}).status_code == 304


# Who asks, and for whom


def test_a_manager_and_a_service_read_anyones_progress(viewer: Viewer, manager: Person, service: Person) -> None:
    for person in (manager, service):
        assert person.get(path(viewer.user_id, viewer.lesson_id)) == viewer.progress()


def test_what_is_anothers_is_404_like_what_is_not_recorded(viewer: Viewer, manager: Person) -> None:
    other = Person()

    foreign = problem(other.send("GET", path(viewer.user_id, viewer.lesson_id)), 404)
    unknown = problem(other.send("GET", path(other.user_id, viewer.lesson_id)), 404)
    nobody = problem(manager.send("GET", path("nobody", viewer.lesson_id)), 404)

    assert foreign | {"traceId": 0} == unknown | {"traceId": 0} == nobody | {"traceId": 0}


@pytest.mark.parametrize("name", ["a/b", "a b", "100%", "%2F", "äöü€😀", "a?b#c&d", "..", "x" * 100, "a+b", "'--"])
def test_ids_may_have_any_printable_characters(name: str) -> None:
    name = f"{name}-{uuid4().hex[:20]}"
    somebody = Viewer(lesson_id=name, user_id=name)
    somebody.start()
    somebody.watch((0, 10))

    found = somebody.get(path(name, name))

    assert (found["userId"], found["lessonId"]) == (name, name)
    assert found["aggregates"]["coverageSecond"] == 10


@pytest.mark.parametrize("letter", ["x", "ü", "😀", "/"])
def test_an_id_has_up_to_128_characters(letter: str, manager: Person) -> None:
    somebody = Viewer(lesson_id=letter * 128, user_id=letter * 96 + uuid4().hex)
    somebody.start()

    assert somebody.get(path(somebody.user_id, somebody.lesson_id))["lessonId"] == letter * 128
    [error] = problem(manager.send("GET", path(letter * 129, "x")), 422)["errors"]
    assert error["parameter"] == "userId" and "128" in error["detail"]


@pytest.mark.parametrize("encoded", ["%00", "a%0Db", "a%7Fb", "%FF", "%C3%28"])
def test_an_id_is_utf_8_without_control_characters(encoded: str, manager: Person) -> None:
    [error] = problem(manager.send("GET", f"/video/users/u/lessons/{encoded}/progress"), 422)["errors"]

    assert error["parameter"] == "lessonId"
