"""A lesson of ten minutes: opened, watched at two speeds, skipped through, interrupted, closed, completed."""

from collections.abc import Callable

from tests.conftest import Person, Viewer, problem, seek, segment


def test_a_viewers_whole_journey(new_lesson: Callable[..., str], manager: Person) -> None:
    ann = Viewer(new_lesson(durationSecond=600, completionThreshold=0.9, seekPolicy="flag"))

    # She opens the player. The start's answer is lost, and her player asks again.
    key = {"headers": {"Idempotency-Key": "opening-1"}}
    lost, started = ann.start(**key), ann.start(**key)
    assert started["sessionId"] == lost["sessionId"]
    assert (started["attemptNo"], started["resumeSecond"], started["maxVerifiedSecond"]) == (1, None, 0)
    ann.grow_older(600)

    # She watches two minutes, a minute of it again, then goes on at double speed.
    ann.watch((0, 60), (60, 120))
    ann.watch((60, 120))
    assert ann.watch((120, 240, 2))["effectiveSecond"] == 240
    ann.touch()

    # She skips two minutes. It is recorded, and not allowed.
    ann.record(seeks=[seek(240, 360)])
    assert ann.watch((360, 420))["maxVerifiedSecond"] == 240
    skips = ann.skips()
    assert (skips["skipCount"], skips["disallowedCount"], skips["stillUnwatchedSecond"]) == (1, 1, 120)

    # The network goes. What was buffered is delivered twice, with a broken event in it.
    buffer = [segment(420, 450, 1.5), segment(450, 480), segment(480, 470)]
    first, again = ann.record(*buffer), ann.record(*buffer)
    assert (first["accepted"], len(first["rejected"])) == (2, 1)
    assert (again["accepted"], again["duplicates"]) == (0, 2)
    assert again["effectiveSecond"] == first["effectiveSecond"] == 350

    # She has not watched enough.
    refused = problem(ann.send("PUT", f"/video/attempts/{ann.attempt_id}/complete"), 409)
    assert (refused["coverageRatio"], refused["completionThreshold"]) == (0.6, 0.9)
    assert refused["missingRanges"] == [[240, 360], [480, 600]]

    # She closes the window; a beacon brings the last seconds. Some come even later.
    closed = ann.post(f"/video/sessions/{ann.session_id}/close", {"segments": [segment(480, 540)]})
    assert (closed["status"], closed["coverageSecond"], closed["effectiveSecond"]) == ("closed", 420, 410)
    late = ann.record(segment(540, 599.4))
    assert (late["late"], late["status"]) == (True, "closed")
    assert late["coverageSecond"] == 479.4

    # Next day she goes back to what she skipped.
    ann.grow_older(86_400)
    back = ann.start()
    assert (back["attemptNo"], back["resumeSecond"], back["maxVerifiedSecond"]) == (1, 599.4, 240)
    ann.grow_older(120)
    assert ann.watch((240, 360))["maxVerifiedSecond"] == 599.4
    done = ann.complete()
    assert (done["status"], done["coverageRatio"], done["effectiveSecond"]) == ("completed", 1, 589.4)
    ann.close()

    # Her manager sees all of it, and that it is plausible.
    seen = manager.get(f"/video/users/{ann.user_id}/lessons/{ann.lesson_id}/progress")
    assert seen == ann.progress()
    assert (seen["attempt"]["status"], seen["aggregates"]["missingRanges"]) == ("completed", [])
    assert seen["aggregates"]["integrity"] == "plausible"
    assert [session["status"] for session in seen["sessions"]] == ["closed", "closed"]
    skipped = seen["sessions"][1]["sessionId"]
    healed = manager.get(f"/video/sessions/{skipped}/skip-analytics")
    assert (healed["skippedSecond"], healed["stillUnwatchedSecond"]) == (120, 0)

    # The evidence tells it session by session, and the lesson's engagement where she went back.
    [attempt] = manager.get(f"/video/users/{ann.user_id}/lessons/{ann.lesson_id}/evidence")["attempts"]
    assert (attempt["coverage"], attempt["rewatched"], attempt["skipped"]) == ([[0, 599.4]], [[60, 120]], [])
    assert attempt["missing"] == {"thresholdRatio": 0.9, "completionRatio": 1, "shortSecond": 0, "unwatched": []}
    assert [session["coverage"] for session in attempt["sessions"]] == [[[240, 360]], [[0, 240], [360, 599.4]]]
    engagement = manager.get(f"/video/lessons/{ann.lesson_id}/engagement?buckets=10")
    assert (engagement["learners"], engagement["completed"], engagement["averageCoverageRatio"]) == (1, 1, 1)
    assert [bucket["rewatched"] for bucket in engagement["buckets"]] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]

    # Who opens a completed lesson starts again.
    again = ann.start()
    assert (again["attemptNo"], again["resumeSecond"], again["coverageRatio"]) == (2, None, 0)
