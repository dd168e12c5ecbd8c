"""POST /video/sessions/{sessionId}/progress."""

from tests.conftest import Viewer, seek, segment


def test_seconds_watched_twice_are_covered_once(viewer: Viewer) -> None:
    viewer.watch((0, 10), (5, 20))

    totals = viewer.close()

    assert totals["coverageSecond"] == 20
    assert totals["effectiveSecond"] == 25


def test_a_retry_changes_nothing_and_says_so(viewer: Viewer) -> None:
    sent = segment(0, 10)
    viewer.record(sent)

    again = viewer.record(sent)

    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (0, 1, [])
    assert again["effectiveSecond"] == 10


def test_the_same_event_with_other_content_is_a_conflict_and_the_stored_one_stays(viewer: Viewer) -> None:
    first = segment(0, 10)
    viewer.record(first)

    answer = viewer.record(first | {"endSecond": 50}, segment(20, 30))

    assert answer["conflicts"] == [first["clientEventId"]]
    assert (answer["accepted"], answer["duplicates"]) == (1, 0)
    assert answer["coverageSecond"] == 20


def test_a_bad_item_is_refused_alone(viewer: Viewer) -> None:
    bad = segment(30, 20)

    answer = viewer.record(segment(0, 10), bad, segment(10, 20))

    assert answer["accepted"] == 2
    assert [r["pointer"] for r in answer["rejected"]] == ["/segments/1"]
    assert answer["rejected"][0]["clientEventId"] == bad["clientEventId"]


def test_a_skip_is_judged_with_the_requests_own_segments(viewer: Viewer) -> None:
    viewer.record(segment(0, 10), segment(20, 40), seeks=[seek(10, 40)])

    [skip] = viewer.skips()["skips"]

    assert skip["skippedSecond"] == 10
