"""What every function can be asked, so that it does all that it can do; prepared through the service itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from common.partitions import months_from
from tests.conftest import SCHEDULER_ACCOUNT, Person, Viewer, run, seek, segment, token
from tests.months import MARCH, watched_in

LESSON = {"durationSecond": 100}
SERVICE, MANAGER = Person(role="service"), Person(role="manager")


@dataclass(frozen=True)
class Request:
    """A request and the status of its answer."""

    bearer: str
    method: str
    path: str
    json: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Situation = Callable[[str], Iterator[Request]]  # in the database with this URL


def of(function: str) -> Situation:
    if function not in SITUATIONS:
        raise LookupError(f"say in tests/situations.py what {function} can be asked")
    return SITUATIONS[function]


def watching() -> Viewer:
    """Somebody who has just opened a lesson of 100 seconds."""
    lesson_id = f"lesson-{uuid4()}"
    SERVICE.put(f"/video/lessons/{lesson_id}", LESSON)
    viewer = Viewer(lesson_id)
    viewer.start()
    return viewer


def gone() -> Viewer:
    viewer = watching()
    viewer.record(segment(0, 10), seeks=[seek(10, 40)])
    viewer.close()
    return viewer


def events() -> dict[str, Any]:
    return {"segments": [segment(0, 10), segment(10, 20, 2)], "seeks": [seek(20, 40), seek(40, 0)]}


def record_progress(url: str) -> Iterator[Request]:
    viewer, late, seen = watching(), gone(), events()
    path = f"/video/sessions/{viewer.session_id}/progress"
    changed = {**seen, "segments": [{**seen["segments"][0], "endSecond": 11}]}
    for bearer, json in ((viewer.bearer, seen), (viewer.bearer, changed), (SERVICE.bearer, events())):
        yield Request(bearer, "POST", path, json)
    yield Request(late.bearer, "POST", f"/video/sessions/{late.session_id}/progress", events())


def record_bulk_progress(url: str) -> Iterator[Request]:
    viewer, late = watching(), gone()
    items = [{"sessionId": viewer.session_id, **events(), "close": True}, {"sessionId": late.session_id, **events()}]
    yield Request(SERVICE.bearer, "POST", "/video/progress/bulk", {"items": [*items, items[0]]})


def close_session(url: str) -> Iterator[Request]:
    viewer, seen = watching(), events()
    path = f"/video/sessions/{viewer.session_id}/close"
    changed = {**seen, "segments": [{**seen["segments"][0], "endSecond": 11}]}
    for bearer, json in ((viewer.bearer, seen), (SERVICE.bearer, None), (viewer.bearer, changed)):
        yield Request(bearer, "POST", path, json)


def start_session(url: str) -> Iterator[Request]:
    viewer = gone()
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id}
    unknown = {"userId": viewer.user_id, "lessonId": f"lesson-{uuid4()}"}
    once = (("Idempotency-Key", str(uuid4())),)
    yield Request(viewer.bearer, "POST", "/video/sessions", {**unknown, "clientInfo": {"player": "x"}}, 201)
    yield Request(SERVICE.bearer, "POST", "/video/sessions", {**body, "isAssigned": True}, 201, once)
    yield Request(SERVICE.bearer, "POST", "/video/sessions", {**body, "isAssigned": True}, 200, once)


def touch_session(url: str) -> Iterator[Request]:
    viewer, asleep = watching(), watching()
    asleep.watch((0, 10))
    asleep.fall_silent()
    yield Request(viewer.bearer, "PUT", f"/video/sessions/{viewer.session_id}/heartbeat")
    yield Request(SERVICE.bearer, "PUT", f"/video/sessions/{asleep.session_id}/heartbeat")


def complete_attempt(url: str) -> Iterator[Request]:
    viewer = gone()
    yield Request(viewer.bearer, "PUT", f"/video/attempts/{viewer.attempt_id}/complete")
    yield Request(SERVICE.bearer, "PUT", f"/video/attempts/{viewer.attempt_id}/complete")


def find_progress(url: str) -> Iterator[Request]:
    viewer = gone()
    yield Request(viewer.bearer, "GET", f"/video/users/{viewer.user_id}/lessons/{viewer.lesson_id}/progress")


def find_evidence(url: str) -> Iterator[Request]:
    viewer = gone()
    viewer.start()
    viewer.record(segment(0, 10), seeks=[seek(10, 40)])
    yield Request(viewer.bearer, "GET", f"/video/users/{viewer.user_id}/lessons/{viewer.lesson_id}/evidence")


def summarize_engagement(url: str) -> Iterator[Request]:
    yield Request(MANAGER.bearer, "GET", f"/video/lessons/{gone().lesson_id}/engagement")


def list_unassigned_history(url: str) -> Iterator[Request]:
    viewer = gone()
    yield Request(viewer.bearer, "GET", f"/video/users/{viewer.user_id}/unassigned-history")


def summarize_skips(url: str) -> Iterator[Request]:
    viewer = gone()
    yield Request(viewer.bearer, "GET", f"/video/sessions/{viewer.session_id}/skip-analytics")
    yield Request(MANAGER.bearer, "GET", f"/video/sessions/{viewer.session_id}/skip-analytics")


def set_lesson(url: str) -> Iterator[Request]:
    path = f"/video/lessons/lesson-{uuid4()}"
    yield Request(SERVICE.bearer, "PUT", path, LESSON)
    yield Request(SERVICE.bearer, "PUT", path, LESSON)


def find_lesson(url: str) -> Iterator[Request]:
    yield Request(MANAGER.bearer, "GET", f"/video/lessons/{gone().lesson_id}")


def assign_lesson(url: str) -> Iterator[Request]:
    viewer = gone()
    yield Request(SERVICE.bearer, "PUT", viewer.assignment)
    yield Request(SERVICE.bearer, "PUT", f"/video/users/{viewer.user_id}/lessons/lesson-{uuid4()}/assignment")


def unassign_lesson(url: str) -> Iterator[Request]:
    viewer, again = gone(), gone()
    again.complete()
    for somebody in (viewer, again):
        SERVICE.put(somebody.assignment)
        yield Request(SERVICE.bearer, "DELETE", somebody.assignment)


def sweep_stale_sessions(url: str) -> Iterator[Request]:
    viewer = watching()
    viewer.record(segment(0, 10), seeks=[seek(10, 40)])
    viewer.grow_older(600)
    yield Request(scheduler(), "POST", "/jobs/sweep-stale-sessions")


def maintain_partitions(url: str) -> Iterator[Request]:
    this_month, *_ = months_from(datetime.now(UTC))
    run(url, f"DROP TABLE watch_segment_{this_month:%Y%m}, seek_event_{this_month:%Y%m}")
    gone()
    yield Request(scheduler(), "POST", "/jobs/maintain-partitions")


def archive_segments(url: str) -> Iterator[Request]:
    watched_in(MARCH)
    yield Request(scheduler(), "POST", "/jobs/archive-segments")


def scheduler() -> str:
    """The bearer of whom the jobs obey."""
    return token("scheduler", "none", email=SCHEDULER_ACCOUNT, email_verified=True)


SITUATIONS: dict[str, Situation] = {
    situation.__name__: situation
    for situation in (
        archive_segments,
        assign_lesson,
        close_session,
        complete_attempt,
        find_evidence,
        find_lesson,
        find_progress,
        list_unassigned_history,
        maintain_partitions,
        record_bulk_progress,
        record_progress,
        set_lesson,
        start_session,
        summarize_engagement,
        summarize_skips,
        sweep_stale_sessions,
        touch_session,
        unassign_lesson,
    )
}
