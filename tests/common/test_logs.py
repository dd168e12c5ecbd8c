"""One JSON line per request, in Cloud Logging's shape, with nothing secret in it."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from pg8000.exceptions import DatabaseError

from common import logs, progress, sessions
from common.config import settings
from common.errors import DatabaseUnavailable
from common.logs import Trace
from tests.conftest import Person, Viewer, deployed, problem, segment, send

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was logged since it was last asked, nothing but JSON."""
    capsys.readouterr()

    def read() -> list[dict[str, Any]]:
        printed = capsys.readouterr()
        assert printed.err == ""
        return [json.loads(line) for line in printed.out.splitlines()]

    return read


@pytest.fixture
def project() -> Iterator[str]:
    with deployed(GOOGLE_CLOUD_PROJECT="watching"):
        yield "watching"


def beat(viewer: Viewer) -> str:
    return f"/video/sessions/{viewer.session_id}/heartbeat"


def test_a_request_is_one_line_of_json(viewer: Viewer, lines: Lines) -> None:
    lines()
    body = json.dumps({"segments": [segment(0, 10)]})
    path = f"/video/sessions/{viewer.session_id}/progress"
    headers = {"Content-Type": "application/json", "User-Agent": "Player/1", "traceparent": TRACEPARENT}

    response = viewer.send("POST", path, data=body, headers=headers)

    [line] = lines()
    latency = line["httpRequest"].pop("latency")
    assert line == {
        "severity": "INFO",
        "message": f"POST {path} 200",
        "httpRequest": {
            "requestMethod": "POST",
            "requestUrl": path,
            "status": 200,
            "requestSize": str(len(body)),
            "responseSize": str(len(response.data)),
            "userAgent": "Player/1",
        },
        "function": "record_progress",
        "user": logs.pseudonym(viewer.user_id),
        "role": "player",
        "logging.googleapis.com/trace": TRACE_ID,
        "logging.googleapis.com/spanId": SPAN_ID,
        "logging.googleapis.com/trace_sampled": True,
    }
    assert latency.endswith("s") and 0 < float(latency[:-1]) < 60


@pytest.mark.parametrize(
    ("headers", "trace", "span", "sampled"),
    [
        ({"traceparent": TRACEPARENT}, TRACE_ID, SPAN_ID, True),
        ({"traceparent": TRACEPARENT[:-2] + "00"}, TRACE_ID, SPAN_ID, False),
        ({"X-Cloud-Trace-Context": f"{TRACE_ID}/255;o=1"}, TRACE_ID, "00000000000000ff", True),
        ({"X-Cloud-Trace-Context": f"{TRACE_ID}/255"}, TRACE_ID, "00000000000000ff", False),
        ({"X-Cloud-Trace-Context": TRACE_ID}, TRACE_ID, None, False),
        ({"traceparent": TRACEPARENT, "X-Cloud-Trace-Context": "0" * 31 + "1/1"}, TRACE_ID, SPAN_ID, True),
        ({"traceparent": "broken", "X-Cloud-Trace-Context": TRACE_ID}, TRACE_ID, None, False),
    ],
    ids=str,
)
def test_a_line_belongs_to_the_trace_of_the_request(
    viewer: Viewer, lines: Lines, project: str, headers: dict[str, str], trace: str, span: str | None, sampled: bool
) -> None:
    lines()

    viewer.send("PUT", beat(viewer), headers=headers)

    [line] = lines()
    assert line["logging.googleapis.com/trace"] == f"projects/{project}/traces/{trace}"
    assert line.get("logging.googleapis.com/spanId") == span
    assert line["logging.googleapis.com/trace_sampled"] is sampled


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "broken",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
    ],
)
def test_a_request_without_a_trace_gets_one_of_its_own(traceparent: str) -> None:
    first, second = Trace.of(traceparent, None), Trace.of(traceparent, None)

    assert len(first.trace_id) == 32 and int(first.trace_id, 16)
    assert first.trace_id not in (second.trace_id, TRACE_ID)
    assert first.span_id is None


def test_a_refusal_is_no_error_of_ours(viewer: Viewer, lines: Lines) -> None:
    lines()

    viewer.send("PUT", f"/video/sessions/{uuid4()}/heartbeat")

    [line] = lines()
    assert line["severity"] == "INFO"
    assert line["problem"] == "urn:watchledger:problem:session-not-found"
    assert line["httpRequest"]["status"] == 404
    assert "cause" not in line and "stack" not in line


