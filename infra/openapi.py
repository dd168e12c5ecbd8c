"""Write docs/openapi.json, the API's description: `python -m infra.openapi [--check]`.

Everything in it comes from the code: routes, roles and parameters from each function's endpoint, members from the
models, summaries and descriptions from docstrings, the problems that may come from the `Raises:` of what a function
calls, and what each word means from `infra.glossary`.
"""

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from difflib import unified_diff
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from common import errors
from common.auth import CLAIMED_ROLES, Role
from common.errors import Problem
from common.http import IDENTIFIER, KEY, MAX_BODY_BYTES, UUID_TEXT, Endpoint
from common.models import (
    Answer,
    BulkItem,
    BulkResult,
    ProgressRecorded,
    RecordBulkProgress,
    Request,
    wire_name,
    without_control_characters,
)
from infra import functions, glossary

PATTERNS: dict[Callable[..., object], str] = {without_control_characters: r"^[^\u0000-\u001f\u007f]*$"}
PATH = Path(__file__).parent.parent / "docs/openapi.json"
COMMON = Path(errors.__file__).parent
VERSION = "1.0.0"
SHOWN_LINES = 40

DESCRIPTION = f"""\
What part of a video lesson a person really watched: each played stretch once, however often it is sent.

Places and lengths in a video are seconds, with at most three decimals; ranges are half-open, `[start, end)`; moments
are RFC 3339, in UTC. A request may be sent again when its answer was lost: nothing is counted twice.

Every operation needs a bearer token, and each says whose. What belongs to another user is answered as if it did not
exist. What could not be done is answered with a problem document (RFC 9457) whose `type` is stable. A body has at most
{MAX_BODY_BYTES:,} bytes. A path answers other methods with 405, and `Allow` tells which it has; `GET` has `HEAD` too.
"""
TAGS = {
    Role.PLAYER: "The learner's player: what belongs to the token's `sub`, and nothing else.",
    Role.MANAGER: "Who reports: reads anyone's record.",
    Role.SERVICE: "The platform: writes policies, assigns lessons, acts for any user.",
    Role.SCHEDULER: "The deployment's scheduler: runs the jobs.",
}
HEADERS = {
    "Cache-Control": ("A private record: ask again before it is shown again.", {"const": "private, no-cache"}),
    "ETag": ("Of this answer, strong.", {"type": "string", "pattern": '^"[0-9a-f]{32}"$'}),
    "Retry-After": ("In so many seconds it is worth another try.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("That a bearer token is needed (RFC 6750).", {"type": "string", "pattern": "^Bearer "}),
}

Schema = dict[str, Any]
Problems = set[type[Problem]]


def document() -> Schema:
    """The OpenAPI document (3.1) of every function in the repository."""
    endpoints = [function.endpoint for function in functions.load_all().values()]
    paths: dict[str, dict[str, Schema]] = {}
    responses: dict[str, Schema] = {}
    for endpoint in sorted(endpoints, key=lambda e: (e.path, e.name)):
        for method in endpoint.methods:
            if method != "HEAD":
                paths.setdefault(endpoint.path, {})[method.lower()] = operation(endpoint, method, responses)
    named = {name for operations in paths.values() for each in operations.values() for name in each["tags"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Watchledger", "version": VERSION, "description": DESCRIPTION},
        "servers": [
            {"url": "/", "description": "Where this document came from."},
            {
                "url": "http://127.0.0.1:{port}",
                "description": "The local server.",
                "variables": {"port": {"default": "8080", "description": "PORT."}},
            },
        ],
        "tags": [{"name": role, "description": TAGS[role]} for role in Role if role in named],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Signed with RS256 or ES256 by the deployment's issuer; `sub` is the user, and the "
                    f"role claim one of {listed(CLAIMED_ROLES)}.",
                }
            },
            "responses": dict(sorted(responses.items())),
            "schemas": schemas(endpoints),
        },
    }


