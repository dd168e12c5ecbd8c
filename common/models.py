"""What goes over the wire: requests imperative, answers participle, and nothing else.

Inside, a place or a length in the video is integer milliseconds and its name ends in `_ms`; on the wire it is a
number of seconds and its name ends in `Second`. These types turn one into the other and nothing else does.
"""

import math
import re
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    PrivateAttr,
    SkipValidation,
    StringConstraints,
    computed_field,
    model_validator,
)

DAY_S = 86_400
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def milliseconds(second: float) -> int:
    """Whole milliseconds of a number of seconds as it was written; half a millisecond rounds to even.

    >>> milliseconds(12.5), milliseconds(0.0015), milliseconds(1.0005)
    (12500, 2, 1000)
    """
    ms = second * 1000
    if abs(ms % 1 - 0.5) > 1e-4:
        return round(ms)
    return int((Decimal(repr(second)) * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))


def effective_ms(length_ms: int, speed: float) -> int:
    """The time a person spends on a length at a speed, in whole milliseconds; half a millisecond rounds to even.

    >>> effective_ms(10_000, 1.5), effective_ms(5, 2), effective_ms(15, 2)
    (6667, 2, 8)
    """
    divisor = round(speed * 10_000)
    quotient, remainder = divmod(length_ms * 10_000, divisor)
    return quotient + (2 * remainder > divisor or (2 * remainder == divisor and quotient % 2 == 1))


def ratio(number: float) -> float:
    """A ratio to six decimals, rounded down as the ratios are that it is compared with.

    >>> ratio(2 / 3), ratio(0.57)
    (0.666666, 0.57)
    """
    return float(Decimal(repr(number)).quantize(Decimal("0.000001"), ROUND_DOWN))


def wire_name(field: str) -> str:
    """The name of a field in JSON.

    >>> wire_name("max_verified_ms"), wire_name("client_event_id")
    ('maxVerifiedSecond', 'clientEventId')
    """
    first, *others = field.removesuffix("_ms").split("_")
    return first + "".join(word.capitalize() for word in others) + ("Second" if field.endswith("_ms") else "")


