"""Who may do what: every route, every kind of caller, every way in which a token can be wrong."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import TestResponse

from common import auth
from infra import functions
from tests.conftest import (
    AUDIENCE,
    ISSUER,
    SCHEDULER_ACCOUNT,
    SIGNING_KEY,
    Person,
    Viewer,
    run,
    seek,
    segment,
    send,
    token,
)

# What each gets for a request about the owner's session, attempt and lesson. `other` is another player.
# fmt: off
MATRIX = {
    #                                                                 nobody owner other manager service scheduler
    "POST /video/sessions":                                           (401,  201,  404,   403,    201,    403),
    "POST /video/sessions/{sessionId}/progress":                      (401,  200,  404,   403,    200,    403),
    "POST /video/progress/bulk":                                      (401,  200,  404,   403,    200,    403),
    "PUT /video/sessions/{sessionId}/heartbeat":                      (401,  200,  404,   403,    200,    403),
    "PUT /video/sessions/{sessionId}/close":                          (401,  200,  404,   403,    200,    403),
    "POST /video/sessions/{sessionId}/close":                         (401,  200,  404,   403,    200,    403),
    "PUT /video/attempts/{attemptId}/complete":                       (401,  200,  404,   403,    200,    403),
    "GET /video/users/{userId}/lessons/{lessonId}/progress":          (401,  200,  404,   200,    200,    403),
    "GET /video/users/{userId}/lessons/{lessonId}/evidence":          (401,  200,  404,   200,    200,    403),
    "GET /video/lessons/{lessonId}/engagement":                       (401,  403,  403,   200,    200,    403),
    "GET /video/users/{userId}/unassigned-history":                   (401,  200,  404,   200,    200,    403),
    "GET /video/sessions/{sessionId}/skip-analytics":                 (401,  200,  404,   200,    200,    403),
    "GET /video/lessons/{lessonId}":                                  (401,  200,  200,   200,    200,    403),
    "PUT /video/lessons/{lessonId}":                                  (401,  403,  403,   403,    200,    403),
    "PUT /video/users/{userId}/lessons/{lessonId}/assignment":        (401,  403,  403,   403,    200,    403),
    "DELETE /video/users/{userId}/lessons/{lessonId}/assignment":     (401,  403,  403,   403,    200,    403),
    "POST /jobs/sweep-stale-sessions":                                (401,  403,  403,   403,    403,    200),
    "POST /jobs/maintain-partitions":                                 (401,  403,  403,   403,    403,    200),
    "POST /jobs/archive-segments":                                    (401,  403,  403,   403,    403,    200),
}
# fmt: on
CALLERS = ("nobody", "owner", "other", "manager", "service", "scheduler")

BODIES: dict[str, Callable[[Viewer], Any]] = {
    "POST /video/sessions": lambda owner: {"userId": owner.user_id, "lessonId": owner.lesson_id},
    "POST /video/sessions/{sessionId}/progress": lambda owner: {"segments": [segment(60, 70)], "seeks": [seek(70, 90)]},
    "POST /video/progress/bulk": lambda owner: {
        "items": [{"sessionId": owner.session_id, "segments": [segment(60, 70)], "close": True}]
    },
    "POST /video/sessions/{sessionId}/close": lambda owner: {"segments": [segment(60, 70)]},
    "PUT /video/lessons/{lessonId}": lambda owner: {"durationSecond": 50},
}


def test_the_matrix_has_every_route_and_no_other() -> None:
    routes = {
        f"{method} {function.endpoint.path}"
        for function in functions.load_all().values()
        for method in function.endpoint.methods
        if method != "HEAD"
    }

    assert set(MATRIX) == routes


@pytest.fixture
def owner(viewer: Viewer) -> Viewer:
    """A viewer with something to lose."""
    viewer.record(segment(0, 50), seeks=[seek(50, 60)])
    return viewer


def bearer_of(caller: str, owner: Viewer) -> str | None:
    match caller:
        case "nobody":
            return None
        case "owner":
            return owner.bearer
        case "scheduler":
            return token("scheduler", email=SCHEDULER_ACCOUNT, email_verified=True)
    return Person(role="player" if caller == "other" else caller).bearer


def ask(route: str, owner: Viewer, authorization: str | None, **ids: str) -> TestResponse:
    """A request about what is the owner's, or about other ids."""
    method, path = route.split()
    known = {"userId": owner.user_id, "lessonId": owner.lesson_id}
    known |= {"sessionId": owner.session_id, "attemptId": owner.attempt_id}
    body = BODIES[route](owner) if route in BODIES else None
    headers = {"Authorization": authorization} if authorization is not None else {}
    return send(method, path.format(**known | ids), json=body, headers=headers)


def outcome(response: TestResponse) -> int:
    """The response's status; of a bulk its only item's."""
    content = response.get_json()
    return int(content["results"][0]["status"]) if "results" in content else response.status_code


