"""What every test stands on: a real PostgreSQL with the schema, and each function loaded the way the cloud loads it.

TEST_DATABASE_URL names another PostgreSQL than the embedded one; a database of its own is made in it and dropped.
"""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
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
from tests import described

ISSUER, AUDIENCE = "https://issuer.test", "watchledger"
SCHEDULER_ACCOUNT = "scheduler@project.iam.gserviceaccount.com"
SIGNING_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LAST = Path(__file__).parent / "test_what_is_left.py"
ROOM_FOR_ALL = 4 << 30  # bytes


def scratch() -> str:
    """Where temporary folders are made: in memory, if there is room and programs may run there.

    Thousands of files are made and deleted; on ext4 each new one may cost a search through those deleted lately. A
    folder's path must be short, for PostgreSQL's socket.
    """
    if sys.platform == "linux" and os.path.isdir("/dev/shm"):
        memory = os.statvfs("/dev/shm")
        if memory.f_bavail * memory.f_frsize >= ROOM_FOR_ALL and not memory.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return "/tmp"


tempfile.tempdir = scratch()
gc.set_threshold(1_000_000, 50, 50)  # looking for garbage took a tenth of the tests' time, and found little


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Whichever tests are chosen, what they leave behind is recounted at the end."""
    yield
    chosen = [item for item in items if item.path != LAST]
    folder = next((node for item in chosen for node in item.iter_parents() if node.path == LAST.parent), None)
    if folder:
        last = pytest.Module.from_parent(folder, path=LAST).collect()
        items[:] = chosen + [item for item in last if isinstance(item, pytest.Item)]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Where a PostgreSQL is that tests may make databases in."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with (
        TemporaryDirectory(prefix="watchledger-tests-") as folder,
        postgres.running(
            open_to_postgres(folder),
            durable=False,
            pg_bin=os.environ.get("PG_BIN"),
            settings={"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "256MB"},
        ) as cluster,
    ):
        yield cluster.dsn("postgres")


def open_to_postgres(folder: str) -> Path:
    """A folder that the account that runs PostgreSQL for root may enter; pytest's own are closed."""
    os.chmod(folder, 0o755)
    return Path(folder)


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
def deployment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The functions' settings, and an issuer whose keys are known already."""
    os.environ |= {
        "DATABASE_URL": database_url,
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "JWKS_URL": "http://127.0.0.1:9/never-asked",
        "LOG_PSEUDONYM_KEY": "tests",
        "SCHEDULER_ACCOUNT": SCHEDULER_ACCOUNT,
        "ARCHIVE_URL": tmp_path_factory.mktemp("archive").as_uri(),
        "DATABASE_CONNECTIONS": "20",
    }
    config.settings.cache_clear()
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    auth.issuer_keys.know({"keys": [{**jwk, "kid": "test", "use": "sig", "alg": "RS256"}]})
    yield
    db.pool().close()


def stored(url: str, user_id: str) -> list[str]:
    """A user's attempts and sessions, every column of them, as text."""
    found = run(
        url,
        "SELECT a::text FROM lesson_attempt AS a WHERE a.user_id = :user_id"
        " UNION ALL SELECT s::text FROM watch_session AS s WHERE s.user_id = :user_id ORDER BY 1",
        user_id=user_id,
    )
    return [row for [row] in found]


@pytest.fixture(scope="module")
def own_url(server_url: str, deployment: None) -> Iterator[str]:
    """A database of a module's own, for tests that damage theirs or count all that is in it: see `deployed`."""
    with database(server_url) as url:
        yield url


