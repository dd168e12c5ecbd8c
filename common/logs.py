"""One JSON line per request, in the shape that Cloud Logging reads.

A user appears as a keyed hash: the same person is the same word in every line, and nobody can read who it is.
"""

import hashlib
import hmac
import random
import re
import secrets
import sys
import traceback
from dataclasses import dataclass
from functools import cache, lru_cache

from pydantic_core import to_json

from common.config import WrongSetting, log_settings
from common.errors import Problem

# An id of zeros only is none, and there is no version ff.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
CLOUD_TRACE = re.compile(r"(?!0{32})([0-9a-f]{32})(?:/([0-9]{1,20}))?(?:;o=([01]))?")


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a request belongs: ids in hex, as W3C Trace Context has them."""

    trace_id: str
    span_id: str | None = None
    sampled: bool = False

    @staticmethod
    def of(traceparent: str | None, cloud_trace: str | None) -> "Trace":
        """From the `traceparent` or the `X-Cloud-Trace-Context` header; a new one when neither says.

        >>> Trace.of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None).span_id
        '00f067aa0ba902b7'
        >>> Trace.of(None, "4bf92f3577b34da6a3ce929d0e0e4736/1;o=1")
        Trace(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='0000000000000001', sampled=True)
        """
        if traceparent and (found := TRACEPARENT.fullmatch(traceparent)):
            return Trace(found[1], found[2], bool(int(found[3], 16) & 1))
        if cloud_trace and (found := CLOUD_TRACE.fullmatch(cloud_trace)):
            return Trace(found[1], f"{int(found[2]) & (2**64 - 1):016x}" if found[2] else None, found[3] == "1")
        return Trace(f"{random.getrandbits(128):032x}")


def request(
    *,
    function: str,
    trace: Trace,
    method: str,
    url: str,
    status: int,
    seconds: float,
    request_size: int,
    response_size: int,
    user_agent: str | None,
    user_id: str | None,
    role: str | None,
    problem: str | None,
    cause: BaseException | None,
) -> None:
    """Write the line of a request; `url` has no user in it, `cause` is told by its types and place, see `causes`."""
    line: dict[str, object] = {
        "severity": "ERROR" if status >= 500 else "INFO",
        "message": f"{method} {url} {status}",
        "httpRequest": {
            "requestMethod": method,
            "requestUrl": url,
            "status": status,
            "latency": f"{seconds:.6f}s",
            "requestSize": str(request_size),
            "responseSize": str(response_size),
            "userAgent": user_agent,
        },
        "function": function,
        "user": pseudonym(user_id) if user_id else None,
        "role": role,
        "problem": problem,
        "logging.googleapis.com/trace": trace_name(trace.trace_id),
        "logging.googleapis.com/spanId": trace.span_id,
        "logging.googleapis.com/trace_sampled": trace.sampled,
    }
    if cause is not None:
        line["cause"] = causes(cause)
        line["stack"] = "".join(traceback.format_tb(cause.__traceback__))
    write(line)


def warning(function: str, message: str, **members: object) -> None:
    """Write a line that somebody should look at; a metric may be made of its members."""
    write({"severity": "WARNING", "message": message, "function": function, **members})


def write(line: dict[str, object]) -> None:
    """One line, in one piece, at once."""
    text = to_json({key: value for key, value in line.items() if value is not None}, ensure_ascii=True)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def causes(error: BaseException) -> list[str]:
    """What went wrong, outermost first: types, the words of ours, PostgreSQL's message without the row's values."""
    told = []
    current: BaseException | None = error
    while current is not None:
        match current:
            case BaseException(args=({"C": state, "M": message}, *_)):
                words = f" {state} {message}"
            case Problem(detail=str(words)) | WrongSetting(args=(str(words),)):
                words = f" {words}"
            case _:
                words = ""
        told.append(type(current).__name__ + words)
        current = current.__cause__
    return told


def trace_name(trace_id: str) -> str:
    project = log_settings().google_cloud_project
    return f"projects/{project}/traces/{trace_id}" if project else trace_id


@cache
def pseudonym_key() -> bytes:
    """The deployment's key; without one, a new one per process: then lines of two processes don't match."""
    return (log_settings().log_pseudonym_key or secrets.token_hex()).encode()


@lru_cache(maxsize=4096)
def pseudonym(user_id: str) -> str:
    return hmac.digest(pseudonym_key(), user_id.encode(), hashlib.sha256).hex()[:16]
