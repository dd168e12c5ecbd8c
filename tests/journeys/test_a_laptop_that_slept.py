"""The lid was closed in the middle of a lesson, and opened again hours later."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Viewer, problem


@pytest.fixture
def sleeper(new_lesson: Callable[..., str]) -> Viewer:
    """Somebody who watched 40 of 100 seconds, eight hours ago, and said no more."""
    somebody = Viewer(new_lesson(durationSecond=100))
    somebody.start()
    somebody.grow_older(40)
    somebody.watch((0, 40))
    somebody.fall_silent(8 * 3_600)
    return somebody


def only_session(viewer: Viewer) -> dict[str, Any]:
    [session] = viewer.progress()["sessions"]
    return dict(session)


def test_the_session_ended_at_its_last_sign_of_life_and_counts(sleeper: Viewer) -> None:
    found = sleeper.progress()

    assert found["sessions"][0]["status"] == "stale"
    assert found["sessions"][0]["closedAt"] == found["sessions"][0]["lastHeartbeatAt"]
    assert (found["aggregates"]["coverageSecond"], found["aggregates"]["effectiveSecond"]) == (40, 40)


@pytest.mark.parametrize("sign_of_life", ["heartbeat", "progress"])
def test_who_opens_the_lid_goes_on_in_the_same_session(sleeper: Viewer, sign_of_life: str) -> None:
    if sign_of_life == "heartbeat":
        sleeper.touch()
    else:
        assert sleeper.record()["status"] == "open"

    assert only_session(sleeper)["status"] == "open"
    assert sleeper.watch((40, 60))["coverageSecond"] == 60
    totals = sleeper.close()
    assert (totals["coverageSecond"], totals["effectiveSecond"]) == (60, 60)
    assert sleeper.progress()["aggregates"]["integrity"] == "plausible"


def test_it_may_sleep_and_wake_as_often_as_it_likes(sleeper: Viewer) -> None:
    for second in range(40, 100, 10):
        sleeper.watch((second, second + 10))
        sleeper.fall_silent(600)

    session = only_session(sleeper)
    assert (session["status"], session["effectiveSecond"]) == ("stale", 100)
    assert sleeper.complete()["coverageRatio"] == 1


def test_who_opens_the_player_anew_instead_resumes_there(sleeper: Viewer) -> None:
    again = sleeper.start()

    assert (again["attemptNo"], again["resumeSecond"], again["maxVerifiedSecond"]) == (1, 40, 40)
    assert sleeper.watch((40, 100))["effectiveSecond"] == 100
    assert [session["status"] for session in sleeper.progress()["sessions"]] == ["open", "stale"]


def test_who_closes_the_window_on_waking_ended_when_it_fell_asleep(sleeper: Viewer) -> None:
    asleep = only_session(sleeper)

    assert sleeper.close()["status"] == "closed"

    awake = only_session(sleeper)
    assert (awake["status"], awake["closedAt"]) == ("closed", asleep["closedAt"])
    assert problem(sleeper.send("PUT", f"/video/sessions/{sleeper.session_id}/heartbeat"), 409)
