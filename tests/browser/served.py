"""The local server's application on a port of this machine, in threads, and what can go wrong on the way."""

import collections
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

from infra.serve import application
from tests.conftest import token

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True)
class Asked:
    """A request of somebody's page, and what it was answered."""

    at: float
    method: str
    path: str
    status: int


@dataclass
class Way:
    """One learner's way to the server: what was asked, and what goes wrong on it. All can be changed any time."""

    asked: list[Asked] = field(default_factory=list)
    refuse: Callable[[flask.Request], int | None] = lambda request: None
    lose: Callable[[flask.Request], bool] = lambda request: False  # the answer, after the service has done its work
    video_until: int | None = None  # the bytes of the video from here on wait until it flows
    video_flows: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.video_flows.set()

    def count(self, method: str, path: str) -> int:
        """How often something was asked for; the path is a regular expression."""
        return sum(one.method == method and re.fullmatch(path, one.path) is not None for one in self.asked)

    def to_the_service(self, since: float = 0) -> list[Asked]:
        return [one for one in self.asked if one.path.startswith("/video/") and one.at >= since]


class Served:
    """What the pages are served by; a learner is told by the address of the page that asks."""

    def __init__(self) -> None:
        self.ways: dict[str, Way] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = flask.Request(environ)
        page = parse_qs(urlsplit(request.headers.get("Referer", "")).query) or request.args.to_dict(flat=False)
        way = self.ways.get(page.get("user", [""])[0], Way())

        def noting(line: str, *rest: Any) -> Any:
            way.asked.append(Asked(monotonic(), request.method, request.path, int(line.split()[0])))
            return start_response(line, *rest)

        answer = self.interfere(request, way) or application
        if way.lose(request):
            collections.deque(answer(environ, lambda *_: lambda _: None), maxlen=0)
            answer = flask.Response("the proxy lost it", 502, content_type="text/plain")
        return answer(environ, noting)

    def interfere(self, request: flask.Request, way: Way) -> flask.Response | None:
        """What is answered in the application's place, if it is not to answer."""
        status = way.refuse(request)
        if status is not None:
            problem = {"type": "about:blank", "title": "Refused by the test", "status": status}
            headers = {"Retry-After": "1"} if status in (429, 503) else {}
            return flask.Response(json.dumps(problem), status, headers, content_type="application/problem+json")
        if request.path == "/dev/token":
            wish = request.get_json()
            given = {"token": token(wish["user"], wish["role"], jti=str(uuid4()))}  # no two are the same
            return flask.Response(json.dumps(given), content_type="application/json")
        if request.path.startswith("/media/") and way.video_until:
            start = int((request.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")[0])
            if start >= way.video_until:
                way.video_flows.wait(20)
            else:
                request.environ["HTTP_RANGE"] = f"bytes={start}-{way.video_until - 1}"
        return None


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as in front of the deployed functions

    def log(self, type: str, message: str, *args: Any) -> None:
        logging.getLogger(__name__).debug(message, *args)


@contextmanager
def serving() -> Iterator[tuple[Served, str]]:
    """A server, and its address."""
    served = Served()
    server = make_server("127.0.0.1", 0, served, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served, f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
