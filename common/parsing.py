"""From JSON to a request: refused whole when it is wrong as a whole, item by item where one item is."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from common.errors import InvalidRequest, MalformedJson
from common.models import RecordProgress, Rejected, Request

# Whoever cuts a text by UTF-16 may leave half a character, which is no JSON to others. The first group is all else.
HALF_A_CHARACTER = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
)
REPLACEMENT_CHARACTER = rb"\ufffd"

R = TypeVar("R", bound=Request)


def parse(model: type[R], raw: bytes) -> R:
    """A request from its JSON. Items of a progress that are bad are refused alone and listed in `rejected`.

    Raises:
        MalformedJson: it is not JSON.
        InvalidRequest: it is wrong as a whole; `errors` points at each place.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        whole = HALF_A_CHARACTER.sub(lambda found: found[1] or REPLACEMENT_CHARACTER, raw)
        if whole != raw:
            return parse(model, whole)
        raise MalformedJson(errors[0]["msg"])
    if not issubclass(model, RecordProgress) or not all(is_of_item(error) for error in errors):
        raise InvalidRequest(errors=[{"pointer": pointer(e["loc"]), "detail": detail(e)} for e in errors])
    content = from_json(raw)
    if sum(len(content.get(name, ())) for name in RecordProgress.ITEMS) > RecordProgress.MAX_ITEMS:
        raise InvalidRequest(errors=[{"pointer": "", "detail": RecordProgress.TOO_LONG}])
    firsts: dict[tuple[int | str, ...], ErrorDetails] = {}
    for found in errors:
        firsts.setdefault(found["loc"][:2], found)
    rejected = [
        Rejected(
            pointer=pointer(first["loc"]),
            client_event_id=event_id(content[name][place]),
            detail=detail(first),
        )
        for (name, place), first in firsts.items()
    ]
    for name in RecordProgress.ITEMS & content.keys():
        content[name] = [item for place, item in enumerate(content[name]) if (name, place) not in firsts]
    return parse(model, to_json(content, inf_nan_mode="constants")).without(rejected)


def parse_query(model: type[R], parameters: Mapping[str, str]) -> R:
    """A request from the parameters of a query string.

    Raises:
        InvalidRequest: some are not of their type, or not known; `errors` names each.
    """
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise InvalidRequest(
            errors=[{"parameter": str(e["loc"][0]), "detail": detail(e)} for e in error.errors()]
        ) from None


def is_of_item(error: ErrorDetails) -> bool:
    location = error["loc"]
    return len(location) > 1 and location[0] in RecordProgress.ITEMS


def event_id(item: Any) -> str | None:
    """What a refused item was called, if it says so at all."""
    name = item.get("clientEventId") if isinstance(item, dict) else None
    return name[:128] if isinstance(name, str) else None


def detail(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def pointer(location: Iterable[int | str]) -> str:
    """A JSON Pointer (RFC 6901).

    >>> pointer(("segments", 3, "a/b"))
    '/segments/3/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def checked(adapter: TypeAdapter[str], text: str | bytes, name: str) -> str:
    """A parameter of the path or a header; bytes are UTF-8.

    Raises:
        InvalidRequest: it is not of its type.
    """
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise InvalidRequest(errors=[{"parameter": name, "detail": detail(e)} for e in error.errors()]) from None
