"""Is a response what the OpenAPI document says? Asked of every response that a test gets through `conftest.send`."""

from functools import cache
from typing import Any

import jsonschema_rs
from werkzeug.wrappers import Response

from infra import openapi


@cache
def document() -> Any:
    """The document; None while the glossary is behind the code, which tests/infra/test_openapi.py tells."""
    try:
        return openapi.document()
    except openapi.Unexplained:
        return None


@cache
def validator(place: str) -> Any:
    """Of the schema at a place in the document, `paths / … / schema`."""
    part = document()
    for name in place.split(" / "):
        part = part[name]
    return jsonschema_rs.validator_for({**part, "components": document()["components"]})


def problems(method: str, path: str, response: Response) -> list[str]:
    """What of a response is not as described; the path is the route's, `/video/sessions/{sessionId}`."""
    if document() is None:
        return []
    operation = document()["paths"].get(path, {}).get("get" if method == "HEAD" else method.lower())
    status = str(response.status_code)
    if operation is None:
        return [] if status == "405" and "Allow" in response.headers else [f"{method} {path} is not described"]
    if status not in operation["responses"]:
        return [f"{method} {path}: the status {status} is not described"]
    place = f"paths / {path} / {'get' if method == 'HEAD' else method.lower()} / responses / {status}"
    described = operation["responses"][status]
    if reference := described.get("$ref"):
        place = reference.removeprefix("#/").replace("/", " / ")
        described = document()["components"]["responses"][reference.rpartition("/")[2]]
    return [*of_headers(place, described, response), *of_content(place, described, response, method)]


def of_headers(place: str, described: Any, response: Response) -> list[str]:
    found = []
    for name, header in described.get("headers", {}).items():
        text = response.headers.get(name, "")
        value = int(text) if header["schema"].get("type") == "integer" and text.isdecimal() else text
        if not validator(f"{place} / headers / {name} / schema").is_valid(value):
            found.append(f"{place}: the header {name} is {text!r}")
    return found


def of_content(place: str, described: Any, response: Response, method: str) -> list[str]:
    if method == "HEAD" or "content" not in described:
        return [f"{place}: there is a body"] if response.data else []
    [media_type] = described["content"]
    if response.content_type != media_type:
        return [f"{place}: the media type is {response.content_type}"]
    errors = validator(f"{place} / content / {media_type} / schema").iter_errors(response.get_json())
    return [f"{place}: {error.message} at {error.instance_path}" for error in errors]
