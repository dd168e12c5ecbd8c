"""What every test stands on: a real PostgreSQL with the schema, and each function loaded the way the cloud loads it.

TEST_DATABASE_URL names another PostgreSQL than the embedded one; a database of its own is made in it and dropped.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import TestResponse

from common import auth, config, db
from infra import functions, postgres
from infra.migrate import migrate

ISSUER, AUDIENCE = "https://issuer.test", "watchledger"
SIGNING_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a PostgreSQL is that tests may make databases in."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with postgres.running(
        tmp_path_factory.mktemp("postgres"),
        durable=False,
        pg_bin=os.environ.get("PG_BIN"),
        settings={"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "256MB"},
    ) as cluster:
        yield cluster.dsn("postgres")


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """A database with the schema that all tests share; each works with users of its own."""
    with database(server_url) as url:
        yield url


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """A new database with the schema, dropped at the end."""
    parts = urlsplit(server_url)
    name = f"watchledger_test_{uuid4().hex[:12]}"
    url = urlunsplit(parts._replace(path=f"/{name}"))
    migrate(url)
    try:
        yield url
    finally:
        run(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def run(url: str, statement: str, **parameters: object) -> list[list[Any]]:
    """A statement on a connection of its own, beside the code under test."""
    with closing(db.direct(url, 60_000)) as connection:
        rows: list[list[Any]] | None = connection.run(statement, **parameters)
        return rows or []


@pytest.fixture(scope="session", autouse=True)
def deployment(database_url: str) -> Iterator[None]:
    """The functions' settings, and an issuer whose keys are known already."""
    os.environ |= {
        "DATABASE_URL": database_url,
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "JWKS_URL": "http://127.0.0.1:9/never-asked",
        "LOG_PSEUDONYM_KEY": "tests",
        "DATABASE_CONNECTIONS": "20",
    }
    config.settings.cache_clear()
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    auth.issuer_keys.know({"keys": [{**jwk, "kid": "test", "use": "sig", "alg": "RS256"}]})
    yield
    db.pool().close()


def token(user_id: str, role: str = "player", **claims: object) -> str:
    """A token as the deployment's issuer would sign it."""
    now = int(time.time())
    standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "role": role, "iat": now, "exp": now + 3600}
    return jwt.encode(standard | claims, SIGNING_KEY, algorithm="RS256", headers={"kid": "test"})


class Person:
    """Somebody with a token who sends requests; each reaches its function as the cloud would call it."""

    def __init__(self, user_id: str | None = None, role: str = "player") -> None:
        self.user_id = user_id or f"{role}-{uuid4()}"
        self.role = role
        self.bearer = token(self.user_id, role)

    def send(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.bearer}"} | options.pop("headers", {})
        return send(method, path, json=json, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        return ok(self.send("GET", path, **options))

    def put(self, path: str, json: Any = None, **options: Any) -> Any:
        return ok(self.send("PUT", path, json, **options))

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return ok(self.send("POST", path, json, **options))


def send(method: str, path: str, **options: Any) -> TestResponse:
    """A request to the function that answers at a path."""
    function = functions.find(method, path.partition("?")[0])
    assert function is not None, f"nothing answers at {path}"
    return function.app.test_client().open(path, method=method, **{k: v for k, v in options.items() if v is not None})


def ok(response: TestResponse) -> Any:
    assert response.status_code in (200, 201), response.get_data(as_text=True)
    return response.get_json()


def segment(start: float, end: float, speed: float = 1, **more: Any) -> dict[str, Any]:
    return {"clientEventId": str(uuid4()), "startSecond": start, "endSecond": end, "speed": speed} | more


def seek(start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"clientEventId": str(uuid4()), "fromSecond": start, "toSecond": end} | more


class Viewer(Person):
    """A player, at one lesson."""

    def __init__(self, lesson_id: str, user_id: str | None = None) -> None:
        super().__init__(user_id)
        self.lesson_id = lesson_id
        self.session_id = ""
        self.attempt_id = ""

    def start(self, **more: Any) -> Any:
        started = self.post("/video/sessions", {"userId": self.user_id, "lessonId": self.lesson_id}, **more)
        self.session_id, self.attempt_id = started["sessionId"], started["attemptId"]
        return started

    def record(self, *segments: Any, seeks: Any = (), session: str | None = None) -> Any:
        body = {"segments": list(segments), "seeks": list(seeks)}
        return self.post(f"/video/sessions/{session or self.session_id}/progress", body)

    def watch(self, *stretches: tuple[float, ...]) -> Any:
        """Record stretches `(start, end)` or `(start, end, speed)`."""
        return self.record(*(segment(*stretch) for stretch in stretches))

    def jump(self, start: float, end: float, **more: Any) -> Any:
        return self.record(seeks=[seek(start, end, **more)])

    def touch(self) -> Any:
        return self.put(f"/video/sessions/{self.session_id}/heartbeat")

    def close(self, session: str | None = None) -> Any:
        return self.put(f"/video/sessions/{session or self.session_id}/close")

    def complete(self) -> Any:
        return self.put(f"/video/attempts/{self.attempt_id}/complete")

    def progress(self) -> Any:
        return self.get(f"/video/users/{self.user_id}/lessons/{self.lesson_id}/progress")

    def skips(self) -> Any:
        return self.get(f"/video/sessions/{self.session_id}/skip-analytics")


@pytest.fixture
def service() -> Person:
    return Person(role="service")


@pytest.fixture
def manager() -> Person:
    return Person(role="manager")


@pytest.fixture
def new_lesson(service: Person) -> Callable[..., str]:
    """Make a lesson with a policy: `new_lesson(durationSecond=100, …)` gives its id."""

    def make(**policy: Any) -> str:
        lesson_id = f"lesson-{uuid4()}"
        service.put(f"/video/lessons/{lesson_id}", policy)
        return lesson_id

    return make


@pytest.fixture
def viewer(new_lesson: Callable[..., str]) -> Viewer:
    """Somebody who has just opened a lesson of 100 seconds."""
    somebody = Viewer(new_lesson(durationSecond=100))
    somebody.start()
    return somebody
