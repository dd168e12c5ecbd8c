"""Who watches: users with tokens of their own, each in a session of their own, and what their players send."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, cycle, pairwise
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

from common import lessons, sessions
from common.auth import Caller, Role
from common.models import SetLesson, StartSession
from infra import issuer, local

LESSON_S = 3600
SEGMENT_S = 10 / 3


@dataclass
class Viewer:
    user_id: str
    lesson_id: str
    session_id: UUID
    attempt_id: UUID
    authorization: str
    second: float = 0  # of the lesson, where the next post begins


def watching(viewers: int) -> list[Viewer]:
    """New viewers of a new lesson, each with an open session."""
    lesson_id = f"lesson-{uuid4()}"
    lessons.write(lesson_id, SetLesson.model_validate({"durationSecond": float(LESSON_S)}))
    return [watch(f"viewer-{uuid4()}", lesson_id) for _ in range(viewers)]


def watch(user_id: str, lesson_id: str) -> Viewer:
    request = StartSession.model_validate({"userId": user_id, "lessonId": lesson_id})
    started = sessions.start(Caller(user_id, Role.PLAYER), request, None)
    token = issuer.sign(user_id, Role.PLAYER)
    return Viewer(user_id, lesson_id, started.session_id, started.attempt_id, f"Bearer {token}")


def progress_posts(viewers: Sequence[Viewer], segments: int) -> Iterator[bytes]:
    """What players post, one viewer after the other: so many stretches played, then a jump.

    Nine jumps of ten go two seconds back ("what did she say?"), one goes twenty ahead.
    """
    for number, viewer in zip(count(), cycle(viewers)):
        end = viewer.second + segments * SEGMENT_S
        lands = end + 20 if number // len(viewers) % 10 == 9 else end - 2
        yield post(viewer, progress(viewer.second, segments, lands))
        viewer.second = lands if lands + segments * SEGMENT_S + 20 < LESSON_S else 0


def progress(start: float, segments: int, lands: float) -> dict[str, Any]:
    """A body: stretches played one after the other, and a jump from their end to where it lands."""
    places = [round(start + number * SEGMENT_S, 3) for number in range(segments + 1)]
    return {
        "segments": [
            {"clientEventId": str(uuid4()), "startSecond": a, "endSecond": b, "speed": 1.25}
            for a, b in pairwise(places)
        ],
        "seeks": [{"clientEventId": str(uuid4()), "fromSecond": places[-1], "toSecond": round(lands, 3)}],
    }


def post(viewer: Viewer, body: dict[str, Any]) -> bytes:
    path = f"/video/sessions/{viewer.session_id}/progress"
    return request("POST", path, viewer.authorization, json.dumps(body).encode())


def heartbeats(viewers: Sequence[Viewer]) -> Iterator[bytes]:
    for viewer in cycle(viewers):
        yield request("PUT", f"/video/sessions/{viewer.session_id}/heartbeat", viewer.authorization)


def request(method: str, path: str, authorization: str | None = None, body: bytes | None = None) -> bytes:
    """An HTTP/1.1 request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: bench", f"Content-Length: {len(body or b'')}"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    if body is not None:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@contextmanager
def issuer_keys() -> Iterator[None]:
    """The keys of the viewers' tokens, where the functions' settings say that they are."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys = json.dumps(issuer.jwks()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(keys)))
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", local.port()), Keys) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