@contextmanager
def deployed(**changes: str) -> Iterator[None]:
    """Other settings for a while, as `DATABASE_URL`, when a test damages its database or counts all that is in it."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in changes.items():
                patch.setenv(name, value)
            read_settings_again()
            yield
    finally:
        read_settings_again()


def read_settings_again() -> None:
    db.pool().close()
    db._pool.cache_clear()
    config.settings.cache_clear()
    config.log_settings.cache_clear()


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

    def delete(self, path: str, **options: Any) -> Any:
        return ok(self.send("DELETE", path, **options))


def send(method: str, path: str, **options: Any) -> TestResponse:
    """A request to the function that answers at a path; the answer is as docs/openapi.json describes it."""
    function = functions.find(method, path.partition("?")[0])
    assert function is not None, f"nothing answers at {path}"
    given = {name: value for name, value in options.items() if value is not None}
    response = function.app.test_client().open(path, method=method, **given)
    unlike = described.problems(method, function.endpoint.path, response)
    assert not unlike, unlike
    return response


def ok(response: TestResponse) -> Any:
    assert response.status_code in (200, 201), response.get_data(as_text=True)
    return response.get_json()


def problem(response: TestResponse, status: int) -> Any:
    """The problem document of an answer with this status."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
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

    def grow_older(self, seconds: float) -> None:
        """Move the session, and all that is recorded in it, into the past."""
        move_into_the_past(self.session_id, self.user_id, seconds)

    def fall_silent(self, seconds: float = 360) -> None:
        """Give no sign of life for so long that the session is stale."""
        self.grow_older(seconds)
        end_as_stale(self.session_id, self.user_id)

    def progress(self) -> Any:
        return self.get(f"/video/users/{self.user_id}/lessons/{self.lesson_id}/progress")

    def skips(self) -> Any:
        return self.get(f"/video/sessions/{self.session_id}/skip-analytics")

    def credits(self) -> dict[str, str | None]:
        """The attempt that each unassigned session of the lesson was credited to."""
        history = self.get(f"/video/users/{self.user_id}/unassigned-history?lessonId={self.lesson_id}&limit=200")
        return {session["sessionId"]: session["creditedAttemptId"] for session in history["items"]}

    @property
    def assignment(self) -> str:
        """Where a service assigns the lesson."""
        return f"/video/users/{self.user_id}/lessons/{self.lesson_id}/assignment"


@db.transaction
def move_into_the_past(tx: db.Tx, session_id: str, user_id: str, seconds: float) -> None:
    session = {"session_id": session_id, "user_id": user_id}
    tx.many("lock_attempts_of_session", db.Row, **session)
    for table, moments in {
        "watch_session": ("started_at", "last_heartbeat_at", "closed_at", "last_position_at"),
        "watch_segment": ("occurred_at", "recorded_at"),
        "seek_event": ("occurred_at", "recorded_at"),
    }.items():
        moved = ", ".join(f"{moment} = {moment} - :seconds * interval '1 second'" for moment in moments)
        where = "session_id = :session_id AND user_id = :user_id"
        tx.connection.run(f"UPDATE {table} SET {moved} WHERE {where}", seconds=seconds, **session)
    tx.many("fold_attempts_of_session", db.Row, **session)


@db.transaction
def end_as_stale(tx: db.Tx, session_id: str, user_id: str) -> None:
    """What the sweep does with an open session."""
    session = {"session_id": session_id, "user_id": user_id}
    tx.many("lock_attempts_of_session", db.Row, **session)
    tx.connection.run(
        "UPDATE watch_session SET status = 'stale', closed_at = last_heartbeat_at"
        " WHERE session_id = :session_id AND user_id = :user_id AND status = 'open'",
        **session,
    )
    tx.many("fold_attempts_of_session", db.Row, **session)


@pytest.fixture
def service() -> Person:
    return Person(role="service")


@pytest.fixture
def manager() -> Person:
    return Person(role="manager")


@pytest.fixture
def scheduler() -> Person:
    """Who calls the jobs: told by the account in its token, which names no role."""
    account = Person(role="none")
    account.bearer = token(account.user_id, "none", email=SCHEDULER_ACCOUNT, email_verified=True)
    return account


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
