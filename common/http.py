"""From a request to a use case and back: match, authenticate, read, call, answer, log. Problems are made here, once.

    @endpoint("PUT /video/sessions/{sessionId}/close", roles={Role.PLAYER, Role.SERVICE})
    def close_session(caller: Caller, session_id: UUID) -> SessionEnded:

What the function's parameters are called and typed says what it gets: `caller`; `body`, a `models.Request`; `query`,
a `models.Request` of the query string; `idempotency_key`; and the path's parameters, in snake case. What it is
annotated to return says what it answers. The OpenAPI document is made from the same.
"""

import inspect
import io
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from types import UnionType
from typing import IO, Any, TypeVar, Union, get_args, get_origin
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

import flask
from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_snake
from pydantic_core import to_json
from werkzeug.wsgi import get_input_stream

from common import auth, logs
from common.auth import Caller, Role
from common.errors import (
    BodyTooLarge,
    InternalError,
    MalformedJson,
    MethodNotAllowed,
    NotJsonContent,
    PathNotFound,
    Problem,
    RoleNotAllowed,
)
from common.models import Answer, Identifier, Key, Request, wire_name
from common.parsing import checked, parse, parse_query

MAX_BODY_BYTES = 256 * 1024
DRAINED_BYTES = 4 * 1024 * 1024

R = TypeVar("R", bound=Request)
IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier, config=ConfigDict(defer_build=True))
KEY: TypeAdapter[str] = TypeAdapter(Key, config=ConfigDict(defer_build=True))
UUID_TEXT = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Endpoint:
    """What a function says about itself: where it answers, whom, what it takes and gives."""

    name: str
    doc: str
    methods: tuple[str, ...]
    allow: tuple[str, ...]
    path: str
    roles: frozenset[Role]
    path_parameters: Mapping[str, type]
    body: type[Request] | None
    body_is_optional: bool
    query: type[Request] | None
    takes_idempotency_key: bool
    answers: tuple[type[Answer], ...]
    pattern: re.Pattern[str]
    use_case: Callable[..., Answer]

    def match(self, raw_path: str) -> dict[str, Any] | None:
        """The parameters in a path that is still percent-encoded; None when the path is another's.

        Raises:
            InvalidRequest: a parameter cannot be an identifier.
        """
        found = self.pattern.fullmatch(raw_path)
        if found is None:
            return None
        arguments: dict[str, Any] = {}
        for name, kind in self.path_parameters.items():
            sent = unquote_to_bytes(found[name])
            if kind is UUID:
                if not UUID_TEXT.fullmatch(sent):
                    return None
                arguments[name] = UUID(sent.decode())
            else:
                arguments[name] = checked(IDENTIFIER, sent, wire_name(name))
        return arguments


def endpoint(
    route: str, *, roles: Iterable[Role], beside: str = ""
) -> Callable[[Callable[..., Answer]], Callable[[flask.Request], flask.Response]]:
    """Make a use case answer at a route: `METHOD [METHOD …] /path/{parameter}`; GET answers HEAD too.

    `beside` are the methods that other functions answer at the same path.
    """

    def decorate(use_case: Callable[..., Answer]) -> Callable[[flask.Request], flask.Response]:
        described = describe(route, frozenset(roles), beside, use_case)

        @wraps(use_case)
        def function(request: flask.Request) -> flask.Response:
            return serve(described, request)

        function.endpoint = described  # type: ignore[attr-defined]
        return function

    return decorate


