"""Three learners had a lesson open while the other tests ran: what came of it. The last of the tests in a browser."""

from collections.abc import Sequence
from time import monotonic

from tests.browser.chromium import eventually
from tests.browser.learner import Learner
from tests.browser.served import Asked

MINUTE_S = 60.0
LESSON_S = 600

Learners = tuple[Learner, Learner, Learner]


def most_in_a_minute(requests: Sequence[Asked]) -> int:
    moments = [request.at for request in requests]
    return max((sum(start <= at < start + MINUTE_S for at in moments) for start in moments), default=0)


def test_who_watches_asks_the_service_six_times_a_minute_at_most_and_who_pauses_twice(all_the_while: Learners) -> None:
    playing, _, paused = all_the_while
    opened = max(learner.way.to_the_service()[0].at for learner in all_the_while)
    assert eventually(lambda: monotonic() - opened > 2 * MINUTE_S, 2 * MINUTE_S)

    while_playing, while_paused = (learner.way.to_the_service(opened + 10) for learner in (playing, paused))
    assert 3 <= most_in_a_minute(while_playing) <= 6, while_playing
    assert 1 <= most_in_a_minute(while_paused) <= 2, while_paused
    assert {request.status for request in while_playing + while_paused} == {200}


def test_minutes_of_watching_are_recorded_to_a_thousandth(all_the_while: Learners) -> None:
    playing, _, paused = all_the_while
    end = playing.do("pause()")

    progress = playing.check()
    paused.check()

    assert end > MINUTE_S
    assert abs(progress["coverageSecond"] - end) <= end / 1000
    assert {session["status"] for learner in (playing, paused) for session in learner.progress()["sessions"]} == {
        "open"
    }


def test_ten_minutes_at_16_times_the_speed_are_ten_minutes_of_coverage(all_the_while: Learners) -> None:
    _, fast, _ = all_the_while
    fast.page.wait("witness.video.ended", 60)

    progress = fast.check()

    assert 0 <= LESSON_S - progress["coverageSecond"] <= LESSON_S / 1000
    assert progress["coverageRatio"] == 1
    assert len(fast.do("told()")) == 1