def operation(endpoint: Endpoint, method: str, responses: Schema) -> Schema:
    """One method of an endpoint; the responses that several operations share are put into `responses`."""
    first, _, more = endpoint.doc.partition("\n\n")
    told = [more, *map(story, called(endpoint.use_case)), f"Roles: {listed(endpoint.roles)}."]
    described: Schema = {
        "operationId": endpoint.name if method == endpoint.methods[0] else f"{endpoint.name}_by_{method.lower()}",
        "tags": [role for role in Role if role in endpoint.roles],
        "summary": sentence(first.partition(": ")[2]),
        "description": "\n\n".join(" ".join(part.split()) for text in told for part in text.split("\n\n") if part),
        "parameters": parameters(endpoint, method),
    }
    if endpoint.body:
        content = {"schema": reference(endpoint.body), "example": example(endpoint.body)}
        described["requestBody"] = {
            "description": described_by(endpoint.body),
            "required": not endpoint.body_is_optional,
            "content": {"application/json": content},
        }
    described["responses"] = {str(answer.http_status): success(answer, method) for answer in endpoint.answers}
    if method == "GET":
        described["responses"]["304"] = {
            "description": "Nothing has changed since the answer with that ETag.",
            "headers": headers(("Cache-Control", "ETag")),
        }
    by_status: dict[int, Problems] = {}
    for problem in problems(endpoint):
        by_status.setdefault(problem.status, set()).add(problem)
    for status, possible in sorted(by_status.items()):
        described["responses"][str(status)] = refused(possible, responses)
    return described


def parameters(endpoint: Endpoint, method: str) -> list[Schema]:
    """What is taken from the path, the query and the headers."""
    found = [
        parameter(
            "path",
            wire_name(name),
            uuid_schema() if kind is UUID else IDENTIFIER.json_schema(schema_generator=Generator),
            required=True,
        )
        for name, kind in endpoint.path_parameters.items()
    ]
    if endpoint.query:
        model = endpoint.query.model_json_schema(by_alias=True, schema_generator=Generator)
        required = model.get("required", [])
        found += [
            parameter("query", name, without_null(schema), name in required)
            for name, schema in model["properties"].items()
        ]
    if endpoint.takes_idempotency_key:
        found.append(
            parameter("header", "Idempotency-Key", KEY.json_schema(schema_generator=Generator), required=False)
        )
    if method == "GET":
        found.append(parameter("header", "If-None-Match", {"type": "string"}, required=False))
    return found


def parameter(place: str, name: str, schema: Schema, required: bool) -> Schema:
    return {"name": name, "in": place, "required": required, "description": meaning(name), "schema": schema}


def uuid_schema() -> Schema:
    return {"type": "string", "format": "uuid", "pattern": f"^{UUID_TEXT.pattern.decode()}$"}


def without_null(schema: Schema) -> Schema:
    """The schema of a query parameter: one that was left out is not null but absent."""
    kind = schema["type"]
    absent = {"default"} if schema.get("default") is None else set()
    plain = {name: value for name, value in schema.items() if name not in absent}
    return plain | {"type": kind[0] if isinstance(kind, list) else kind}


def success(answer: type[Answer], method: str) -> Schema:
    described: Schema = {
        "description": described_by(answer),
        "content": {"application/json": {"schema": reference(answer)}},
    }
    if method == "GET":
        described["headers"] = headers(("Cache-Control", "ETag"))
    return described


def refused(possible: Problems, responses: Schema) -> Schema:
    """The response of problems that share a status, each with its own schema."""
    kinds = sorted(possible, key=lambda kind: kind.__name__)
    name = "Or".join(kind.__name__ for kind in kinds)
    references = [reference(kind) for kind in kinds]
    response: Schema = {
        "description": " Or: ".join(f"{kind.title()}." for kind in kinds),
        "content": {
            "application/problem+json": {"schema": references[0] if len(kinds) == 1 else {"oneOf": references}}
        },
    }
    if sent := sorted({header for kind in kinds for header in kind.headers}):
        response["headers"] = headers(sent)
    responses[name] = response
    return {"$ref": f"#/components/responses/{name}"}


