import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from werkzeug.test import Client

from common.auth import Role
from infra import issuer, local, postgres
from infra.serve import OPENAPI, application
from tests.conftest import open_to_postgres, run

REPOSITORY = Path(__file__).parents[2]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


class Machine:
    """A folder and a port for a server of one's own, and the commands that people run there."""

    def __init__(self, data_dir: Path, port: int, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = port
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PG_BIN")}
        self.environment = inherited | {"DATA_DIR": str(data_dir), "PORT": str(port)} | environment

    def open(self, module: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", module, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self.environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )

    def run(self, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        with self.open(module, *arguments) as process:
            output, errors = process.communicate(timeout=60)
            return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[str]"]:
        """A server that answers; killed at the end if it still runs."""
        with self.open("infra.serve") as server:
            try:
                assert server.stderr
                first = server.stderr.readline()
                assert first.startswith(local.READY), first + server.stderr.read()
                yield server
            finally:
                server.kill()

    def send(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", content, headers, method=method)
        try:
            with urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def token(self, *arguments: str) -> str:
        """What `infra.token` prints, without the end of the line."""
        printed = self.run("infra.token", *arguments)
        assert (printed.returncode, printed.stderr) == (0, "")
        return printed.stdout.removesuffix("\n")

    def is_at_rest(self) -> bool:
        """Whether no process of PostgreSQL is left, and nobody holds the port."""
        try:
            with open(self.data_dir / "postgres.lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True


def eventually_at_rest(machine: Machine) -> bool:
    deadline = monotonic() + 20
    while not machine.is_at_rest() and monotonic() < deadline:
        sleep(0.05)
    return machine.is_at_rest()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine on which nothing runs; the tests leave it so."""
    with TemporaryDirectory(prefix="watchledger-serve-") as folder:
        yield Machine(open_to_postgres(folder) / "data", free_port())


def new_lesson(machine: Machine) -> str:
    path = f"/video/lessons/{uuid4()}"
    token = machine.token("--user", "editor", "--role", "service")
    assert machine.send("PUT", path, {"durationSecond": 60}, token)[0] == 200
    return path


def test_a_new_folder_is_served_until_sigterm_and_nothing_is_left_running(machine: Machine) -> None:
    with machine.serving() as server:
        path = new_lesson(machine)
        assert machine.send("GET", path)[0] == 401
        assert machine.send("GET", path, token=machine.token("--user", "ada"))[1]["durationSecond"] == 60

        server.terminate()
        output, _ = server.communicate(timeout=20)

    assert server.returncode == 0
    assert machine.is_at_rest()
    assert [json.loads(line)["httpRequest"]["status"] for line in output.splitlines()] == [200, 401, 200]


def test_the_first_requests_come_as_a_crowd_and_ctrl_c_ends_in_good_order(machine: Machine) -> None:
    token, start = machine.token("--user", "ada"), Barrier(24, timeout=60)

    def ask(_: int) -> int:
        start.wait()
        return machine.send("GET", "/video/lessons/none", token=token)[0]

    with machine.serving() as server, ThreadPoolExecutor(24) as crowd:
        assert list(crowd.map(ask, range(24))) == [404] * 24
        os.killpg(server.pid, signal.SIGINT)  # Ctrl-C reaches the worker as well
        server.terminate()
        _, errors = server.communicate(timeout=20)

    assert server.returncode == 0
    assert "ERROR" not in errors
    assert machine.is_at_rest()


def test_a_server_that_is_killed_leaves_nothing_running_and_what_was_recorded(machine: Machine) -> None:
    with machine.serving() as server:
        path = new_lesson(machine)
        server.kill()
    assert eventually_at_rest(machine)

    with machine.serving() as server:
        assert machine.send("GET", path, token=machine.token("--user", "ada"))[0] == 200
        server.send_signal(signal.SIGHUP)  # as when the terminal is closed
        assert server.wait(timeout=20) == 0


def test_a_server_that_is_stopped_while_it_starts_leaves_nothing_running(machine: Machine) -> None:
    with TemporaryDirectory(prefix="watchledger-serve-") as folder:
        other = Machine(open_to_postgres(folder) / "data", machine.port)
        with other.open("infra.serve") as server:
            while not any(other.data_dir.glob("postgres/new-*/base")):  # initdb is at work
                assert server.poll() is None
                sleep(0.01)
            server.terminate()
            assert server.wait(timeout=20) == 0
        assert other.is_at_rest()


def test_what_somebody_else_uses_is_refused_in_a_line_and_left_alone(machine: Machine) -> None:
    with machine.serving() as server, TemporaryDirectory() as folder:
        same_port = Machine(Path(folder, "data"), machine.port).run("infra.serve")
        same_folder = Machine(machine.data_dir, free_port()).run("infra.serve")

        assert same_port.returncode == same_folder.returncode == 1
        assert same_port.stderr.startswith(f"watchledger: port {machine.port} cannot be used, Address already in use")
        assert same_folder.stderr.startswith(f"watchledger: {machine.data_dir} is already in use by pid")
        assert [same_port.stderr.count("\n"), same_folder.stderr.count("\n")] == [1, 1]
        assert not Path(folder, "data").exists()
        assert machine.send("GET", "/.well-known/jwks.json")[0] == 200
        server.terminate()
        assert server.wait(timeout=20) == 0


def test_an_existing_postgresql_is_migrated_and_used_instead(machine: Machine) -> None:
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": str(port)}
    with (
        TemporaryDirectory(prefix="watchledger-serve-") as folder,
        postgres.running(open_to_postgres(folder), pg_bin=os.environ.get("PG_BIN"), durable=False, settings=settings),
    ):
        url = f"postgresql://postgres@127.0.0.1:{port}/elsewhere"
        other = Machine(Path(folder, "data"), machine.port, DATABASE_URL=url)
        with other.serving() as server:
            path = new_lesson(other)
            server.terminate()
            assert server.wait(timeout=20) == 0
        assert run(url, "SELECT '/video/lessons/' || lesson_id FROM lesson") == [[path]]
        assert not (other.data_dir / "postgres").exists()


def test_the_demo_tells_its_story_within_80_columns_and_leaves_nothing_running(machine: Machine) -> None:
    machine.environment["ONCE"] = "1"
    told = machine.run("infra.demo")

    assert (told.returncode, told.stderr) == (0, "")
    assert machine.is_at_rest()
    assert "\x1b" not in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "█████" + 29 * "▄" + "╱╱╱╱╱╱" + 17 * "▄" + "···" in told.stdout


def test_the_demo_says_in_a_line_why_it_cannot_start(machine: Machine) -> None:
    with closing(socket.create_server(("127.0.0.1", machine.port))):
        told = machine.run("infra.demo")
    assert told.returncode == 1
    assert told.stderr.startswith(f"watchledger: port {machine.port} cannot be used")
    assert told.stderr.count("\n") == 1


def test_a_postgresql_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/elsewhere"
    refused = Machine(tmp_path, free_port(), DATABASE_URL=url).run("infra.serve")
    assert refused.returncode == 1
    assert refused.stderr.startswith("watchledger: Can't create a connection")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "８"])
def test_a_port_is_a_number_from_1_to_65535(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(ValueError, match=f"PORT={text} is not a number from 1 to 65535"):
        local.port()


def test_the_key_of_the_tokens_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "data", 8080)
    with ThreadPoolExecutor(3) as crowd:
        tokens = list(crowd.map(lambda _: machine.token("--user", "ada"), range(3)))

    [key] = machine.data_dir.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len({token.split(".")[0] for token in tokens}) == 1  # the header names the key


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--user", "ada", "--role", "king"], "invalid choice: 'king'"),
        (["--user", "ada", "--ttl", "0"], "argument --ttl: invalid seconds value: '0'"),
        ([], "the following arguments are required: --user"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_reason(tmp_path: Path, arguments: list[str], told: str) -> None:
    refused = Machine(tmp_path, 8080).run("infra.token", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The local server's application without a server."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    issuer.key.cache_clear()
    yield Client(application)
    issuer.key.cache_clear()


def test_the_first_page_names_every_path(browser: Client) -> None:
    page = browser.get("/").text
    described = json.loads(OPENAPI.read_bytes())["paths"]
    assert len(described) > 8
    assert [path for path in described if f" {path}\n" not in page] == []


def test_the_openapi_document_is_served(browser: Client) -> None:
    answer = browser.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_data() == OPENAPI.read_bytes()
    assert browser.head("/openapi.json").get_data() == b""


def test_the_published_keys_are_public_and_name_the_key_of_the_tokens(browser: Client) -> None:
    [jwk] = browser.get("/.well-known/jwks.json").json["keys"]  # type: ignore[index]
    assert sorted(jwk) == ["alg", "e", "kid", "kty", "n", "use"]
    assert issuer.sign("ada", Role.PLAYER).startswith(issuer.sign("bob", Role.SERVICE).split(".")[0])


@pytest.mark.parametrize("path", ["/video", "/video/sessions/", "//", "/%2e", "/openapi.json/"])
def test_a_path_that_nobody_has_is_a_problem_with_a_trace(browser: Client, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert answer.json
    assert answer.json["type"] == "urn:watchledger:problem:path-not-found"
    assert len(answer.json["traceId"]) == 32


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/openapi.json", "GET, HEAD"), ("/", "GET, HEAD"), ("/video/lessons/l1", "GET, HEAD, PUT")],
)
def test_a_method_that_a_path_has_not_is_told_those_that_it_has(browser: Client, path: str, allowed: str) -> None:
    answer = browser.delete(path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
