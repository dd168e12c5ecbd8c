"""From a request to its function and back: paths, methods, bodies, problem documents."""

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import jwt
import pytest
from werkzeug.test import TestResponse

from common import errors
from common.errors import Problem
from common.http import MAX_BODY_BYTES
from infra import functions
from tests.conftest import SIGNING_KEY, Person, Viewer, problem, segment, send

ROOT = Path(__file__).parents[2]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
JSON = {"Content-Type": "application/json"}


def progress(viewer: Viewer) -> str:
    return f"/video/sessions/{viewer.session_id}/progress"


def post(viewer: Viewer, body: bytes, content_type: str | None = "application/json") -> TestResponse:
    headers = {"Content-Type": content_type} if content_type else {}
    return viewer.send("POST", progress(viewer), data=body, headers=headers)


def padded(size: int) -> bytes:
    """A progress of so many bytes."""
    body = json.dumps({"segments": [segment(0, 10)]}).encode()
    return body + b" " * (size - len(body))


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/video",
        "/video/sessions/",
        "/video//sessions",
        "/Video/sessions",
        "/video/sessions/{session_id}",
        "/video/sessions/{session_id}/progress/",
        "/video/sessions/{session_id}x/progress",
        "/video/sessions/{{{session_id}}}/progress",
        "/video/sessions/1/progress",
        "/video/sessions//progress",
        "/video/sessions/%C3%BC/progress",
        "/x/video/sessions/{session_id}/progress",
    ],
)
def test_a_path_at_which_nothing_answers_is_404(viewer: Viewer, path: str) -> None:
    app = functions.load_all()["record_progress"].app.test_client()
    headers = {"Authorization": f"Bearer {viewer.bearer}"}

    response = app.post(path.format(session_id=viewer.session_id), json={}, headers=headers)

    assert problem(response, 404)["type"] == "urn:watchledger:problem:path-not-found"


def test_an_id_may_be_written_in_capitals_or_percent_encoded(viewer: Viewer) -> None:
    encoded = "".join(f"%{ord(character):02x}" for character in viewer.session_id)

    for written in (viewer.session_id.upper(), encoded):
        assert viewer.post(f"/video/sessions/{written}/progress", {})["sessionId"] == viewer.session_id


@pytest.mark.parametrize("name", sorted(functions.load_all()))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_method_that_a_path_does_not_answer_to_is_405_with_allow(name: str, method: str) -> None:
    function = functions.load_all()[name]
    if method in function.endpoint.methods:
        return
    path = function.endpoint.path
    for parameter in function.endpoint.path_parameters:
        first, *others = parameter.split("_")
        path = path.replace(f"{{{first}{''.join(map(str.title, others))}}}", str(uuid4()))

    response = function.app.test_client().open(path, method=method)

    assert response.status_code == 405
    assert set(function.endpoint.methods) <= set(response.headers["Allow"].split(", "))
    assert method == "HEAD" or problem(response, 405)["type"].endswith(":method-not-allowed")


# Bodies


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json", "json"])
def test_a_body_that_is_not_declared_as_json_is_415(viewer: Viewer, content_type: str | None) -> None:
    assert problem(post(viewer, b"{}", content_type), 415)["type"].endswith(":not-json-content")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_a_body_that_is_declared_as_json_is_read(viewer: Viewer, content_type: str) -> None:
    assert post(viewer, b"{}", content_type).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"segments": [NaN,]}', b"[" * 10_000], ids=lambda body: ascii(body[:9])
)
def test_a_body_that_is_not_json_is_400(viewer: Viewer, body: bytes) -> None:
    assert problem(post(viewer, body), 400)["type"] == "urn:watchledger:problem:malformed-json"


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"'])
def test_a_body_that_is_no_object_is_422(viewer: Viewer, body: bytes) -> None:
    [error] = problem(post(viewer, body), 422)["errors"]

    assert error["pointer"] == ""