def without_control_characters(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("String should have no control characters")
    return text


def rfc_3339(text: object) -> object:
    if not isinstance(text, str) or not RFC_3339.fullmatch(text):
        raise ValueError("Input should be a moment with its offset, as RFC 3339 writes it: 2026-01-31T09:30:00Z")
    return text


def storable(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if not is_storable(content):
        raise ValueError("Input should have no NUL, NaN or Infinity in it")
    return content


def is_storable(value: object) -> bool:
    """Whether PostgreSQL's jsonb takes it."""
    match value:
        case str():
            return "\0" not in value
        case float():
            return math.isfinite(value)
        case dict():
            return all(is_storable(part) for part in (*value, *value.values()))
        case list():
            return all(is_storable(part) for part in value)
    return True


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Milliseconds = PlainSerializer(int, return_type=int)  # for the statements; requests never go back over the wire
Place = Annotated[Number, Field(ge=0, le=DAY_S), AfterValidator(milliseconds), Milliseconds]
Duration = Annotated[Number, Field(ge=0.001, le=DAY_S), AfterValidator(milliseconds), Milliseconds]
Speed = Annotated[Number, Field(ge=0.0625, le=16), AfterValidator(lambda speed: round(speed, 4))]
Ratio = Annotated[Number, Field(ge=0, le=1), AfterValidator(ratio)]
Days = Annotated[Number, Field(ge=0, le=3660, multiple_of=1), AfterValidator(int)]  # 365.0 is whole in JSON, too
Printable = AfterValidator(without_control_characters)
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128), Printable]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200), Printable]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255), Printable]
Moment = Annotated[
    AwareDatetime,
    Field(strict=False, ge=datetime(1, 1, 2, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),  # in every time zone
    BeforeValidator(rfc_3339),
    AfterValidator(lambda moment: moment.astimezone(UTC)),  # PostgreSQL takes offsets of up to 15:59 only
]

Second = Annotated[int, PlainSerializer(lambda ms: ms / 1000, return_type=float)]
Ranges = Annotated[
    list[tuple[int, int]],
    PlainSerializer(lambda parts: [(a / 1000, b / 1000) for a, b in parts], return_type=list[tuple[float, float]]),
]

SessionStatus = Literal["open", "stale", "closed"]
AttemptStatus = Literal["active", "completed"]
SeekPolicy = Literal["free", "flag", "block"]
IntegrityPolicy = Literal["flag", "exclude"]
Integrity = Literal["plausible", "exceeds_wall_clock"]
WhyNot = Literal["unassigned", "integrity"]
WaitingFor = Literal[
    "open_sessions",  # a session may still be watched
    "late_data",  # something came while it was being archived: the next run begins with that
    "totals_differ",  # a session's totals are not what its raw rows come to: see infra.recount
    "not_read_back",  # the store does not give back what was written
    "partly_archived",  # not all of its sessions are archived, or at different moments
    "in_use",  # somebody uses the tables for longer than the others may be kept waiting
]


class Request(BaseModel):
    """What a caller asks; a member that is not known is an error, not ignored."""

    model_config = ConfigDict(alias_generator=wire_name, extra="forbid", strict=True, frozen=True, defer_build=True)


class Answer(BaseModel):
    """What the service answers."""

    model_config = ConfigDict(alias_generator=wire_name, populate_by_name=True, frozen=True, defer_build=True)
    http_status: ClassVar[int] = 200


class StartSession(Request):
    user_id: Identifier
    lesson_id: Identifier
    is_assigned: bool = False
    client_info: Annotated[dict[str, JsonValue], AfterValidator(storable)] | None = None
    started_at: Moment | None = None


class Segment(Request):
    """A stretch of the video that was really played, at one speed."""

    client_event_id: UUID
    start_ms: Place
    end_ms: Place
    speed: Speed = 1.0
    occurred_at: Moment | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def effective_ms(self) -> int:
        return effective_ms(int(self.end_ms - self.start_ms), self.speed)

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> "Segment":
        if self.end_ms <= self.start_ms:
            raise ValueError("endSecond should be at least a millisecond after startSecond")
        return self


class Seek(Request):
    """A jump of the playhead."""

    from_ms: Place
    to_ms: Place
    allowed: bool = True
    reason: Reason | None = None
    client_event_id: UUID | None = None
    occurred_at: Moment | None = None


class Rejected(Answer):
    """An item that was refused alone."""

    pointer: str
    client_event_id: str | None
    detail: str


class RecordProgress(Request):
    """What was played and where the playhead jumped; at most 500 items. Without any it is a sign of life."""

    MAX_ITEMS: ClassVar[int] = 500
    ITEMS: ClassVar[set[str]] = {"segments", "seeks"}
    TOO_LONG: ClassVar[str] = f"segments and seeks should have at most {MAX_ITEMS} items together"

    segments: list[Segment] = Field(default=[], max_length=MAX_ITEMS)
    seeks: list[Seek] = Field(default=[], max_length=MAX_ITEMS)
    _rejected: list[Rejected] = PrivateAttr(default=[])  # copied for each

    @property
    def rejected(self) -> list[Rejected]:
        """The items that were refused, each alone, while the body was read."""
        return self._rejected

    def without(self, rejected: list[Rejected]) -> Self:
        """The same request, knowing what was refused of it."""
        self._rejected.extend(rejected)
        return self

    @model_validator(mode="after")
    def is_not_too_long(self) -> "RecordProgress":
        if len(self.segments) + len(self.seeks) > self.MAX_ITEMS:
            raise ValueError(self.TOO_LONG)
        return self


class BulkItem(RecordProgress):
    """What was buffered for one session."""

    session_id: UUID
    close: bool = False


class RecordBulkProgress(Request):
    """What an offline client buffered, at most 50 sessions; each item is read and answered on its own."""

    items: list[SkipValidation[BulkItem]] = Field(min_length=1, max_length=50)


class SetLesson(Request):
    """A lesson's whole policy: what is left out takes its default."""

    duration_ms: Duration | None = None
    seek_policy: SeekPolicy = "flag"
    skip_threshold_ms: Place = 5_000
    completion_threshold: Ratio | None = None
    credit_window_days: Days = 365
    max_credit_ratio: Ratio = 1.0
    integrity_policy: IntegrityPolicy = "flag"


class AssignLesson(Request):
    """When the lesson was assigned, if not now; the credit's window ends there."""

    assigned_at: Moment | None = None


class HistoryQuery(Request):
    """Which part of a user's unassigned history is asked for."""

    model_config = ConfigDict(strict=False)

    lesson_id: Identifier | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None


class EngagementQuery(Request):
    """Into how many parts a lesson is cut at most."""

    model_config = ConfigDict(strict=False)

    buckets: Annotated[int, Field(ge=1, le=200)] = 100


class SessionStarted(Answer):
    http_status: ClassVar[int] = 201

    session_id: UUID
    attempt_id: UUID
    message: str
    attempt_no: int
    is_assigned: bool
    resume_ms: Second | None
    max_verified_ms: Second
    coverage_ratio: float | None
    seek_policy: SeekPolicy


class SessionReplayed(SessionStarted):
    """The session that the same Idempotency-Key opened before."""

    http_status: ClassVar[int] = 200


class ProgressRecorded(Answer):
    """What was done with each item, and the attempt's totals with this session live."""

    session_id: UUID
    attempt_id: UUID
    status: SessionStatus
    late: bool
    accepted: int
    duplicates: int
    conflicts: list[UUID]
    rejected: list[Rejected]
    coverage_ms: Second
    effective_ms: Second
    max_verified_ms: Second
    resume_ms: Second | None
    seek_policy: SeekPolicy


class SessionTouched(Answer):
    session_id: UUID
    status: SessionStatus
    last_heartbeat_at: datetime


class SessionEnded(Answer):
    session_id: UUID
    status: SessionStatus
    attempt_id: UUID
    coverage_ms: Second
    effective_ms: Second
    coverage_ratio: float | None
    max_verified_ms: Second


class AttemptCompleted(Answer):
    attempt_id: UUID
    status: AttemptStatus
    completed_at: datetime
    coverage_ratio: float | None
    coverage_ms: Second
    effective_ms: Second


class Attempt(Answer):
    attempt_id: UUID
    attempt_no: int
    status: AttemptStatus
    is_assigned: bool
    started_at: datetime
    completed_at: datetime | None


class Aggregates(Answer):
    """The attempt's totals at this moment, open sessions included; completing is judged by `completionRatio`."""

    coverage_ms: Second
    effective_ms: Second
    coverage_ratio: float | None
    max_verified_ms: Second
    resume_ms: Second | None
    watched_ranges: Ranges
    missing_ranges: Ranges | None
    integrity: Integrity
    exceeds_wall_clock_ms: Second
    completion_ratio: float | None
    completion_threshold: float | None


class SessionSummary(Answer):
    session_id: UUID
    status: SessionStatus
    started_at: datetime
    last_heartbeat_at: datetime
    closed_at: datetime | None
    coverage_ms: Second
    effective_ms: Second
    skip_count: int
    integrity: Integrity


class Progress(Answer):
    user_id: str
    lesson_id: str
    duration_ms: Second | None
    attempt: Attempt
    aggregates: Aggregates
    sessions: list[SessionSummary]


class UnassignedSession(Answer):
    lesson_id: str
    attempt_id: UUID
    session_id: UUID
    status: SessionStatus
    started_at: datetime
    closed_at: datetime | None
    coverage_ms: Second
    effective_ms: Second
    credited_attempt_id: UUID | None


class UnassignedHistory(Answer):
    items: list[UnassignedSession]
    next_cursor: UUID | None


class Skip(Answer):
    from_ms: Second
    to_ms: Second
    skipped_ms: Second
    still_unwatched_ms: Second
    allowed: bool
    reason: str | None
    occurred_at: datetime


class SkipsSummarized(Answer):
    session_id: UUID
    seek_count: int
    skip_count: int
    disallowed_count: int
    skipped_ms: Second
    still_unwatched_ms: Second
    skips: list[Skip]


class Lesson(Answer):
    lesson_id: str
    duration_ms: Second | None
    seek_policy: SeekPolicy
    skip_threshold_ms: Second
    completion_threshold: float | None
    credit_window_days: int
    max_credit_ratio: float
    integrity_policy: IntegrityPolicy


class EvidentSkip(Answer):
    """A seek that was a skip, or was not allowed."""

    from_ms: Second
    to_ms: Second
    skipped_ms: Second
    still_unwatched_ms: Second
    is_skip: bool
    allowed: bool
    reason: str | None
    occurred_at: datetime
    received_at: datetime


class EvidentSession(Answer):
    """A session that was opened in an attempt or credited to it; `skips` is null once its raw record is archived."""

    session_id: UUID
    attempt_id: UUID
    attempt_no: int
    status: SessionStatus
    is_assigned: bool
    credited_attempt_id: UUID | None
    is_archived: bool
    started_at: datetime
    ended_at: datetime | None
    last_heartbeat_at: datetime
    client_info: dict[str, JsonValue] | None
    coverage_ms: Second
    effective_ms: Second
    wall_clock_ms: Second
    integrity: Integrity
    exceeds_wall_clock_ms: Second
    coverage: Ranges
    rewatched: Ranges
    seek_count: int
    skip_count: int
    counts: bool
    why_not: WhyNot | None
    skips: list[EvidentSkip] | None


class Shortfall(Answer):
    """What an attempt lacks to be completed."""

    threshold_ratio: float | None
    completion_ratio: float | None
    short_ms: Second | None
    unwatched: Ranges | None


class EvidentAttempt(Answer):
    attempt_id: UUID
    attempt_no: int
    status: AttemptStatus
    is_assigned: bool
    started_at: datetime
    completed_at: datetime | None
    coverage_ms: Second
    coverage_ratio: float | None
    effective_ms: Second
    max_verified_ms: Second
    resume_ms: Second | None
    coverage: Ranges
    rewatched: Ranges
    skipped: Ranges
    missing: Shortfall
    credited_ms: Second
    integrity: Integrity
    exceeds_wall_clock_ms: Second
    sessions: list[EvidentSession]


class Evidence(Answer):
    """What is known of a user at a lesson: the latest 20 attempts, and what belongs to them of the latest 100 sessions.

    `truncated` when there are more.
    """

    user_id: str
    lesson_id: str
    duration_ms: Second | None
    policy: Lesson
    is_assigned: bool
    attempts: list[EvidentAttempt]
    truncated: bool


class Bucket(Answer):
    """A part of a lesson: how many learners watched it, each by the share of it that they did."""

    start_ms: Second
    end_ms: Second
    watched: float
    rewatched: float
    skipped: float


class EngagementSummarized(Answer):
    """How a lesson was watched, by everybody together."""

    lesson_id: str
    duration_ms: Second | None
    learners: int
    completed: int
    average_coverage_ratio: float | None
    bucket_ms: Second | None
    buckets: list[Bucket]


class LessonAssigned(Answer):
    """The assigned attempt, and what of it is credit."""

    attempt_id: UUID
    attempt_no: int
    credited_sessions: list[UUID]
    credited_ms: Second
    coverage_ratio: float | None


class LessonUnassigned(Answer):
    """The latest attempt that is left, null if none is; there is no credit any more."""

    attempt_id: UUID | None
    attempt_no: int | None
    credited_sessions: list[UUID]
    credited_ms: Second
    coverage_ratio: float | None


class SessionsSwept(Answer):
    """What a sweep did: sessions that fell silent, those that could not be had this time, whether some are left."""

    stale: int
    postponed: int
    more_to_do: bool


class PartitionsMaintained(Answer):
    """What upkeep found and did: it is late when a month lacks that it should have made two days ago."""

    months_made: list[str]
    months_ahead: int  # that were there when it began
    late_by: int  # months
    rows_in_default: int  # that were there when it began
    rows_moved: int
    more_to_do: bool


class MonthWaiting(Answer):
    """A month that is due and was not archived, or not dropped."""

    month: str
    reason: WaitingFor


class MonthsArchived(Answer):
    """What a run did: months that are in the archive only, rows that were written to it and compared."""

    months: list[str]
    segments: int
    seeks: int
    bytes: int
    waiting: list[MonthWaiting]
    more_to_do: bool


class BulkResult(Answer):
    """A session's progress answer, or its problem document, with the HTTP status that it would have had alone."""

    model_config = ConfigDict(extra="allow")

    session_id: str | None
    status: int


class BulkRecorded(Answer):
    results: list[BulkResult]