def headers(names: Iterable[str]) -> Schema:
    return {name: {"description": HEADERS[name][0], "required": True, "schema": HEADERS[name][1]} for name in names}


def problems(endpoint: Endpoint) -> Problems:
    """What may be answered instead: what the way to the use case can raise, and what its docstrings say."""
    possible: Problems = {
        errors.Unauthenticated,
        errors.TokenRejected,
        errors.RoleNotAllowed,
        errors.InternalError,
        errors.DatabaseUnavailable,
        errors.KeysUnavailable,
    }
    if endpoint.path_parameters:
        possible |= {errors.PathNotFound}
    if endpoint.body:
        possible |= {errors.MalformedJson, errors.BodyTooLarge, errors.NotJsonContent}
    kinds = endpoint.path_parameters.values()
    if endpoint.body or endpoint.query or endpoint.takes_idempotency_key or any(kind is not UUID for kind in kinds):
        possible |= {errors.InvalidRequest}
    return possible.union(*map(raised_by, called(endpoint.use_case)))


def called(use_case: Callable[..., object]) -> list[str]:
    """The docstrings of what a use case calls in `common`: that of `sessions.close` for `sessions.close(caller, …)`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(use_case)))
    calls = sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)), key=lambda call: call.lineno)
    found = []
    for call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module != "logs":
                found += docstring(module, name)
    return found


def docstring(module: str, name: str) -> list[str]:
    """A function's docstring, read without importing its module: some bring much with them."""
    path = COMMON / f"{module}.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
    return [ast.get_docstring(node) or "" for node in body if isinstance(node, ast.FunctionDef) and node.name == name]


def story(docstring: str) -> str:
    """What a docstring says before its `Raises:`."""
    return docstring.partition("Raises:")[0].strip()


def raised_by(docstring: str) -> Problems:
    """The problems in a docstring's `Raises:`."""
    raises = docstring.partition("Raises:")[2]
    return {getattr(errors, name) for name in re.findall(r"^ {4}(\w+):", raises, re.MULTILINE)}


def listed(roles: Iterable[Role]) -> str:
    return ", ".join(f"`{role}`" for role in Role if role in roles)


class Generator(GenerateJsonSchema):
    """JSON Schema as people would write it: no titles, `null` beside the type, a validator's rule as a pattern."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str) and "enum" not in inner:
            return inner | {"type": [inner["type"], "null"]}
        return super().nullable_schema(schema)

    def tuple_schema(self, schema: core_schema.TupleSchema) -> Schema:
        made = super().tuple_schema(schema)
        first, *others = made["prefixItems"]
        if all(other == first for other in others):
            made["items"] = made.pop("prefixItems")[0]
        return made

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> Schema:
        pattern = PATTERNS.get(schema["function"]["function"])
        return super().function_after_schema(schema) | ({"pattern": pattern} if pattern else {})


def schemas(endpoints: Iterable[Endpoint]) -> Schema:
    """Every request, answer and problem by its class's name; each member with the meaning of its word."""
    requests: set[type[Request]] = {endpoint.body for endpoint in endpoints if endpoint.body}
    if RecordBulkProgress in requests:
        requests.add(BulkItem)
    answers = {answer for endpoint in endpoints for answer in endpoint.answers}
    wanted: list[Any] = [(model, "validation") for model in requests]
    wanted += [(model, "serialization") for model in answers]
    _, made = models_json_schema(wanted, ref_template="#/components/schemas/{model}", schema_generator=Generator)
    found: Schema = made["$defs"]
    if BulkItem in requests:  # SkipValidation put it in place
        found[RecordBulkProgress.__name__]["properties"]["items"]["items"] = reference(BulkItem)
    for model, schema in found.items():
        schema.pop("title", None)  # the key says it
        for name, member in schema.get("properties", {}).items():
            member.setdefault("description", meaning(name, model))
            if name.endswith("Second") and member.get("default"):
                member["default"] /= 1000
    if BulkResult.__name__ in found:
        found[BulkResult.__name__] = bulk_result(found[ProgressRecorded.__name__])
    found[Problem.__name__] = glossary.PROBLEM
    for endpoint in endpoints:
        found |= {kind.__name__: problem_schema(kind) for kind in problems(endpoint)}
    return dict(sorted(found.items()))


