"""The peer: the same endpoint as a good engineer writes it in a day, with FastAPI and asyncpg.

The same tables and durability, the same checks of each field, the same totals in the answer, a line of log per request;
one transaction of several statements on the session's locked row. Where it differs, that favours it: it remembers
verified tokens as we do, refuses a whole body for one bad item, and knows nothing of conflicts, late data, ended or
archived sessions, or lost connections.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from common.config import settings

Place = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)]
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Segment(Model):
    client_event_id: UUID
    start_second: Place
    end_second: Place
    speed: Annotated[float, Field(strict=True, ge=0.0625, le=16, allow_inf_nan=False)] = 1.0
    occurred_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> "Segment":
        if self.end_second <= self.start_second:
            raise ValueError("endSecond must be after startSecond")
        return self


class Seek(Model):
    from_second: Place
    to_second: Place
    allowed: bool = True
    reason: Reason | None = None
    client_event_id: UUID = Field(default_factory=uuid4)
    occurred_at: AwareDatetime | None = None


class RecordProgress(Model):
    segments: list[Segment] = Field(default=[], max_length=500)
    seeks: list[Seek] = Field(default=[], max_length=500)

    @model_validator(mode="after")
    def is_not_too_long(self) -> "RecordProgress":
        if len(self.segments) + len(self.seeks) > 500:
            raise ValueError("at most 500 items")
        return self


class ProgressRecorded(Model):
    session_id: UUID
    attempt_id: UUID
    status: str
    late: bool
    accepted: int
    duplicates: int
    conflicts: list[UUID]
    rejected: list[str]
    coverage_second: float
    effective_second: float
    max_verified_second: float
    resume_second: float | None
    seek_policy: str


class SessionTouched(Model):
    session_id: UUID
    status: str
    last_heartbeat_at: datetime


LOCK_SESSION = """
SELECT s.attempt_id, s.status, s.is_assigned, s.coverage, l.duration_ms, l.seek_policy, l.skip_threshold_ms,
       a.coverage AS attempt_coverage, a.effective_ms AS attempt_effective_ms
FROM watch_session s
JOIN lesson_attempt a ON a.attempt_id = s.attempt_id AND a.user_id = s.user_id
JOIN lesson l ON l.lesson_id = s.lesson_id
WHERE s.session_id = $1 AND s.user_id = $2
FOR NO KEY UPDATE OF s
"""

INSERT_SEGMENTS = """
INSERT INTO watch_segment (session_id, user_id, client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at,
                           recorded_at)
SELECT $1, $2, id, start_ms, end_ms, effective_ms, speed, occurred_at, now()
FROM unnest($3::uuid[], $4::int[], $5::int[], $6::int[], $7::float8[], $8::timestamptz[])
     AS new (id, start_ms, end_ms, effective_ms, speed, occurred_at)
ON CONFLICT DO NOTHING
RETURNING start_ms, end_ms, effective_ms, occurred_at
"""

INSERT_SEEKS = """
INSERT INTO seek_event (session_id, user_id, client_event_id, from_ms, to_ms, allowed, reason, occurred_at, recorded_at,
                        skipped_ms, is_skip)
SELECT $1, $2, id, from_ms, to_ms, allowed AND (skipped_ms <= 1000 OR $11), CASE
           WHEN skipped_ms <= 1000 OR $11 THEN reason ELSE coalesce(reason, $12) END,
       occurred_at, now(), skipped_ms, skipped_ms > $10
FROM (
    SELECT new.*, CASE WHEN to_ms > from_ms
        THEN length_ms(int4multirange(int4range(from_ms, to_ms)) - $9::int4multirange) ELSE 0 END AS skipped_ms
    FROM unnest($3::uuid[], $4::int[], $5::int[], $6::bool[], $7::text[], $8::timestamptz[])
         AS new (id, from_ms, to_ms, allowed, reason, occurred_at)
) AS judged
ON CONFLICT DO NOTHING
RETURNING is_skip
"""

UPDATE_SESSION = """
UPDATE watch_session
SET coverage = coverage + $3::int4multirange,
    effective_ms = effective_ms + $4,
    segment_count = segment_count + $5,
    seek_count = seek_count + $6,
    skip_count = skip_count + $7,
    exceeds_wall_clock_ms = greatest(exceeds_wall_clock_ms,
        effective_ms + $4 - 30000 - floor(extract(epoch FROM now() - started_at) * 1000)::bigint),
    last_position_ms = coalesce($8, last_position_ms),
    last_position_at = coalesce($9, last_position_at),
    last_heartbeat_at = now()