def test_256_kib_are_accepted(viewer: Viewer) -> None:
    assert MAX_BODY_BYTES == 256 * 1024
    assert post(viewer, padded(MAX_BODY_BYTES)).get_json()["accepted"] == 1


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 5_000_000, 11_000_000])
def test_a_larger_body_is_413(viewer: Viewer, size: int) -> None:
    assert problem(post(viewer, padded(size)), 413)["type"] == "urn:watchledger:problem:body-too-large"
    assert viewer.progress()["aggregates"]["coverageSecond"] == 0


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 11_000_000])
def test_a_larger_body_that_comes_in_chunks_is_413(viewer: Viewer, size: int) -> None:
    environ = {"wsgi.input": io.BytesIO(padded(size)), "wsgi.input_terminated": True}

    response = viewer.send("POST", progress(viewer), headers=JSON, environ_overrides=environ)

    assert problem(response, 413)


@pytest.mark.parametrize("sent", [b"", b"{"])
def test_a_body_that_is_cut_short_is_400(viewer: Viewer, sent: bytes) -> None:
    environ = {"wsgi.input": io.BytesIO(sent), "CONTENT_LENGTH": "100"}

    assert problem(viewer.send("POST", progress(viewer), headers=JSON, environ_overrides=environ), 400)


@pytest.mark.parametrize("length", [5, 300_000, 11_000_000])
def test_a_body_that_nobody_reads_changes_no_answer(viewer: Viewer, length: int) -> None:
    body: dict[str, Any] = {"data": b"x" * length, "headers": JSON}

    assert viewer.send("PUT", f"/video/sessions/{viewer.session_id}/heartbeat", **body).status_code == 200
    assert viewer.send("GET", f"/video/lessons/{viewer.lesson_id}", **body).status_code == 200
    assert problem(viewer.send("DELETE", progress(viewer), **body), 405)
    assert problem(send("POST", progress(viewer), **body), 401)
    assert problem(Person(role="manager").send("POST", progress(viewer), **body), 403)


# Answers


@pytest.mark.parametrize(("method", "path"), [("GET", "/video/lessons/x"), ("POST", "/video/sessions")])
def test_an_answer_is_json(viewer: Viewer, method: str, path: str) -> None:
    Viewer("x").start()
    body = {"userId": viewer.user_id, "lessonId": "x"} if method == "POST" else None

    assert viewer.send(method, path, body).content_type == "application/json"


def test_what_is_read_may_be_kept_by_the_caller_only_and_is_asked_for_again(viewer: Viewer) -> None:
    response = viewer.send("GET", f"/video/lessons/{viewer.lesson_id}")

    assert response.headers["Cache-Control"] == "private, no-cache"


def test_the_types_of_problems_are_stable() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]

    assert {kind.type().removeprefix("urn:watchledger:problem:"): kind.status for kind in kinds}.items() >= {
        "internal-error": 500,
        "malformed-json": 400,
        "unauthenticated": 401,
        "token-rejected": 401,
        "role-not-allowed": 403,
        "path-not-found": 404,
        "session-not-found": 404,
        "attempt-not-found": 404,
        "user-not-found": 404,
        "lesson-not-found": 404,
        "method-not-allowed": 405,
        "session-closed": 409,
        "attempt-below-threshold": 409,
        "session-archived": 410,
        "body-too-large": 413,
        "not-json-content": 415,
        "invalid-request": 422,
        "idempotency-key-reused": 422,
        "database-unavailable": 503,
        "keys-unavailable": 503,
    }.items()
    assert len({kind.title() for kind in kinds}) == len(kinds)
    assert all(kind.headers["Retry-After"] for kind in kinds if kind.status == 503)


def test_a_problem_has_a_type_a_title_its_status_and_the_trace_of_the_request(viewer: Viewer) -> None:
    traceparent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"

    response = viewer.send("PUT", f"/video/sessions/{uuid4()}/heartbeat", headers={"traceparent": traceparent})

    assert problem(response, 404) == {
        "type": "urn:watchledger:problem:session-not-found",
        "title": "There is no such session",
        "status": 404,
        "traceId": TRACE_ID,
    }


