import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from infra import smoke
from tests.conftest import open_to_postgres
from tests.infra.test_serve import Machine, free_port


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with TemporaryDirectory(prefix="watchledger-smoke-") as folder:
        machine = Machine(open_to_postgres(folder), free_port())
        with machine.serving():
            yield machine


def arguments(machine: Machine, passed: Path) -> tuple[str, ...]:
    command = f'"{sys.executable}" -m infra.token --user "$TOKEN_USER" --role "$TOKEN_ROLE"'
    return ("--api", f"http://127.0.0.1:{machine.port}", "--token-command", command, "--passed", str(passed))


def test_a_service_that_works_passes_again_and_again(machine: Machine, tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    for _ in range(2):
        done = machine.run("infra.smoke", *arguments(machine, passed))

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("all was as it should be\n")
        assert passed.exists()
        passed.unlink()


def test_a_service_whose_tokens_are_refused_does_not_pass(machine: Machine, tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    passed.write_text("of the last time")
    url, *_ = arguments(machine, passed)[1:]

    done = machine.run("infra.smoke", "--api", url, "--token-command", "echo nonsense", "--passed", str(passed))

    assert done.returncode == 1
    assert "infra.smoke: PUT /video/lessons/smoke-test: 401 instead of 200" in done.stderr
    assert not passed.exists()


def test_a_token_command_that_fails_is_told(machine: Machine) -> None:
    api = smoke.Api(f"http://127.0.0.1:{machine.port}", "echo no idea who $TOKEN_USER is >&2; exit 7")
    with pytest.raises(smoke.Unexpected, match="the token command ended with 7: no idea who smoke-test-service is"):
        smoke.journey(api)


@contextmanager
def answering(answer: Callable[[str, str], tuple[int, object]]) -> Iterator[str]:
    """A server that answers what it likes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = answer(self.command, self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_service_that_forgets_what_it_was_told_does_not_pass() -> None:
    with (
        answering(lambda method, path: (200, {"durationSecond": 59})) as url,
        pytest.raises(smoke.Unexpected, match=r"\{'durationSecond': 59\} instead of"),
    ):
        smoke.journey(smoke.Api(url, "echo token"))


def test_a_service_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = iter([404, 503, 401])
    monkeypatch.setattr(smoke, "PAUSE_S", 0)
    with answering(lambda method, path: (next(statuses), {})) as url:
        smoke.wait(smoke.Api(url, "echo token"))

    assert list(statuses) == []


def test_a_service_that_never_comes_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "PATIENCE_S", 0)
    monkeypatch.setattr(smoke, "PAUSE_S", 0)
    with pytest.raises(smoke.Unexpected, match=r"GET /video/lessons/smoke-test: .*refused"):
        smoke.wait(smoke.Api(f"http://127.0.0.1:{free_port()}", "echo token"))
