"""The pages and the player's modules, as the local server has them. Deployed, the same files lie in a bucket:
`player/pages` at its root, `player/src` as `/src`, the lessons' videos wherever `/config.json` says.

Only here does anybody get a token for the asking: `POST /dev/token`, from a page of this server.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

import flask
from pydantic_core import to_json
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_range_header

from common import lessons
from common.auth import Role
from common.config import settings
from common.errors import LessonNotFound, Problem
from common.http import IDENTIFIER, read_body
from common.models import Identifier, Request, SetLesson
from common.parsing import checked, parse
from infra import issuer, local

PLAYER = Path(__file__).parent.parent / "player"
FOLDERS = {"/": PLAYER / "pages", "/src/": PLAYER / "src", "/media/": PLAYER / "media"}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' https:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
)
LONGEST_PART = 1024 * 1024  # of a video in an answer: a player that stops reading must not keep a thread

SAMPLE_LESSON = "ten-minutes"
SAMPLE_POLICY = SetLesson.model_validate({"durationSecond": 600.0, "completionThreshold": 0.9})
VIDEOS = {12_000: "twelve-seconds", 60_000: "one-minute"}  # by the lesson's duration, else the one of ten minutes

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class WishForToken(Request):
    """Who somebody in a browser would like to be."""

    user: Identifier
    role: Literal["player", "manager"]


Answering = Callable[[flask.Request], flask.Response]


def find(path: str) -> tuple[str, Answering] | None:
    """The method and what answers at a path that is still percent-encoded; GET answers HEAD too."""
    if path == "/dev/token":
        return "POST", token
    if path == "/config.json":
        return "GET", config
    if path.startswith("/dev/video/"):
        return "GET", partial(video, unquote_to_bytes(path.removeprefix("/dev/video/")))
    if path.endswith(".html"):
        return None
    for url, file in files():
        if path == url:
            return "GET", partial(content, file)
        if f"{path}/" == url:
            return "GET", partial(redirect, url)
    return None


def files() -> Iterator[tuple[str, Path]]:
    """Every file that is served and its path: what is not among them cannot be had, however it is written."""
    for prefix, folder in FOLDERS.items():
        for file in folder.rglob("*"):
            if file.suffix in TYPES:
                yield prefix + file.relative_to(folder).as_posix().removesuffix("index.html"), file


def address(page: str, lesson_id: str, user_id: str | None = None) -> str:
    """Where a page shows a lesson, of a user if it is about one."""
    query = {"lesson": lesson_id} | ({"user": user_id} if user_id else {})
    return f"{local.address()}/{page}/?{urlencode(query)}"


def addresses() -> Mapping[str, str]:
    """The pages of the sample lesson, for people."""
    return {
        "Watch": address("watch", SAMPLE_LESSON, "ada"),
        "Evidence": address("evidence", SAMPLE_LESSON, "ada"),
        "Engagement": address("engagement", SAMPLE_LESSON),
    }


def offer_sample() -> None:
    """Write the sample lesson's policy, unless somebody did already."""
    try:
        lessons.find(SAMPLE_LESSON)
    except LessonNotFound:
        lessons.write(SAMPLE_LESSON, SAMPLE_POLICY)


def content(file: Path, request: flask.Request) -> flask.Response:
    """A file, or the part of it that was asked for."""
    data = file.read_bytes()
    response = flask.Response(data, content_type=TYPES[file.suffix], headers=dict(HEADERS))
    response.set_etag(blake2b(data, digest_size=16).hexdigest())
    try:
        response.make_conditional(one_range(request), accept_ranges=True, complete_length=len(data))
    except RequestedRangeNotSatisfiable:
        return flask.Response(status=416, headers=dict(HEADERS) | {"Content-Range": f"bytes */{len(data)}"})
    return response


def one_range(request: flask.Request) -> dict[str, object]:
    """The request's environment with a range that is not too long; several at once are as none."""
    asked = parse_range_header(request.headers.get("Range"))
    environ = {name: value for name, value in request.environ.items() if name != "HTTP_RANGE"}
    if asked and asked.units == "bytes" and len(asked.ranges) == 1:
        [(start, end)] = asked.ranges
        if start >= 0:
            end = min(end or start + LONGEST_PART, start + LONGEST_PART)
            environ["HTTP_RANGE"] = f"bytes={start}-{end - 1}"
        else:
            environ["HTTP_RANGE"] = f"bytes={start}"
    return environ


def redirect(url: str, request: flask.Request) -> flask.Response:
    query = request.query_string.decode("ascii", "replace")
    return flask.Response(status=308, headers=dict(HEADERS) | {"Location": f"{url}?{query}" if query else url})


def config(request: flask.Request) -> flask.Response:
    """Where the pages find what they need; a platform writes a file like this."""
    return answer({"api": "", "tokenUrl": "/dev/token", "video": "/dev/video/{lessonId}", "isDevelopment": True})


def video(lesson_id: bytes, request: flask.Request) -> flask.Response:
    """A video of the lesson's length, or else the longest."""
    try:
        duration_ms = lessons.find(checked(IDENTIFIER, lesson_id, "lessonId")).duration_ms
    except Problem:
        duration_ms = None
    name = VIDEOS.get(duration_ms or 0, "ten-minutes")
    return flask.Response(status=307, headers=dict(HEADERS) | {"Location": f"/media/{name}.mp4"})


def token(request: flask.Request) -> flask.Response:
    """A token for whoever a page of this server says it is."""
    if not comes_from_here(request) or settings().jwks_url != local.jwks_url():
        return answer({"title": "Tokens are for this server's own pages"}, 403)
    try:
        wish = parse(WishForToken, read_body(request.stream))
    except Problem as problem:
        return answer(problem.document(), problem.status)
    return answer({"token": issuer.sign(wish.user, Role(wish.role))})


def comes_from_here(request: flask.Request) -> bool:
    """Whether a page of this machine asks: another site's has an origin of its own, or came by a name of its own."""
    host = urlsplit(f"//{request.headers.get('Host', '')}")
    origin = request.headers.get("Origin")
    return (
        host.hostname in THIS_MACHINE
        and origin in (None, f"http://{host.netloc}")
        and request.mimetype == "application/json"  # which no other site may send without being allowed to
    )


def answer(document: Mapping[str, object], status: int = 200) -> flask.Response:
    kind = "application/json" if status == 200 else "application/problem+json"
    headers = dict(HEADERS) | {"Cache-Control": "no-store"}
    return flask.Response(to_json(document), status, headers, content_type=kind)
