"""One person, a phone and a laptop, the same lesson: one attempt, each second once."""

from collections.abc import Callable

from tests.conftest import Viewer, segment


def test_two_devices_share_an_attempt(new_lesson: Callable[..., str]) -> None:
    phone = Viewer(new_lesson(durationSecond=100, completionThreshold=0.8))
    laptop = Viewer(phone.lesson_id, phone.user_id)
    phone.start()
    assert phone.watch((0, 30))["coverageSecond"] == 30

    # The laptop joins where the phone is, while the phone still plays.
    joined = laptop.start()
    assert joined["attemptId"] == phone.attempt_id
    assert (joined["resumeSecond"], joined["maxVerifiedSecond"], joined["coverageRatio"]) == (30, 30, 0.3)
    assert laptop.session_id != phone.session_id

    # Both play, the same ten seconds among others; the same id on both is two events.
    shared = segment(20, 40)
    phone.record(shared)
    laptop.record(shared, segment(40, 60, 2))
    both = phone.progress()
    assert both["aggregates"]["watchedRanges"] == [[0, 60]]
    assert both["aggregates"]["effectiveSecond"] == 30 + 20 + 20 + 10
    assert both == laptop.progress()

    # Neither sees the other's session as its own to close, and each closes for itself, in any order.
    laptop.close()
    assert [session["status"] for session in phone.progress()["sessions"]] == ["closed", "open"]
    assert phone.watch((60, 70))["coverageSecond"] == 70
    live = phone.progress()["aggregates"]
    totals = phone.close()
    assert (totals["coverageSecond"], totals["effectiveSecond"]) == (70, 90)
    assert phone.progress()["aggregates"] == live

    # The laptop flushes what it had kept back, and that completes the lesson on the phone.
    late = laptop.watch((70, 80))
    assert (late["late"], late["coverageSecond"]) == (True, 80)
    assert phone.complete()["coverageRatio"] == 0.8
    assert laptop.complete() == phone.complete()

    # Whoever opens it next, both are in the next attempt.
    assert phone.start()["attemptNo"] == laptop.start()["attemptNo"] == 2
    assert phone.attempt_id == laptop.attempt_id


def test_another_person_at_the_same_lesson_is_another_record(new_lesson: Callable[..., str]) -> None:
    ann, ben = Viewer(new_lesson(durationSecond=100)), Viewer("")
    ben.lesson_id = ann.lesson_id
    ann.start()
    ben.start()

    ann.watch((0, 50))
    ben.watch((50, 60))

    assert ann.progress()["aggregates"]["watchedRanges"] == [[0, 50]]
    assert ben.progress()["aggregates"]["watchedRanges"] == [[50, 60]]
