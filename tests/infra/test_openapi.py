"""docs/openapi.json: what it says is all there is, is well-formed, and is what really happens."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case
from schemathesis import Response as Answered
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from werkzeug.wrappers import Response

from common import errors
from common.auth import Role
from common.errors import Problem
from common.models import BulkItem, RecordBulkProgress, RecordProgress
from common.parsing import parse
from infra import functions, glossary, openapi
from infra.serve import application
from tests import described
from tests.conftest import SCHEDULER_ACCOUNT, Person, Viewer, run, segment, token

DOCUMENT = openapi.document()
METHODS = {"get", "put", "post", "delete", "patch"}


def operations(document: Any = DOCUMENT) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method in item.keys() & METHODS:
            yield method.upper(), path, item[method]


# The document as a document.


def test_the_file_is_up_to_date() -> None:
    assert openapi.PATH.read_text(encoding="utf-8") == openapi.text(), "run: python -m infra.openapi"


def test_check_passes_on_what_was_just_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "PATH", tmp_path / "openapi.json")
    monkeypatch.setattr(sys, "argv", ["openapi"])
    openapi.main()
    monkeypatch.setattr(sys, "argv", ["openapi", "--check"])

    openapi.main()


def test_check_fails_on_an_old_file_and_shows_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "openapi.json"
    old.write_text(openapi.text().replace("touch_session", "poke_session"), encoding="utf-8")
    monkeypatch.setattr(openapi, "PATH", old)
    monkeypatch.setattr(sys, "argv", ["openapi", "--check"])

    with pytest.raises(SystemExit) as stopped:
        openapi.main()

    assert stopped.value.code == "docs/openapi.json is not up to date; write it again: python -m infra.openapi"
    assert '+        "operationId": "touch_session",' in capsys.readouterr().out
    assert "poke_session" in old.read_text(encoding="utf-8")


def test_it_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_function_is_in_it_by_name_and_nothing_else_is() -> None:
    described = {operation["operationId"].partition("_by_")[0] for _, _, operation in operations()}

    assert described == set(functions.load_all())


def test_every_route_is_in_it_and_nothing_else_is() -> None:
    answered = {
        (method, function.endpoint.path)
        for function in functions.load_all().values()
        for method in function.endpoint.methods
        if method != "HEAD"
    }

    assert {(method, path) for method, path, _ in operations()} == answered


def test_every_example_is_a_request_that_is_accepted_whole() -> None:
    for function in functions.load_all().values():
        if function.endpoint.body:
            method, path = function.endpoint.methods[0].lower(), function.endpoint.path
            example = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]
            request = parse(function.endpoint.body, json.dumps(example).encode())
            items = [request] if isinstance(request, RecordProgress) else []
            if isinstance(request, RecordBulkProgress):
                items = [parse(BulkItem, json.dumps(item).encode()) for item in example["items"]]
            assert [item.rejected for item in items] == [[] for _ in items], path


def test_the_glossary_has_no_word_and_no_example_that_nothing_uses() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    members = {(model, name) for model, schema in schemas.items() for name in schema.get("properties", {})}
    words = {parameter["name"] for _, _, operation in operations() for parameter in operation["parameters"]}
    words |= {name for _, name in members} | {f"{model}.{name}" for model, name in members} | {"sessionStatus"}

    assert glossary.WORDS.keys() - words == set()
    assert glossary.EXAMPLES.keys() | glossary.PROBLEM_MEMBERS.keys() <= schemas.keys()


def test_what_is_left_out_of_a_policy_takes_the_documented_default(service: Person) -> None:
    documented = DOCUMENT["components"]["schemas"]["SetLesson"]["properties"]

    written = service.put("/video/lessons/lesson-of-defaults", {})

    assert {name: written[name] for name in documented} == {name: documented[name]["default"] for name in documented}


# What a linter would say.


def complaints(document: Any) -> list[str]:
    """What is wrong with a document that is valid, as far as people are concerned who read or use it."""
    found = []
    ids = [operation.get("operationId", "") for _, _, operation in operations(document)]
    found += [f"{name}: more than one operation has this operationId" for name in set(ids) if ids.count(name) > 1]
    tags = {tag["name"] for tag in document["tags"] if tag.get("description")}
    for method, path, operation in operations(document):
        here = f"{method} {path}: "
        found += [here + f"no {member}" for member in ("summary", "description", "tags") if not operation.get(member)]
        if not re.fullmatch(r"[a-z_]+", operation.get("operationId", "")):
            found.append(here + "operationId is no name")
        if set(operation.get("tags", ())) - tags:
            found.append(here + "a tag is not described")
        in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        if in_path != set(re.findall(r"\{(\w+)\}", path)):
            found.append(here + "its parameters are not the path's")
        found += [here + f"{p['name']} is not described" for p in operation["parameters"] if not p.get("description")]
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if "example" not in media:
                found.append(here + "its body has no example")
            elif not validator(document, media["schema"]).is_valid(media["example"]):
                found.append(here + "its body's example is not valid")
        if not any(status.startswith("2") for status in operation["responses"]):
            found.append(here + "it never succeeds")
        for status, response in operation["responses"].items():
            if status >= "400" and list(resolved(document, response)["content"]) != ["application/problem+json"]:
                found.append(here + f"{status} is no problem document")
    referred = set(re.findall(r'"\$ref": "#/components/(.+?)"', json.dumps(document)))
    defined = {f"{kind}/{name}" for kind in ("schemas", "responses") for name in document["components"][kind]}
    found += [f"{name}: referred to, but not defined" for name in sorted(referred - defined)]
    found += [f"{name}: defined, but not used" for name in sorted(defined - referred)]
    for place, schema in schemas(document["components"]["schemas"]):
        if schema.get("type") == "array" and "items" not in schema:
            found.append(f"{place}: an array of what?")
        for name, member in schema.get("properties", {}).items() if "allOf" not in schema else ():
            if not member.get("description"):
                found.append(f"{place}.{name} is not described")
    return found


def schemas(part: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every schema in a part of the document, however deep, by its place."""
    if isinstance(part, dict):
        yield place, part
        for name, inner in part.items():
            yield from schemas(inner, f"{place} {name}".strip())
    if isinstance(part, list):
        for inner in part:
            yield from schemas(inner, place)