WHERE session_id = $1 AND user_id = $2
RETURNING status, effective_ms, last_position_ms,
          length_ms(clip($10::int4multirange + coverage, $11)) AS coverage_ms,
          verified_ms(clip($10::int4multirange + coverage, $11)) AS max_verified_ms
"""

TOUCH_SESSION = """
UPDATE watch_session SET last_heartbeat_at = now()
WHERE session_id = $1 AND user_id = $2 AND status = 'open'
RETURNING session_id, status, last_heartbeat_at
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(settings().database_url, min_size=8, max_size=8) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)
keys = jwt.PyJWKClient(settings().jwks_url)


@lru_cache(maxsize=4096)
def verified(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256", "ES256"],
        issuer=settings().jwt_issuer,
        audience=settings().jwt_audience,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    return claims


async def player(authorization: Annotated[str, Header()]) -> str:
    """The player who calls."""
    try:
        claims = verified(authorization.removeprefix("Bearer "))
    except jwt.PyJWTError as error:
        raise HTTPException(401, str(error)) from None
    if claims["exp"] < time() or claims.get("role") != "player":
        raise HTTPException(401, "The token has expired, or is no player's")
    return str(claims["sub"])


Player = Annotated[str, Depends(player)]


@app.post("/video/sessions/{session_id}/progress")
async def record_progress(
    session_id: UUID, body: RecordProgress, user_id: Player, request: Request
) -> ProgressRecorded:
    now = datetime.now(UTC)
    segments, seeks = body.segments, body.seeks
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        session = await connection.fetchrow(LOCK_SESSION, session_id, user_id)
        if session is None:
            raise HTTPException(404, "There is no such session")
        if session["status"] != "open":
            raise HTTPException(409, "The session has ended")
        stored = await connection.fetch(
            INSERT_SEGMENTS,
            session_id,
            user_id,
            [segment.client_event_id for segment in segments],
            [round(segment.start_second * 1000) for segment in segments],
            [round(segment.end_second * 1000) for segment in segments],
            [
                round((round(segment.end_second * 1000) - round(segment.start_second * 1000)) / segment.speed)
                for segment in segments
            ],
            [segment.speed for segment in segments],
            [segment.occurred_at or now for segment in segments],
        )
        gained = [asyncpg.Range(row["start_ms"], row["end_ms"]) for row in stored]
        jumped = []
        if seeks:
            jumped = await connection.fetch(
                INSERT_SEEKS,
                session_id,
                user_id,
                [seek.client_event_id for seek in seeks],
                [round(seek.from_second * 1000) for seek in seeks],
                [round(seek.to_second * 1000) for seek in seeks],
                [seek.allowed for seek in seeks],
                [seek.reason for seek in seeks],
                [seek.occurred_at or now for seek in seeks],
                [*session["attempt_coverage"], *session["coverage"], *gained],
                session["skip_threshold_ms"],
                session["is_assigned"] and session["seek_policy"] == "free",
                "policy_violation" if session["is_assigned"] else "beyond_verified",
            )
        latest = max(stored, key=lambda row: (row["occurred_at"], row["end_ms"]), default=None)
        updated = await connection.fetchrow(
            UPDATE_SESSION,
            session_id,
            user_id,
            gained,
            sum(row["effective_ms"] for row in stored),
            len(stored),
            len(jumped),
            sum(row["is_skip"] for row in jumped),
            latest and latest["end_ms"],
            latest and latest["occurred_at"],
            session["attempt_coverage"],
            session["duration_ms"],
        )
    accepted = len(stored) + len(jumped)
    return ProgressRecorded(
        session_id=session_id,
        attempt_id=session["attempt_id"],
        status=updated["status"],
        late=False,
        accepted=accepted,
        duplicates=len(segments) + len(seeks) - accepted,
        conflicts=[],
        rejected=[],
        coverage_second=updated["coverage_ms"] / 1000,
        effective_second=(session["attempt_effective_ms"] + updated["effective_ms"]) / 1000,
        max_verified_second=updated["max_verified_ms"] / 1000,
        resume_second=None if updated["last_position_ms"] is None else updated["last_position_ms"] / 1000,
        seek_policy=session["seek_policy"],
    )


@app.put("/video/sessions/{session_id}/heartbeat")
async def touch_session(session_id: UUID, user_id: Player, request: Request) -> SessionTouched:
    row = await request.app.state.pool.fetchrow(TOUCH_SESSION, session_id, user_id)
    if row is None:
        raise HTTPException(404, "There is no such open session")
    return SessionTouched(**dict(row))