def describe(route: str, roles: frozenset[Role], beside: str, use_case: Callable[..., Answer]) -> Endpoint:
    *methods, path = route.split()
    signature = inspect.signature(use_case, eval_str=True)
    parameters = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    body = alternatives(parameters.get("body"))
    query = alternatives(parameters.get("query"))
    names = re.findall(r"\{(\w+)\}", path)
    own = tuple(methods) + (("HEAD",) if "GET" in methods else ())
    return Endpoint(
        name=use_case.__name__,
        doc=inspect.getmodule(use_case).__doc__ or "",
        methods=own,
        allow=own + tuple(beside.split()),
        path=path,
        roles=roles,
        path_parameters={to_snake(name): parameters[to_snake(name)] for name in names},
        body=body[0] if body else None,
        body_is_optional=len(body) > 1,
        query=query[0] if query else None,
        takes_idempotency_key="idempotency_key" in parameters,
        answers=alternatives(signature.return_annotation),
        pattern=re.compile(re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{to_snake(m[1])}>[^/]+)", re.escape(path))),
        use_case=use_case,
    )


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, None last; of nothing, none."""
    if annotation is None:
        return ()
    if get_origin(annotation) in (UnionType, Union):
        return get_args(annotation)
    return (annotation,)


def serve(endpoint: Endpoint, request: flask.Request) -> flask.Response:
    """Answer a request, whatever happens, and write its log line."""
    began = time.perf_counter()
    headers = request.environ  # a look-up in request.headers costs ten times as much
    trace = logs.Trace.of(headers.get("HTTP_TRACEPARENT"), headers.get("HTTP_X_CLOUD_TRACE_CONTEXT"))
    call = Call(endpoint, request)
    problem: Problem | None = None
    cause: BaseException | None = None
    try:
        response = answered(call.run(), request)
    except Problem as error:
        problem, cause = error, error if error.status >= 500 else error.__cause__
    except Exception as error:  # whatever it is, it is ours: the caller gets a problem, the log the place
        problem, cause = InternalError(), error
    if problem is not None:
        response = flask.Response(
            to_json(problem.document() | {"traceId": trace.trace_id}),
            problem.status,
            problem.headers,
            content_type="application/problem+json",
        )
    drain(call.input)
    logs.request(
        function=endpoint.name,
        trace=trace,
        method=request.method,
        url=call.logged_url(),
        status=response.status_code,
        seconds=time.perf_counter() - began,
        request_size=request.content_length or 0,
        response_size=response.content_length or 0,
        user_agent=headers.get("HTTP_USER_AGENT"),
        user_id=call.caller.user_id if call.caller else None,
        role=call.caller.role if call.caller else None,
        problem=problem.type() if problem else None,
        cause=cause,
    )
    return response


class Call:
    """One request on its way to its use case."""

    def __init__(self, endpoint: Endpoint, request: flask.Request) -> None:
        self.endpoint = endpoint
        self.request = request
        self.input = get_input_stream(request.environ)
        request.stream = io.BytesIO()  # the framework would read what is left into memory, and refuse 10 MB as a 500
        self.arguments: dict[str, Any] = {}
        self.caller: Caller | None = None

    def run(self) -> Answer:
        endpoint, request = self.endpoint, self.request
        matched = endpoint.match(raw_path(request))
        if matched is None:
            raise PathNotFound
        self.arguments = matched
        if request.method not in endpoint.methods:
            raise MethodNotAllowed(endpoint.allow)
        self.caller = auth.authenticate(request.environ.get("HTTP_AUTHORIZATION"))
        if self.caller.role not in endpoint.roles:
            raise RoleNotAllowed(f"The role {self.caller.role} may not do this.")
        arguments = dict(matched)
        if endpoint.body:
            arguments["body"] = self.body(endpoint.body)
        if endpoint.query:
            arguments["query"] = parse_query(endpoint.query, request.args.to_dict())
        if endpoint.takes_idempotency_key:
            header = request.headers.get("Idempotency-Key")
            arguments["idempotency_key"] = None if header is None else checked(KEY, header, "Idempotency-Key")
        return endpoint.use_case(self.caller, **arguments)

    def body(self, model: type[R]) -> R | None:
        raw = read_body(self.input)
        if not raw and self.endpoint.body_is_optional:
            return None
        if self.request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != "application/json":
            raise NotJsonContent
        return parse(model, raw)

    def logged_url(self) -> str:
        """The path with its ids, but no user in it."""
        url = self.endpoint.path
        for name, value in self.arguments.items():
            shown = logs.pseudonym(value) if name == "user_id" else str(value)
            url = url.replace("{" + wire_name(name) + "}", shown)
        return url


def raw_path(request: flask.Request) -> str:
    """The path as it was sent, percent-encoded: an identifier may have a slash in it."""
    sent: str | None = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    return sent.partition("?")[0] if sent and sent.startswith("/") else quote(request.path)


def read_body(stream: IO[bytes]) -> bytes:
    """The body, up to the limit.

    Raises:
        BodyTooLarge: it is longer.
        MalformedJson: the client went away before its end, or framed it wrongly.
    """
    try:
        raw = stream.read(MAX_BODY_BYTES + 1)
    except Exception as error:  # of the server's own kind
        raise MalformedJson("The body could not be read to its end.") from error
    if len(raw) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are accepted.")
    return raw


def drain(stream: IO[bytes]) -> None:
    """Read and drop what the client still sends, up to a point: before it has sent all, it does not listen."""
    with suppress(Exception):  # of the server's own kind, as in read_body
        for _ in range(DRAINED_BYTES // MAX_BODY_BYTES):
            if not stream.read(MAX_BODY_BYTES):
                break


def answered(answer: Answer, request: flask.Request) -> flask.Response:
    """An answer as JSON; what was asked for by GET has a strong ETag and is not sent again while it is the same."""
    body = answer.__pydantic_serializer__.to_json(answer, by_alias=True)
    response = flask.Response(body, answer.http_status, content_type="application/json")
    if request.method in ("GET", "HEAD"):
        etag = blake2b(body, digest_size=16).hexdigest()
        response.headers["Cache-Control"] = "private, no-cache"
        response.set_etag(etag)
        if request.if_none_match.contains_weak(etag):
            response.status_code = 304
            response.set_data(b"")
    return response