def validator(document: Any, schema: Any) -> Any:
    """Of a schema whose references are the document's."""
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


def resolved(document: Any, response: Any) -> Any:
    name = response.get("$ref", "").removeprefix("#/components/responses/")
    return document["components"]["responses"].get(name, {"content": {}}) if name else response


def test_a_linter_has_nothing_to_complain_about() -> None:
    assert complaints(DOCUMENT) == []


TOUCH, SET = "/video/sessions/{sessionId}/heartbeat", "/video/lessons/{lessonId}"


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (f"paths {TOUCH} put summary", "", f"PUT {TOUCH}: no summary"),
        (f"paths {TOUCH} put description", "", f"PUT {TOUCH}: no description"),
        (f"paths {TOUCH} put tags", [], f"PUT {TOUCH}: no tags"),
        (f"paths {TOUCH} put tags", ["guest"], f"PUT {TOUCH}: a tag is not described"),
        (f"paths {TOUCH} put operationId", "touch session", f"PUT {TOUCH}: operationId is no name"),
        (f"paths {TOUCH} put operationId", "set_lesson", "set_lesson: more than one operation has this operationId"),
        (f"paths {TOUCH} put parameters", [], f"PUT {TOUCH}: its parameters are not the path's"),
        (f"paths {TOUCH} put responses", {}, f"PUT {TOUCH}: it never succeeds"),
        (
            f"paths {TOUCH} put responses 404",
            {"content": {"text/html": {}}},
            f"PUT {TOUCH}: 404 is no problem document",
        ),
        (f"paths {SET} put requestBody content application/json", {}, f"PUT {SET}: its body has no example"),
        (
            f"paths {SET} put requestBody content application/json example",
            {"durationSecond": -1},
            f"PUT {SET}: its body's example is not valid",
        ),
        ("components schemas Unheard", {}, "schemas/Unheard: defined, but not used"),
        ("components schemas Lesson", {"$ref": "#/components/schemas/X"}, "schemas/X: referred to, but not defined"),
        ("components schemas Lesson properties new", {}, "Lesson.new is not described"),
        ("components schemas Lesson properties new", {"type": "array"}, "Lesson properties new: an array of what?"),
    ],
)
def test_the_linter_complains(place: str, value: Any, complaint: str) -> None:
    damaged = deepcopy(DOCUMENT)
    *way, last = place.split()
    part = damaged
    for name in way:
        part = part[name]
    part[last] = value

    assert any(said.endswith(complaint) for said in complaints(damaged))


# What is described is what happens: `conftest.send` asks that of every response.


