"""What can go wrong, each a fact with its HTTP status; `common.http` turns them into problem documents (RFC 9457).

The class name is the problem's stable `type`, the docstring its `title`; what varies comes as `detail` and members.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType


class Problem(Exception):
    """The request could not be served."""

    status = 500
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    @classmethod
    def type(cls) -> str:
        return "urn:watchledger:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or "").strip().rstrip(".")

    def document(self) -> dict[str, object]:
        """The members of the problem document."""
        document: dict[str, object] = {"type": self.type(), "title": self.title(), "status": self.status}
        if self.detail:
            document["detail"] = self.detail
        return document | self.members


class InternalError(Problem):
    """Something went wrong on our side."""


class MalformedJson(Problem):
    """The body is not JSON."""

    status = 400


class Unauthenticated(Problem):
    """A valid bearer token is needed."""

    status = 401
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="watchledger"'})


class TokenRejected(Unauthenticated):
    """The bearer token is not valid here."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="watchledger", error="invalid_token"'})


class RoleNotAllowed(Problem):
    """The caller's role may not do this."""

    status = 403


class PathNotFound(Problem):
    """Nothing answers at this path."""

    status = 404


class SessionNotFound(Problem):
    """There is no such session."""

    status = 404


class AttemptNotFound(Problem):
    """There is no such attempt."""

    status = 404


class UserNotFound(Problem):
    """There is no such user, or nothing is recorded of this user and lesson."""

    status = 404


class LessonNotFound(Problem):
    """There is no such lesson."""

    status = 404


class MethodNotAllowed(Problem):
    """This path does not answer to this method."""

    status = 405

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.headers = {"Allow": ", ".join(allowed)}


class SessionClosed(Problem):
    """The session was closed."""

    status = 409


class AttemptBelowThreshold(Problem):
    """Too little of the lesson was watched to complete the attempt."""

    status = 409


class SessionArchived(Problem):
    """The session's raw record was archived; it takes no more progress."""

    status = 410


class BodyTooLarge(Problem):
    """The body is too large."""

    status = 413


class NotJsonContent(Problem):
    """The body's media type must be application/json."""

    status = 415


class InvalidRequest(Problem):
    """The request has members that are not valid."""

    status = 422


class IdempotencyKeyReused(Problem):
    """The Idempotency-Key belongs to a different request."""

    status = 422


class DatabaseUnavailable(Problem):
    """The record cannot be reached at the moment; nothing was lost, try again."""

    status = 503
    headers = MappingProxyType({"Retry-After": "1"})


class ArchiveUnavailable(Problem):
    """The archive cannot be reached at the moment; nothing was lost, try again."""

    status = 503
    headers = MappingProxyType({"Retry-After": "60"})


class KeysUnavailable(Problem):
    """The keys to check tokens with cannot be reached at the moment; try again."""

    status = 503
    headers = MappingProxyType({"Retry-After": "2"})
