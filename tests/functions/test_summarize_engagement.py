"""GET /video/lessons/{lessonId}/engagement: how many learners watched, rewatched and skipped each part of a lesson."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem, run, seek, segment

NewLesson = Callable[..., str]
Told = Callable[..., Any]


def path(lesson_id: str, query: str = "") -> str:
    return f"/video/lessons/{quote(lesson_id, safe='')}/engagement{query}"


@pytest.fixture
def told(manager: Person) -> Told:
    """What a manager is told of a lesson, in ten parts."""
    return lambda lesson_id, buckets=10: manager.get(path(lesson_id, f"?buckets={buckets}"))


def seen_by(lesson_id: str, *stretches: tuple[float, ...], seeks: Any = (), close: bool = True) -> Viewer:
    """Somebody else who watched the lesson in one session."""
    viewer = Viewer(lesson_id)
    viewer.start()
    viewer.record(*(segment(*stretch) for stretch in stretches), seeks=seeks)
    if close:
        viewer.close()
    return viewer


def column(told: Any, name: str) -> list[float]:
    return [bucket[name] for bucket in told["buckets"]]


def test_an_answer_has_the_learners_and_the_parts(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    seen_by(lesson_id, (0, 50), (0, 10), seeks=[seek(50, 80)]).complete()
    seen_by(lesson_id, (0, 20))

    answer = told(lesson_id)

    assert {name: value for name, value in answer.items() if name != "buckets"} == {
        "lessonId": lesson_id,
        "durationSecond": 100,
        "learners": 2,
        "completed": 1,
        "averageCoverageRatio": 0.35,
        "bucketSecond": 10,
    }
    first, *_ = answer["buckets"]
    assert first == {"startSecond": 0, "endSecond": 10, "watched": 2, "rewatched": 1, "skipped": 0}
    assert column(answer, "startSecond") == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert column(answer, "endSecond") == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert column(answer, "watched") == [2, 2, 1, 1, 1, 0, 0, 0, 0, 0]
    assert column(answer, "rewatched") == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert column(answer, "skipped") == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0]


def test_a_part_that_was_watched_in_part_counts_for_its_share(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    seen_by(lesson_id, (5, 12.5), (13, 14))

    assert column(told(lesson_id), "watched")[:3] == [0.5, 0.35, 0]


def test_means_have_three_decimals(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=9)
    seen_by(lesson_id, (0, 1), (3, 5))

    assert column(told(lesson_id, 3), "watched") == [0.333, 0.667, 0]


# Who is a learner


def test_a_learner_counts_once_however_many_sessions_and_attempts(
    new_lesson: NewLesson, told: Told, service: Person
) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 10))
    viewer.complete()
    viewer.start()
    viewer.watch((20, 30))
    viewer.close()
    viewer.complete()
    service.put(viewer.assignment)
    viewer.start()
    viewer.watch((40, 50))

    answer = told(lesson_id)

    assert (answer["learners"], answer["completed"], answer["averageCoverageRatio"]) == (1, 1, 0.3)
    assert column(answer, "watched") == [1, 0, 1, 0, 1, 0, 0, 0, 0, 0]


def test_who_opened_it_and_watched_nothing_is_no_learner(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    seen_by(lesson_id, seeks=[seek(0, 100)]).complete()
    seen_by(lesson_id, (100, 110))

    answer = told(lesson_id)

    assert (answer["learners"], answer["completed"], answer["averageCoverageRatio"]) == (0, 0, None)
    assert (answer["buckets"], answer["bucketSecond"]) == ([], None)


def test_what_claims_too_much_counts_like_the_rest(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100, integrityPolicy="exclude")
    viewer = seen_by(lesson_id, (0, 100, 0.5))

    assert viewer.progress()["aggregates"]["completionRatio"] == 0
    assert told(lesson_id)["averageCoverageRatio"] == 1


def test_an_unassigned_session_counts_whether_it_was_credited_or_not(
    new_lesson: NewLesson, told: Told, service: Person
) -> None:
    lesson_id = new_lesson(durationSecond=100, creditWindowDays=0)
    viewer = seen_by(lesson_id, (0, 10))
    viewer.grow_older(86_400)
    service.put(viewer.assignment)
    assert viewer.progress()["aggregates"]["coverageSecond"] == 0

    assert column(told(lesson_id), "watched")[:2] == [1, 0]


def test_of_another_lesson_nothing_counts(new_lesson: NewLesson, told: Told) -> None:
    lesson_id, other = new_lesson(durationSecond=100), new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 10))
    elsewhere = Viewer(other, viewer.user_id)
    elsewhere.start()
    elsewhere.watch((0, 50))
    elsewhere.complete()

    answer = told(lesson_id)

    assert (answer["learners"], answer["completed"], answer["averageCoverageRatio"]) == (1, 0, 0.1)


# Again


def test_what_two_sessions_cover_was_watched_again_by_one_learner(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 30))
    for stretch in ((20, 50), (90, 100), (25, 35)):
        viewer.start()
        viewer.watch(stretch)
    viewer.close()

    answer = told(lesson_id)

    assert column(answer, "watched") == [1, 1, 1, 1, 1, 0, 0, 0, 0, 1]
    assert column(answer, "rewatched") == [0, 0, 1, 0.5, 0, 0, 0, 0, 0, 0]


def test_what_two_learners_watched_is_not_watched_again(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    for _ in range(2):
        seen_by(lesson_id, (0, 30))

    assert column(told(lesson_id), "rewatched") == [0] * 10


def test_what_an_open_session_watched_again_or_skipped_comes_in_when_it_ends(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 20), (0, 10), seeks=[seek(20, 40)], close=False)
    while_open = told(lesson_id)
    viewer.fall_silent()
    silent = told(lesson_id)
    viewer.close()

    assert column(while_open, "watched")[:4] == column(silent, "watched")[:4] == [1, 1, 0, 0]
    assert column(while_open, "rewatched")[:4] == [0, 0, 0, 0]
    assert column(while_open, "skipped")[:4] == [0, 0, 0, 0]
    assert column(silent, "rewatched")[:4] == [1, 0, 0, 0]
    assert column(silent, "skipped")[:4] == [0, 0, 1, 1]
    assert told(lesson_id) == silent


def test_what_a_session_that_woke_up_watched_again_comes_in_when_it_ends_again(
    new_lesson: NewLesson, told: Told
) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 20), (0, 10), close=False)
    viewer.fall_silent()
    viewer.watch((10, 20))
    awake = told(lesson_id)
    viewer.close()

    assert column(awake, "rewatched")[:3] == [1, 0, 0]
    assert column(told(lesson_id), "rewatched")[:3] == [1, 1, 0]


def test_what_comes_late_is_told_too(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 20))
    viewer.record(segment(10, 30), seeks=[seek(30, 60)])

    answer = told(lesson_id)

    assert column(answer, "rewatched")[:4] == [0, 1, 0, 0]
    assert column(answer, "skipped")[:6] == [0, 0, 0, 1, 1, 1]


# Skipped


def test_what_was_skipped_and_watched_later_is_not_skipped(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 10), seeks=[seek(10, 60)])
    viewer.start()
    viewer.watch((20, 30))

    assert column(told(lesson_id), "skipped") == [0, 1, 0, 1, 1, 1, 0, 0, 0, 0]


def test_a_jump_that_is_no_skip_skips_nothing(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100, skipThresholdSecond=20)
    seen_by(lesson_id, (0, 10), seeks=[seek(10, 30), seek(90, 50)])

    assert column(told(lesson_id), "skipped") == [0] * 10


def test_two_skips_over_the_same_are_one_learner(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=100)
    seen_by(lesson_id, (0, 10), seeks=[seek(10, 40), seek(20, 60)])

    assert column(told(lesson_id), "skipped") == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0]


# The lesson and its parts


def test_nothing_lies_behind_the_end(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=20)
    seen_by(lesson_id, (15, 30), (15, 30), seeks=[seek(9, 90), seek(2, 14)])

    answer = told(lesson_id, 2)

    assert column(answer, "endSecond") == [10, 20]
    assert (column(answer, "watched"), column(answer, "rewatched")) == ([0, 0.5], [0, 0.5])
    assert column(answer, "skipped") == [0.8, 0.5]
    assert answer["averageCoverageRatio"] == 0.25


def test_while_the_duration_is_unknown_it_ends_where_somebody_got_to(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson()
    seen_by(lesson_id, (0, 10), seeks=[seek(10, 500)])
    seen_by(lesson_id, (0, 40))

    answer = told(lesson_id, 4)

    assert (answer["durationSecond"], answer["averageCoverageRatio"], answer["bucketSecond"]) == (None, None, 10)
    assert column(answer, "endSecond") == [10, 20, 30, 40]
    assert column(answer, "watched") == [2, 1, 1, 1]
    assert column(answer, "skipped") == [0, 1, 1, 1]


def test_a_lesson_that_nobody_watched_has_no_parts(new_lesson: NewLesson, told: Told) -> None:
    for lesson_id in (new_lesson(durationSecond=100), new_lesson()):
        answer = told(lesson_id)

        assert (answer["learners"], answer["completed"], answer["averageCoverageRatio"]) == (0, 0, None)
        assert (answer["buckets"], answer["bucketSecond"]) == ([], None)


@pytest.mark.parametrize(
    ("duration", "buckets", "length", "number", "last"),
    [
        (100, 3, 33.334, 3, 33.332),
        (0.005, 200, 0.001, 5, 0.001),
        (1, 1, 1, 1, 1),
        (86_400, 200, 432, 200, 432),
        (1.005, 100, 0.011, 92, 0.004),
    ],
)
def test_all_parts_are_equally_long_but_the_last(
    new_lesson: NewLesson, told: Told, duration: float, buckets: int, length: float, number: int, last: float
) -> None:
    lesson_id = new_lesson(durationSecond=duration)
    seen_by(lesson_id, (0, duration))

    answer = told(lesson_id, buckets)

    assert answer["bucketSecond"] == length
    assert len(answer["buckets"]) == number
    assert column(answer, "startSecond")[1:] == column(answer, "endSecond")[:-1]
    assert answer["buckets"][-1]["endSecond"] == duration
    assert round(duration - answer["buckets"][-1]["startSecond"], 3) == last
    assert column(answer, "watched") == [1] * number


def test_who_lacks_the_last_second_only_has_covered_all(new_lesson: NewLesson, told: Told) -> None:
    lesson_id = new_lesson(durationSecond=10)
    seen_by(lesson_id, (0, 9))
    seen_by(lesson_id, (1, 10))

    assert told(lesson_id)["averageCoverageRatio"] == 0.95


def test_there_are_100_parts_unless_another_number_is_asked_for(new_lesson: NewLesson, manager: Person) -> None:
    lesson_id = new_lesson(durationSecond=100)
    seen_by(lesson_id, (0, 1))

    assert len(manager.get(path(lesson_id))["buckets"]) == 100


@pytest.mark.parametrize(
    "query", ["?buckets=0", "?buckets=201", "?buckets=-1", "?buckets=many", "?buckets=1.5", "?a=1"]
)
def test_another_number_of_parts_is_refused(new_lesson: NewLesson, manager: Person, query: str) -> None:
    refused = problem(manager.send("GET", path(new_lesson(), query)), 422)

    assert refused["errors"]


def test_an_unknown_lesson_is_404(manager: Person) -> None:
    problem(manager.send("GET", path(f"lesson-{uuid4()}")), 404)


def test_a_player_is_refused(new_lesson: NewLesson, viewer: Viewer) -> None:
    problem(viewer.send("GET", path(viewer.lesson_id)), 403)


# What was noted


def test_of_an_archived_session_is_told_what_was_noted(new_lesson: NewLesson, told: Told, database_url: str) -> None:
    lesson_id = new_lesson(durationSecond=100)
    viewer = seen_by(lesson_id, (0, 20), (0, 10), seeks=[seek(20, 40)])
    before = told(lesson_id)
    for statement in (
        "UPDATE watch_session SET archived_at = now() WHERE session_id = :id",
        "DELETE FROM watch_segment WHERE session_id = :id",
        "DELETE FROM seek_event WHERE session_id = :id",
    ):
        run(database_url, statement, id=viewer.session_id)

    viewer.close()

    assert column(before, "rewatched")[:2] == [1, 0]
    assert column(before, "skipped")[:4] == [0, 0, 1, 1]
    assert told(lesson_id) == before