@pytest.mark.parametrize(
    ("method", "response", "complaint"),
    [
        ("PUT", Response("{}", 418, content_type="application/json"), "the status 418 is not described"),
        ("GET", Response("{}", 200, content_type="application/json"), "GET %s is not described"),
        ("PATCH", Response("{}", 405), "PATCH %s is not described"),
        ("PUT", Response("{}", 200, content_type="text/html"), "the media type is text/html"),
        ("PUT", Response("{}", 200, content_type="application/json"), '"sessionId" is a required property'),
        ("PUT", Response("{}", 401, content_type="application/problem+json"), "the header WWW-Authenticate is ''"),
        (
            "PUT",
            Response('{"type": "urn:x", "title": "X", "status": 409}', 409, content_type="application/problem+json"),
            '"urn:watchledger:problem:session-closed" was expected',
        ),
    ],
)
def test_a_response_that_is_not_as_described_is_noticed(method: str, response: Response, complaint: str) -> None:
    found = described.problems(method, TOUCH, response)

    assert any(complaint.replace("%s", TOUCH) in problem for problem in found), found


def provocations(viewer: Viewer, database_url: str) -> dict[str, tuple[str, str, dict[str, str], dict[str, Any]]]:
    """For each problem a request that meets it: method, path, what its parameters are, and the rest."""
    own = {"userId": viewer.user_id, "lessonId": viewer.lesson_id}
    own |= {"sessionId": viewer.session_id, "attemptId": viewer.attempt_id}
    viewer.start(headers={"Idempotency-Key": "k"})
    closed, archived = viewer.start()["sessionId"], viewer.start()["sessionId"]
    viewer.close(closed)
    viewer.close(archived)
    run(database_url, "UPDATE watch_session SET archived_at = now() WHERE session_id = :id", id=archived)
    start, lesson = "/video/sessions", "/video/lessons/{lessonId}"
    touch, record = "/video/sessions/{sessionId}/heartbeat", "/video/sessions/{sessionId}/progress"
    complete, found = "/video/attempts/{attemptId}/complete", "/video/users/{userId}/lessons/{lessonId}/progress"
    nobodys, reused = str(UUID(int=0)), {"userId": viewer.user_id, "lessonId": "another"}
    return {
        "MalformedJson": ("POST", record, own, {"data": b"{", "content_type": "application/json"}),
        "Unauthenticated": ("PUT", touch, own, {"headers": {"Authorization": ""}}),
        "TokenRejected": ("PUT", touch, own, {"headers": {"Authorization": "Bearer x"}}),
        "RoleNotAllowed": ("PUT", lesson, own, {"json": {}}),
        "PathNotFound": ("PUT", touch, own | {"sessionId": "mine"}, {}),
        "SessionNotFound": ("PUT", touch, own | {"sessionId": nobodys}, {}),
        "AttemptNotFound": ("PUT", complete, own | {"attemptId": nobodys}, {}),
        "UserNotFound": ("GET", found, own | {"userId": "somebody-else"}, {}),
        "LessonNotFound": ("GET", lesson, own | {"lessonId": "never-heard-of"}, {}),
        "SessionClosed": ("PUT", touch, own | {"sessionId": closed}, {}),
        "AttemptBelowThreshold": ("PUT", complete, own, {}),
        "SessionArchived": ("POST", record, own | {"sessionId": archived}, {"json": {"segments": [segment(0, 1)]}}),
        "BodyTooLarge": ("POST", start, own, {"data": b" " * 300_000, "content_type": "application/json"}),
        "NotJsonContent": ("POST", start, own, {"data": b"{}", "content_type": "text/plain"}),
        "InvalidRequest": ("POST", record, own, {"json": {"segments": [segment(2, 1)]}}),
        "IdempotencyKeyReused": ("POST", start, own, {"json": reused, "headers": {"Idempotency-Key": "k"}}),
    }


OUTAGES = {"InternalError", "DatabaseUnavailable", "KeysUnavailable", "ArchiveUnavailable"}
PROBLEMS = sorted(name for name, schema in DOCUMENT["components"]["schemas"].items() if "allOf" in schema)


def test_every_problem_is_described_but_that_of_a_method_that_has_no_operation() -> None:
    assert {kind.__name__ for kind in all_below(Problem)} - set(PROBLEMS) == {"MethodNotAllowed"}


def all_below(kind: type[Problem]) -> set[type[Problem]]:
    return {each for below in kind.__subclasses__() for each in {below, *all_below(below)}}


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in OUTAGES])
def test_every_problem_is_answered_as_described(name: str, new_lesson: Callable[..., str], database_url: str) -> None:
    viewer = Viewer(new_lesson(durationSecond=100, completionThreshold=0.9))
    viewer.start()
    method, path, parameters, options = provocations(viewer, database_url)[name]

    problem = viewer.send(method, path.format(**parameters), **options).get_json()

    kind: type[Problem] = getattr(errors, name)
    members = DOCUMENT["components"]["schemas"][name]["properties"].keys()
    assert (problem["type"], problem["title"], problem["status"]) == (kind.type(), kind.title(), kind.status)
    assert problem.keys() - {"detail"} == members | {"traceId"}