def test_a_problem_without_a_trace_gets_one_of_its_own(viewer: Viewer) -> None:
    path = f"/video/sessions/{uuid4()}/heartbeat"

    first, second = (problem(viewer.send("PUT", path), 404)["traceId"] for _ in range(2))

    assert len(first) == len(second) == 32
    assert first != second


def test_a_request_without_a_token_is_401_and_says_how(viewer: Viewer) -> None:
    response = send("POST", progress(viewer), json={})

    assert problem(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="watchledger"'


def test_a_refused_body_says_what_is_wrong_where(viewer: Viewer) -> None:
    refused = problem(post(viewer, b'{"segments": 5, "a/b": 1}'), 422)

    assert {error["pointer"] for error in refused["errors"]} == {"/segments", "/a~1b"}
    assert all(set(error) == {"pointer", "detail"} for error in refused["errors"])


# As the cloud runs it


@pytest.fixture(scope="module")
def keys_url() -> Iterator[str]:
    """Where the key of the tests' tokens is published."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    body = json.dumps({"keys": [{**key, "kid": "test", "use": "sig", "alg": "RS256"}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()


@pytest.fixture(scope="module")
def port(deployment: None, keys_url: str) -> Iterator[int]:
    """Where `set_lesson` answers, served by the framework's own command; the port is open before it is started."""
    command = [
        str(Path(sys.executable).with_name("functions-framework")),
        "--source=functions/set_lesson/main.py",
        "--target=set_lesson",
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = subprocess.Popen(
            ["/bin/sh", "-c", 'exec 3<&0 </dev/null env LISTEN_PID=$$ LISTEN_FDS=1 "$@"', "sh", *command],
            cwd=ROOT,
            env=os.environ | {"JWKS_URL": keys_url, "THREADS": "2", "PYTHONPATH": str(ROOT)},
            stdin=listener.fileno(),
            stdout=subprocess.DEVNULL,
        )
        port: int = listener.getsockname()[1]
    try:
        yield port
    finally:
        server.terminate()
        server.wait(20)


def ask(port: int, path: str, body: Any = b"{}", **options: Any) -> tuple[HTTPResponse, Any]:
    headers = {"Authorization": f"Bearer {Person(role='service').bearer}"} | JSON
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("PUT", path, body, headers, **options)
    response = connection.getresponse()
    return response, json.loads(response.read())


@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%C3%BC%F0%9F%98%80", "ü😀"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("a+b", "a+b"),
    ],
)
def test_a_served_function_reads_ids_as_they_were_encoded(port: int, encoded: str, name: str) -> None:
    response, written = ask(port, f"/video/lessons/{encoded}")

    assert (response.status, written["lessonId"]) == (200, name)


def test_a_served_function_reads_a_body_in_chunks(port: int) -> None:
    chunks = iter([b'{"duration', b"", b'Second": 12', b"}"])

    response, written = ask(port, "/video/lessons/chunked", chunks, encode_chunked=True)

    assert (response.status, written["durationSecond"]) == (200, 12)


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 1_000_000, 4_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_of_a_served_function_hears_that_its_body_was_too_large(port: int, size: int, chunked: bool) -> None:
    body: Any = iter([b" " * 65_536] * (size // 65_536 + 1)) if chunked else b" " * size

    response, refused = ask(port, "/video/lessons/large", body, encode_chunked=chunked)

    assert response.status == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert refused["type"] == "urn:watchledger:problem:body-too-large"


def test_a_client_that_goes_away_in_its_body_costs_nobody_else_an_answer(port: int) -> None:
    token = Person(role="service").bearer
    head = f"PUT /video/lessons/cut HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    for framing in ("Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nZZ\r\n"):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(f"{head}Content-Type: application/json\r\n{framing}".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.makefile("rb").readline().split()[1:2] == [b"400"]

    assert ask(port, "/video/lessons/after")[0].status == 200
