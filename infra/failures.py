"""What can go wrong outside a program, told to whoever runs it in a line instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from common import db
from common.config import WrongSetting
from common.errors import Problem
from infra import postgres

FAILURES = (
    Problem,
    WrongSetting,
    ValueError,
    *db.FAILURES,
    postgres.BinariesNotFound,
    postgres.ClusterInUse,
    postgres.ServerDidNotStart,
)


@contextmanager
def told_in_a_line(program: str) -> Iterator[None]:
    """End the program with exit code 1 and a line on standard error if one of FAILURES is raised."""
    try:
        yield
    except FAILURES as failure:
        raise SystemExit(f"{program}: {told(failure)}") from failure


def told(failure: BaseException) -> str:
    """A failure in words: what PostgreSQL said, or else what was wrong and what was behind it."""
    words = []
    cause: BaseException | None = failure
    while cause is not None:
        match cause:
            case db.DatabaseError(args=({"M": message}, *_)):
                return f"PostgreSQL says: {message}"
            case Problem():
                words.append(cause.detail or cause.title())
            case _:
                words.append(str(cause) or type(cause).__name__)
        cause = cause.__cause__
    return ": ".join(words)
