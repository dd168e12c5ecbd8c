"""A player without a network: an hour of watching, delivered in one go, more than once and out of order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.conftest import Viewer, seek, segment

HOUR = 3_600


def test_offline_for_an_hour(new_lesson: Callable[..., str]) -> None:
    lessons = [new_lesson(durationSecond=HOUR), new_lesson(durationSecond=600)]
    ben = Viewer(lessons[0])
    ben.start()
    long, other = ben.session_id, Viewer(lessons[1], ben.user_id)
    other.start()

    # Both players are open when the network goes; the server takes the sessions for stale.
    ben.fall_silent(HOUR + 60)
    other.fall_silent(HOUR + 60)
    assert ben.progress()["sessions"][0]["status"] == "stale"

    # A ten-second segment after the other for an hour, a skip, and an event that went wrong.
    left = datetime.now(UTC) - timedelta(seconds=HOUR + 30)
    played = [
        segment(second, second + 10, occurredAt=(left + timedelta(seconds=second + 10)).isoformat())
        for second in range(0, HOUR, 10)
        if second != 1_800
    ]
    broken = {"clientEventId": str(uuid4()), "startSecond": float("nan"), "endSecond": 5}
    jump = seek(1_800, 1_810, occurredAt=(left + timedelta(seconds=1_800)).isoformat())
    buffer: list[dict[str, Any]] = [
        {"sessionId": long, "segments": played[180:], "seeks": [jump]},
        {"sessionId": other.session_id, "segments": [segment(0, 300), segment(300, 700)], "close": True},
        {"sessionId": long, "segments": [*played[:180], broken], "close": True},
        {"sessionId": "forgotten", "segments": [segment(0, 10)]},
    ]
    results = ben.post("/video/progress/bulk", {"items": buffer})["results"]

    assert [result["status"] for result in results] == [200, 200, 200, 422]
    assert [result.get("sessionStatus") for result in results[:3]] == ["open", "closed", "closed"]
    assert results[0]["accepted"] == 180
    assert (results[2]["accepted"], len(results[2]["rejected"])) == (180, 1)

    # The answer was lost: everything comes again, in another order, and changes nothing.
    before = ben.progress()
    repeated = ben.post("/video/progress/bulk", {"items": buffer[::-1]})["results"]
    assert [result["status"] for result in repeated] == [422, 200, 200, 200]
    assert [result["accepted"] for result in repeated[1:]] == [0, 0, 0]
    assert [result["duplicates"] for result in repeated[1:]] == [180, 2, 180]
    assert [result["late"] for result in repeated[1:]] == [True, True, True]
    assert ben.progress() == before

    # An hour was watched in an hour, but for ten seconds, and nothing is wrong with that.
    aggregates = before["aggregates"]
    assert (aggregates["coverageSecond"], aggregates["effectiveSecond"]) == (HOUR - 10, HOUR - 10)
    assert aggregates["missingRanges"] == [[1_800, 1_810]]
    assert (aggregates["integrity"], aggregates["maxVerifiedSecond"]) == ("plausible", 1_800)
    assert aggregates["resumeSecond"] == HOUR
    skips = ben.skips()
    assert (skips["skipCount"], skips["skippedSecond"], skips["stillUnwatchedSecond"]) == (1, 10, 10)

    # What runs beyond the lesson's end is clipped.
    assert other.progress()["aggregates"]["coverageRatio"] == 1
    assert other.progress()["aggregates"]["effectiveSecond"] == 700
