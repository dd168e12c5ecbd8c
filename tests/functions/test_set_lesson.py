"""PUT /video/lessons/{lessonId}."""

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person, Viewer, problem

DEFAULTS = {
    "durationSecond": None,
    "seekPolicy": "flag",
    "skipThresholdSecond": 5,
    "completionThreshold": None,
    "creditWindowDays": 365,
    "maxCreditRatio": 1,
    "integrityPolicy": "flag",
}
WHOLE = {
    "durationSecond": 90.5,
    "seekPolicy": "block",
    "skipThresholdSecond": 0.25,
    "completionThreshold": 0.8,
    "creditWindowDays": 30,
    "maxCreditRatio": 0.5,
    "integrityPolicy": "exclude",
}


@pytest.fixture
def path() -> str:
    return f"/video/lessons/lesson-{uuid4()}"


def test_a_policy_is_written_and_answered_whole(service: Person, path: str) -> None:
    written = service.put(path, WHOLE)

    assert written == {"lessonId": path.rpartition("/")[2]} | WHOLE
    assert service.get(path) == written


def test_what_is_left_out_takes_its_default(service: Person, path: str) -> None:
    service.put(path, WHOLE)

    assert service.put(path, {}) == {"lessonId": path.rpartition("/")[2]} | DEFAULTS


def test_writing_it_again_changes_nothing(service: Person, path: str) -> None:
    assert service.put(path, WHOLE) == service.put(path, WHOLE)


@pytest.mark.parametrize(
    ("member", "given", "kept"),
    [
        ("durationSecond", 0.001, 0.001),
        ("durationSecond", 86_400, 86_400),
        ("durationSecond", 12.0005, 12.0),
        ("skipThresholdSecond", 0, 0),
        ("completionThreshold", 0, 0),
        ("completionThreshold", 1, 1),
        ("completionThreshold", 0.12345678, 0.123456),
        ("creditWindowDays", 0, 0),
        ("creditWindowDays", 3_660, 3_660),
        ("maxCreditRatio", 0, 0),
    ],
)
def test_limits_of_a_policy(service: Person, path: str, member: str, given: float, kept: float) -> None:
    assert service.put(path, {member: given})[member] == kept


@pytest.mark.parametrize("body", [{"seekPolicy": "strict"}, {"durationSecond": 0}, {"title": "Tides"}, [], None])
def test_a_policy_that_is_wrong_is_422_and_changes_nothing(service: Person, path: str, body: Any) -> None:
    service.put(path, WHOLE)
    options = {"data": b"null", "headers": {"Content-Type": "application/json"}} if body is None else {}

    assert problem(service.send("PUT", path, body, **options), 422)["errors"]
    assert service.get(path)["seekPolicy"] == "block"


@pytest.mark.parametrize("role", ["player", "manager"])
def test_only_a_service_writes_a_policy(path: str, role: str) -> None:
    assert problem(Person(role=role).send("PUT", path, {}), 403)["type"].endswith(":role-not-allowed")


def test_a_policy_applies_from_the_moment_it_is_written(service: Person, viewer: Viewer) -> None:
    service.put(f"/video/lessons/{viewer.lesson_id}", {"durationSecond": 50, "seekPolicy": "free"})

    assert viewer.watch((0, 25))["seekPolicy"] == "free"
    assert viewer.progress()["aggregates"]["coverageRatio"] == 0.5
