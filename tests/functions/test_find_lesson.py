"""GET /video/lessons/{lessonId}."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem

MEMBERS = {
    "lessonId",
    "durationSecond",
    "seekPolicy",
    "skipThresholdSecond",
    "completionThreshold",
    "creditWindowDays",
    "maxCreditRatio",
    "integrityPolicy",
}


@pytest.mark.parametrize("role", ["player", "manager", "service"])
def test_everybody_may_read_a_lessons_policy(new_lesson: Callable[..., str], role: str) -> None:
    lesson_id = new_lesson(durationSecond=100, completionThreshold=0.9)

    found = Person(role=role).get(f"/video/lessons/{lesson_id}")

    assert set(found) == MEMBERS
    assert (found["lessonId"], found["durationSecond"], found["completionThreshold"]) == (lesson_id, 100, 0.9)


def test_a_lesson_that_nobody_wrote_or_opened_is_404(viewer: Viewer) -> None:
    refused = problem(viewer.send("GET", f"/video/lessons/lesson-{uuid4()}"), 404)

    assert refused["type"] == "urn:watchledger:problem:lesson-not-found"


def test_a_lesson_that_was_opened_has_the_default_policy() -> None:
    somebody = Viewer(f"lesson-{uuid4()}")
    somebody.start()

    found = somebody.get(f"/video/lessons/{somebody.lesson_id}")

    assert (found["durationSecond"], found["seekPolicy"], found["integrityPolicy"]) == (None, "flag", "flag")


def test_a_lesson_is_not_sent_again_while_it_is_the_same(service: Person, new_lesson: Callable[..., str]) -> None:
    path = f"/video/lessons/{new_lesson(durationSecond=100)}"
    etag = service.send("GET", path).headers["ETag"]

    assert service.send("GET", path, headers={"If-None-Match": etag}).status_code == 304
    service.put(path, {"durationSecond": 101})
    assert service.send("GET", path, headers={"If-None-Match": etag}).status_code == 200