def test_a_line_names_no_user_and_carries_no_token_body_or_key(viewer: Viewer, manager: Person, lines: Lines) -> None:
    lines()
    secret = f"secret-{uuid4()}"
    key = {"Idempotency-Key": secret}
    body = {"userId": viewer.user_id, "lessonId": viewer.lesson_id}

    viewer.post("/video/sessions", body | {"clientInfo": {"note": secret}}, headers=key)
    viewer.record(segment(0, 10), seeks=[{"fromSecond": 0, "toSecond": 50, "reason": secret}])
    viewer.send("POST", "/video/sessions", body | {"userId": secret})
    viewer.send("POST", "/video/sessions", body | {secret: 1})
    viewer.progress()
    manager.get(f"/video/users/{viewer.user_id}/lessons/{viewer.lesson_id}/progress")
    manager.get(f"/video/users/{viewer.user_id}/unassigned-history?lessonId={secret}")
    send("GET", f"/video/users/{viewer.user_id}/lessons/{secret[:3]}/progress")
    send("PUT", beat(viewer), headers={"Authorization": f"Bearer {secret}"})

    written = lines()
    assert len(written) == 9
    said = json.dumps(written)
    for hidden in (secret, viewer.user_id, manager.user_id, viewer.bearer, viewer.bearer.split(".")[2]):
        assert hidden not in said


def test_the_same_person_is_the_same_word_in_every_line(viewer: Viewer, manager: Person, lines: Lines) -> None:
    lines()

    viewer.touch()
    viewer.progress()
    manager.get(f"/video/users/{viewer.user_id}/lessons/{viewer.lesson_id}/progress")

    own, read, managers = lines()
    word = own["user"]
    assert read["user"] == word
    assert managers["user"] not in (word, None)
    assert read["httpRequest"]["requestUrl"] == managers["httpRequest"]["requestUrl"]
    assert word in read["httpRequest"]["requestUrl"]


def test_a_request_of_nobody_known_has_no_user(viewer: Viewer, lines: Lines) -> None:
    lines()

    send("PUT", beat(viewer))

    [line] = lines()
    assert "user" not in line and "role" not in line
    assert line["httpRequest"]["status"] == 401


def test_a_defect_is_an_error_with_its_place_and_a_500_that_tells_nothing(
    viewer: Viewer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = str(uuid4())

    def broken(*_: object) -> None:
        raise RuntimeError(viewer.user_id) from KeyError(secret)

    monkeypatch.setattr(sessions, "touch", broken)
    lines()

    response = viewer.send("PUT", beat(viewer), headers={"traceparent": TRACEPARENT})

    assert problem(response, 500) == {
        "type": "urn:watchledger:problem:internal-error",
        "title": "Something went wrong on our side",
        "status": 500,
        "traceId": TRACE_ID,
    }
    [line] = lines()
    assert line["severity"] == "ERROR"
    assert line["cause"] == ["RuntimeError", "KeyError"]
    assert "in broken" in line["stack"]
    assert line["user"] == logs.pseudonym(viewer.user_id)
    assert line["logging.googleapis.com/trace"] == TRACE_ID
    assert viewer.user_id not in json.dumps(line)
    assert secret not in json.dumps(line)


def test_what_the_database_answered_is_told_without_the_rows_values(
    viewer: Viewer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError({"C": "23514", "M": "violates a check", "D": f"Failing row contains ({viewer.user_id})"})

    monkeypatch.setattr(progress, "record", broken)
    lines()

    response = viewer.send("POST", f"/video/sessions/{viewer.session_id}/progress", {})

    assert "check" not in response.get_data(as_text=True)
    assert problem(response, 500)
    [line] = lines()
    assert line["cause"] == ["DatabaseError 23514 violates a check"]
    assert viewer.user_id not in json.dumps(line)


@pytest.mark.parametrize(
    ("behind", "cause"),
    [
        (None, ["DatabaseUnavailable All connections are in use."]),
        (
            DatabaseError({"C": "53300", "M": "too many clients"}),
            ["DatabaseUnavailable All connections are in use.", "DatabaseError 53300 too many clients"],
        ),
    ],
    ids=["alone", "with what was behind it"],
)
def test_why_the_database_was_unavailable_is_told(
    viewer: Viewer, lines: Lines, monkeypatch: pytest.MonkeyPatch, behind: Exception | None, cause: list[str]
) -> None:
    def busy(*_: object) -> None:
        raise DatabaseUnavailable("All connections are in use.") from behind

    monkeypatch.setattr(sessions, "touch", busy)
    lines()

    assert problem(viewer.send("PUT", beat(viewer)), 503)

    [line] = lines()
    assert line["cause"] == cause
    assert "in busy" in line["stack"]


def test_a_function_without_a_setting_says_which(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_ISSUER")
    settings.cache_clear()
    try:
        assert problem(Person().send("GET", "/video/lessons/any"), 500)
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    [line] = lines()
    assert line["cause"] == ["WrongSetting JWT_ISSUER is not set"]


def test_a_line_is_one_line_whatever_is_in_it(viewer: Viewer, lines: Lines) -> None:
    lines()

    viewer.send("PUT", beat(viewer), headers={"User-Agent": 'a"}\x85{'})

    [line] = lines()
    assert line["httpRequest"]["userAgent"].startswith('a"}')
