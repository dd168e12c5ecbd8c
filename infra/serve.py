"""Serve every function on one port of this machine, with a PostgreSQL of its own: `python -m infra.serve`.

PORT (8080), DATA_DIR (.local) and DATABASE_URL say where. Each request is a JSON line on standard output; what is
for people goes to standard error. Ctrl-C, SIGTERM or closing the terminal stops everything.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import flask
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from pydantic_core import to_json

from common import auth, http
from common.auth import Caller
from common.config import settings
from common.errors import InternalError
from common.models import Answer
from infra import functions, issuer, local, pages, postgres
from infra.failures import told_in_a_line
from infra.migrate import migrate
from infra.signals import end_in_good_order

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

OPENAPI = Path(__file__).parent.parent / "docs" / "openapi.json"


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    argparse.ArgumentParser(prog="python -m infra.serve", description=description, epilog=details).parse_args()
    end_in_good_order()
    with told_in_a_line("watchledger"):
        listener = listen()
        is_own = local.has_own_database()
        with local.database(postgres.running) as url:
            migrate(url)
            local.configure(url)
            serve(listener, with_sample=is_own)


def listen() -> socket.socket:
    """The port, taken before anything is started; who connects early waits.

    Raises:
        OSError: it is not to be had; the message says which and why.
    """
    try:
        return socket.create_server(("127.0.0.1", local.port()), backlog=128)
    except OSError as error:
        hint = "; take another: PORT=8081 make serve"
        raise OSError(f"port {local.port()} cannot be used, {os.strerror(error.errno or 0)}{hint}") from None


def serve(listener: socket.socket, *, with_sample: bool) -> None:
    """Serve until a signal comes, as a deployed function is served: gunicorn's threads in one worker process.

    No connection to the database may be open here, because the worker is forked from this process.
    """
    functions.load_all()
    if settings().jwks_url == local.jwks_url():
        # Known from the start: it is this server that would be asked, and every thread could be waiting for it.
        auth.issuer_keys.know(issuer.jwks())

    def begin(worker: object) -> None:
        # Ctrl-C reaches the worker too, whose way of obeying it is in the way of the arbiter's orders: it hangs.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if with_sample:
            pages.offer_sample()

    config = Config()
    for name, value in {
        "bind": f"fd://{listener.detach()}",
        "worker_class": "gthread",
        "threads": max(2, settings().database_connections),  # one may fetch the keys that another serves
        "timeout": 0,
        "graceful_timeout": 5,
        "limit_request_line": 0,
        "loglevel": "error",
        "control_socket_disable": True,
        "when_ready": announce,
        "post_worker_init": begin,
    }.items():
        config.set(name, value)
    arbiter = Arbiter(SimpleNamespace(cfg=config, wsgi=lambda: application))
    arbiter.handle_int = arbiter.handle_hup = arbiter.handle_term  # a closed terminal is no wish for a reload
    server = os.getpid()
    try:
        arbiter.run()
    except SystemExit as end:
        if os.getpid() != server:  # the worker: its stack is a copy of ours, and PostgreSQL is not its to stop
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise


def announce(arbiter: Arbiter) -> None:
    token = local.command("infra.token")
    lines = [f"{local.READY} {local.address()}"]
    lines += [f"  {name:10}  {address}" for name, address in pages.addresses().items()]
    lines += [f'To call it: -H "Authorization: Bearer $({token} --user ada)"']
    print("\n".join(lines), file=sys.stderr)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The functions, each at its path, and the pages that only the local server has; for WSGI."""
    request = flask.Request(environ)
    path = http.raw_path(request)
    function = functions.find(request.method, path)
    answer = function.app if function else page(request, path)
    return answer(environ, start_response)


def page(request: flask.Request, path: str) -> flask.Response:
    if found := pages.find(path):
        method, answering = found
        fits = request.method == method or (request.method, method) == ("HEAD", "GET")
        return answering(request) if fits else refusal(f"{method} {path}", request)
    if path not in PAGES or (path == "/openapi.json" and not OPENAPI.exists()):
        return refusal("GET *", request)
    if request.method not in ("GET", "HEAD"):
        return refusal(f"GET {path}", request)
    kind, content = PAGES[path]
    return flask.Response(content(), content_type=kind)


def refusal(route: str, request: flask.Request) -> flask.Response:
    """What a function at a route says to a request which is not for it: 404, or 405 at its path."""
    return http.endpoint(route, roles=())(nothing)(request)


def nothing(caller: Caller) -> Answer:
    raise InternalError


def routes() -> str:
    """What there is, for people."""
    lines = ["Watchledger, for development on this machine.", ""]
    for function in functions.load_all().values():
        endpoint = function.endpoint
        lines.append(f"{' '.join(endpoint.methods):10} {endpoint.path}")
        lines.append(f"{'':10} {endpoint.doc.splitlines()[0].partition(': ')[2]}")
    lines += ["", *(f"{'GET':10} {path}" for path in PAGES), ""]
    lines += [
        *(f"{name:10} {address}" for name, address in pages.addresses().items()),
        "",
        f"A token: {local.command('infra.token')} --user ada",
    ]
    return "\n".join(lines) + "\n"


PAGES: Mapping[str, tuple[str, Callable[[], bytes | str]]] = {
    "/": ("text/plain; charset=utf-8", routes),
    "/openapi.json": ("application/json", OPENAPI.read_bytes),
    "/.well-known/jwks.json": ("application/json", lambda: to_json(issuer.jwks())),
}

if __name__ == "__main__":
    main()