RECORD = """
    SELECT to_jsonb(l)::text AS row FROM lesson AS l WHERE lesson_id = :lesson_id
    UNION ALL SELECT to_jsonb(a)::text FROM lesson_attempt AS a WHERE user_id = :user_id
    UNION ALL SELECT to_jsonb(s)::text FROM watch_session AS s WHERE user_id = :user_id
    UNION ALL SELECT to_jsonb(g)::text FROM watch_segment AS g WHERE user_id = :user_id
    UNION ALL SELECT to_jsonb(k)::text FROM seek_event AS k WHERE user_id = :user_id
    ORDER BY row
"""


def record_of(owner: Viewer, database_url: str) -> list[Any]:
    """Every row of a viewer and of the lesson."""
    return run(database_url, RECORD, user_id=owner.user_id, lesson_id=owner.lesson_id)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", MATRIX)
def test_each_may_do_what_the_matrix_says_and_who_may_not_changes_nothing(
    route: str, caller: str, owner: Viewer, database_url: str
) -> None:
    expected = MATRIX[route][CALLERS.index(caller)]
    bearer = bearer_of(caller, owner)
    before = record_of(owner, database_url)

    response = ask(route, owner, bearer and f"Bearer {bearer}")

    assert outcome(response) == expected, response.get_data(as_text=True)
    if expected >= 400 or route.startswith("GET"):
        assert record_of(owner, database_url) == before


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", [route for route in MATRIX if route.startswith("GET")])
def test_head_tells_nobody_more_than_get(route: str, caller: str, owner: Viewer) -> None:
    bearer = bearer_of(caller, owner)

    response = ask(route.replace("GET", "HEAD"), owner, bearer and f"Bearer {bearer}")

    assert (response.status_code, response.data) == (MATRIX[route][CALLERS.index(caller)], b"")


@pytest.mark.parametrize(
    "route", [route for route, row in MATRIX.items() if row[CALLERS.index("other")] == 404 and "{" in route]
)
def test_what_is_somebody_elses_is_answered_like_what_does_not_exist(route: str, owner: Viewer) -> None:
    other = f"Bearer {Person().bearer}"

    foreign = ask(route, owner, other)
    unknown = ask(route, owner, other, sessionId=str(uuid4()), attemptId=str(uuid4()), userId="nobody-at-all")

    assert (foreign.status_code, dict(foreign.headers)) == (unknown.status_code, dict(unknown.headers))
    assert foreign.get_json() | {"traceId": ""} == unknown.get_json() | {"traceId": ""}


def test_somebody_elses_session_in_a_bulk_is_answered_like_one_that_does_not_exist(owner: Viewer) -> None:
    foreign, unknown = owner.session_id, str(uuid4())
    items = [{"sessionId": session_id, "segments": [segment(60, 70)]} for session_id in (foreign, unknown)]

    first, second = Person().post("/video/progress/bulk", {"items": items})["results"]

    assert first | {"sessionId": ""} == second | {"sessionId": ""}
    assert (first["sessionId"], second["sessionId"]) == (foreign, unknown)


def test_a_start_for_somebody_else_is_answered_alike_whether_there_is_such_a_user(owner: Viewer) -> None:
    other = Person()

    known, unknown = (
        other.send("POST", "/video/sessions", {"userId": user_id, "lessonId": owner.lesson_id})
        for user_id in (owner.user_id, "nobody-at-all")
    )

    assert known.get_json() | {"traceId": ""} == unknown.get_json() | {"traceId": ""}


# Tokens that are wrong. Each is otherwise the owner's own.

PUBLIC_KEY = SIGNING_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(user_id: str, *, without: str = "", key: Any = SIGNING_KEY, kid: str | None = "test", **claims: Any) -> str:
    """A token as good as the deployment's issuer would sign it, but for what is said."""
    now = int(time.time())
    content = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "role": "player", "iat": now, "exp": now + 3600} | claims
    content.pop(without, None)
    return jwt.encode(content, key, algorithm="RS256", headers={"kid": kid} if kid else {})