class Unexplained(Exception):
    """The glossary lacks something."""


def meaning(name: str, model: str = "") -> str:
    """What a word means; in a model, if it means something else there."""
    found = glossary.WORDS.get(f"{model}.{name}") or glossary.WORDS.get(name)
    if found is None:
        raise Unexplained(f"infra/glossary.py does not say what {name} means; add it to WORDS")
    return found


def example(body: type[Request]) -> Any:
    if body.__name__ not in glossary.EXAMPLES:
        raise Unexplained(f"infra/glossary.py has no example of {body.__name__}; add one to EXAMPLES")
    return glossary.EXAMPLES[body.__name__]


def problem_schema(kind: type[Problem]) -> Schema:
    """The problem document of one type of problem."""
    members = glossary.PROBLEM_MEMBERS.get(kind.__name__, {})
    return {
        "description": f"{kind.title()}.",
        "allOf": [reference(Problem)],
        "properties": {
            "type": {"const": kind.type()},
            "title": {"const": kind.title()},
            "status": {"const": kind.status},
            **members,
        },
        "required": ["type", "title", "status", *members],
    }


def bulk_result(recorded: Schema) -> Schema:
    """An item's answer: what its progress would have been answered alone, with the HTTP status beside it."""
    done = {
        "type": "object",
        "description": "The item was recorded.",
        "properties": {
            **recorded["properties"],
            "status": {"const": HTTPStatus.OK, "description": "The HTTP status of this item."},
            "sessionStatus": recorded["properties"]["status"] | {"description": meaning("sessionStatus")},
        },
        "required": [*recorded["required"], "sessionStatus"],
    }
    told = docstring("progress", "record") + docstring("sessions", "close")
    kinds = sorted(set().union(*map(raised_by, told)), key=lambda kind: kind.__name__)
    not_done = {
        "description": "The item was refused: a problem document with the session's id, null if that was no text.",
        "properties": {"sessionId": {"type": ["string", "null"], "description": meaning("sessionId")}},
        "required": ["sessionId"],
        "oneOf": [reference(kind) for kind in kinds],
    }
    return {"description": sentence(BulkResult.__doc__), "oneOf": [done, not_done]}


def reference(kind: type[Request] | type[Answer] | type[Problem]) -> Schema:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def sentence(text: str | None) -> str:
    """A text in one line, beginning large."""
    line = " ".join((text or "").split())
    return line[:1].upper() + line[1:]


def described_by(model: type[Request] | type[Answer]) -> str:
    """A model's docstring, or else its name as words: `Session started.`"""
    return sentence(model.__doc__) or re.sub(r"(?<!^)(?=[A-Z])", " ", model.__name__).capitalize() + "."


def text() -> str:
    """The document as the file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.openapi", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not up to date")
    check = parser.parse_args().check
    written = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    try:
        fresh = text()
    except Unexplained as lack:
        sys.exit(str(lack))
    if not check:
        PATH.write_text(fresh, encoding="utf-8")
    elif written != fresh:
        difference = unified_diff(
            written.splitlines(), fresh.splitlines(), "docs/openapi.json", "the code", lineterm=""
        )
        print("\n".join(islice(difference, SHOWN_LINES)))
        sys.exit("docs/openapi.json is not up to date; write it again: python -m infra.openapi")


if __name__ == "__main__":
    main()
