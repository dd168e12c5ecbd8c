"""Cold starts: from the start of the process to the first answer, and what was imported on the way."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from bench import load, servers
from bench.viewers import Viewer, progress, request
from common.auth import Role
from common.http import Endpoint
from common.models import wire_name
from infra import functions

HEAVY = ("google.cloud.sql", "sqlalchemy", "pyarrow")
IMPORTED = """
import sys, functions_framework
source, target, method, path, authorization, body, *heavy = sys.argv[1:]
client = functions_framework.create_app(target, source).test_client()
headers = {"Authorization": authorization}
answer = client.open(path, method=method, headers=headers, data=body, content_type="application/json")
assert answer.status_code in (200, 201), answer.text
print(*[name for name in heavy if name in sys.modules])
"""


def player_functions() -> Mapping[str, Endpoint]:
    loaded = {name: function.endpoint for name, function in functions.load_all().items()}
    return {name: endpoint for name, endpoint in loaded.items() if Role.PLAYER in endpoint.roles}


def source(name: str) -> Path:
    return functions.FOLDER / name / "main.py"


def body(name: str, viewer: Viewer) -> dict[str, Any]:
    """What the function needs at least."""
    match name:
        case "start_session":
            return {"userId": viewer.user_id, "lessonId": viewer.lesson_id}
        case "record_progress":
            return progress(0, 3, 8)
        case "record_bulk_progress":
            return {"items": [{"sessionId": str(viewer.session_id), **progress(0, 3, 8)}]}
    return {}


def call(name: str, endpoint: Endpoint, viewer: Viewer) -> tuple[str, str, str, bytes]:
    """A request that the function answers with 200 or 201: method, path, Authorization, body."""
    path = endpoint.path
    for parameter in endpoint.path_parameters:
        path = path.replace("{" + wire_name(parameter) + "}", str(getattr(viewer, parameter)))
    content = json.dumps(body(name, viewer)).encode() if endpoint.body else b""
    return endpoint.methods[0], path, viewer.authorization, content


def to_first_answer_s(source: Path, target: str, call: tuple[str, str, str, bytes], log: Path) -> float:
    """How long a function takes from the start of its process to its first answer.

    Raises:
        RuntimeError: it refuses, or never answers.
    """
    method, path, authorization, content = call
    port = servers.free_port()
    began = perf_counter()
    with servers.running(servers.functions_framework(source, target, port), log) as server:
        while True:
            try:
                answer = load.ask(port, request(method, path, authorization, content or None))
            except ConnectionRefusedError:
                if server.poll() is not None:
                    raise RuntimeError(f"{target} ended; see {log}") from None
                sleep(0.001)
                continue
            if not answer.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(f"{target}: {answer.decode()}")
            return perf_counter() - began


def imported_heavy(name: str, call: tuple[str, str, str, bytes]) -> list[str]:
    """Which of the heavy packages are in `sys.modules` once a function has answered."""
    method, path, authorization, content = call
    command = [sys.executable, "-c", IMPORTED, str(source(name)), name, method, path, authorization, content.decode()]
    done = subprocess.run([*command, *HEAVY], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1].split()