def encoded(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(user_id: str, algorithm: str, key: bytes) -> str:
    """A token with another algorithm in its header, made by hand: the library would refuse to."""
    claims = jwt.decode(signed(user_id), options={"verify_signature": False})
    content = encoded({"alg": algorithm, "kid": "test", "typ": "JWT"}) + "." + encoded(claims)
    signature = hmac.digest(key, content.encode(), hashlib.sha256) if key else b""
    return content + "." + encoded(signature)


def with_other_claims(user_id: str, **claims: Any) -> str:
    """A well-signed token whose claims were changed after it was signed."""
    header, content, signature = signed(user_id).split(".")
    changed = json.loads(base64.urlsafe_b64decode(content + "==")) | claims
    return f"{header}.{encoded(changed)}.{signature}"


def with_a_bit_flipped(user_id: str) -> str:
    content, _, signature = signed(user_id).rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1
    return f"{content}.{encoded(bytes(raw))}"


HOUR = 3600
BAD: dict[str, tuple[int, Callable[[str], str]]] = {
    "expired": (401, lambda me: "Bearer " + signed(me, exp=int(time.time()) - HOUR)),
    "not yet valid": (401, lambda me: "Bearer " + signed(me, nbf=int(time.time()) + HOUR)),
    "issued in the future": (401, lambda me: "Bearer " + signed(me, iat=int(time.time()) + HOUR)),
    "never expires": (401, lambda me: "Bearer " + signed(me, without="exp")),
    "expires in words": (401, lambda me: "Bearer " + signed(me, exp="tomorrow")),
    "another issuer": (401, lambda me: "Bearer " + signed(me, iss="https://elsewhere.test")),
    "no issuer": (401, lambda me: "Bearer " + signed(me, without="iss")),
    "another audience": (401, lambda me: "Bearer " + signed(me, aud="somebody-else")),
    "no audience": (401, lambda me: "Bearer " + signed(me, without="aud")),
    "no subject": (401, lambda me: "Bearer " + signed(me, without="sub")),
    "an empty subject": (401, lambda me: "Bearer " + signed("")),
    "a subject that is no text": (401, lambda me: "Bearer " + signed(me, sub=7)),
    "a subject that is too long": (401, lambda me: "Bearer " + signed("x" * 129)),
    "algorithm none": (401, lambda me: "Bearer " + forged(me, "none", b"")),
    "algorithm nOnE": (401, lambda me: "Bearer " + forged(me, "nOnE", b"")),
    "HS256 with the public key": (401, lambda me: "Bearer " + forged(me, "HS256", PUBLIC_KEY)),
    "another key under the same name": (401, lambda me: "Bearer " + signed(me, key=OTHER_KEY)),
    "an unknown key": (401, lambda me: "Bearer " + signed(me, key=OTHER_KEY, kid="unknown")),
    "no key named": (401, lambda me: "Bearer " + signed(me, kid=None)),
    "another subject than was signed": (401, lambda me: "Bearer " + with_other_claims("somebody", sub=me)),
    "another role than was signed": (401, lambda me: "Bearer " + with_other_claims(me, role="service")),
    "a damaged signature": (401, lambda me: "Bearer " + with_a_bit_flipped(me)),
    "no signature": (401, lambda me: "Bearer " + signed(me).rpartition(".")[0] + "."),
    "garbage": (401, lambda me: "Bearer not.a.token"),
    "empty": (401, lambda me: "Bearer "),
    "far too long": (401, lambda me: "Bearer " + signed(me, padding="x" * 10_000)),
    "two tokens": (401, lambda me: f"Bearer {signed(me)} {signed(me)}"),
    "the token alone": (401, signed),
    "the Basic scheme": (401, lambda me: "Basic " + base64.b64encode(f"{me}:secret".encode()).decode()),
    "a token in the Basic scheme": (401, lambda me: "Basic " + signed(me)),
    "no role": (403, lambda me: "Bearer " + signed(me, without="role")),
    "an unknown role": (403, lambda me: "Bearer " + signed(me, role="admin")),
    "several roles": (403, lambda me: "Bearer " + signed(me, role=["player", "service"])),
    "the scheduler's role claimed": (403, lambda me: "Bearer " + signed(me, role="scheduler")),
    "the scheduler's address, unverified": (
        403,
        lambda me: "Bearer " + signed(me, without="role", email=SCHEDULER_ACCOUNT, email_verified=False),
    ),
}


@pytest.fixture
def keys_were_just_fetched() -> None:
    """So that a key which is not among them is known to be unknown, and nobody is asked again."""
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    auth.issuer_keys.know({"keys": [{**jwk, "kid": "test", "use": "sig", "alg": "RS256"}]})


@pytest.mark.usefixtures("keys_were_just_fetched")
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_refused_on_every_route_and_changes_nothing(kind: str, owner: Viewer, database_url: str) -> None:
    expected, authorization = BAD[kind]
    before = record_of(owner, database_url)

    refused = {route: ask(route, owner, authorization(owner.user_id)) for route in MATRIX}

    assert {route: response.status_code for route, response in refused.items()} == dict.fromkeys(MATRIX, expected)
    if expected == 401:
        assert all(response.headers["WWW-Authenticate"].startswith("Bearer ") for response in refused.values())
    assert record_of(owner, database_url) == before


def test_the_good_token_that_the_bad_ones_are_made_of_is_good(owner: Viewer) -> None:
    assert ask("PUT /video/sessions/{sessionId}/heartbeat", owner, "Bearer " + signed(owner.user_id)).status_code == 200