def test_each_item_of_a_bulk_is_answered_as_described(viewer: Viewer) -> None:
    good, strange, unknown = viewer.session_id, str(UUID(int=0)), [1]
    items = [
        {"sessionId": good, "segments": [segment(0, 10), segment(5, 5)], "close": True},
        {"sessionId": good, "segments": [segment(5, 5)]},
        {"sessionId": strange, "segments": [segment(0, 10)]},
        {"sessionId": unknown, "segments": [segment(0, 10)]},
    ]

    results = viewer.post("/video/progress/bulk", {"items": items})["results"]

    assert [result["status"] for result in results] == [200, 422, 404, 422]
    assert [result["sessionId"] for result in results] == [good, good, strange, None]
    done, refused = (branch["properties"] for branch in DOCUMENT["components"]["schemas"]["BulkResult"]["oneOf"])
    assert results[0].keys() == done.keys()
    assert results[1].keys() == refused.keys() | {"type", "title", "status", "errors"}


# What schemathesis makes of it: the examples, every boundary, every wrong type, other methods, and random requests.

API = schemathesis.openapi.from_dict(deepcopy(DOCUMENT))
API.app = application
API.config.generation.update(deterministic=True, with_security_parameters=False)
checks = API.config.checks.negative_data_rejection
checks.expected_statuses = [*checks.expected_statuses, "413"]

# Rules that JSON Schema has no words for: what breaks only these is as described, and refused.
UNSAYABLE = {
    "endSecond should be at least a millisecond after startSecond",
    RecordProgress.TOO_LONG,
}


def exploration(role: Role) -> Callable[..., None]:
    """A test of each operation that a role may do, at the viewer's own session, attempt and lesson."""

    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def explore(case: Case[Any], viewer: Viewer) -> None:
        about(viewer, case)
        headers = {"Authorization": f"Bearer {bearer(role, viewer)}"}
        response = case.call(headers=headers)
        if "%0A" in str(response.request.url).partition("?")[0]:
            assert response.status_code == 404  # the framework's own page: its one route takes no line break
            return
        case.validate_response(response, headers=headers, excluded_checks=excused(case, response))

    explored: Callable[..., None] = API.include(tag=role).parametrize()(explore)
    return explored


def bearer(role: Role, viewer: Viewer) -> str:
    if role is Role.SCHEDULER:
        return token("scheduler", email=SCHEDULER_ACCOUNT, email_verified=True)
    return token(viewer.user_id if role is Role.PLAYER else f"{role}-of-{viewer.user_id}", role)


def about(viewer: Viewer, case: Case[Any]) -> None:
    """Have a request name what exists, where what it names is well-formed."""
    known = {"userId": viewer.user_id, "lessonId": viewer.lesson_id}
    known |= {"sessionId": viewer.session_id, "attemptId": viewer.attempt_id}
    assert case.meta is not None
    if not case.meta.is_negative_at(ParameterLocation.PATH):
        case.path_parameters = {name: known[name] for name in case.path_parameters}
    if not case.meta.is_negative_at(ParameterLocation.BODY):
        body: Any = case.body
        match body:
            case {"userId": _}:
                case.body = {**body, "userId": viewer.user_id}
            case {"items": items}:
                case.body = {"items": [{**item, "sessionId": viewer.session_id} for item in items]}


def excused(case: Case[Any], response: Answered) -> list[Any]:
    """The checks that have nothing to say about a response."""
    content = response.json() if response.content else {}
    if content.get("type") == errors.IdempotencyKeyReused.type():
        return [positive_data_acceptance]  # as described, but not with that key
    if response.status_code == 422 and {error["detail"] for error in content["errors"]} <= UNSAYABLE:
        return [positive_data_acceptance]
    if content.get("rejected") or any(result["status"] != 200 for result in content.get("results", ())):
        return [negative_data_rejection]  # what was bad was refused alone
    if case.path.endswith("/close") and response.status_code == 200:
        return [negative_data_rejection]  # so it was here, and who closes does not stay to hear of it
    return []


test_what_a_player_can_do_is_as_described = exploration(Role.PLAYER)
test_what_a_manager_can_do_is_as_described = exploration(Role.MANAGER)
test_what_a_service_can_do_is_as_described = exploration(Role.SERVICE)
test_what_the_scheduler_can_do_is_as_described = exploration(Role.SCHEDULER)
