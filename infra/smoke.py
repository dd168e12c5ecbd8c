"""One viewer's journey against a deployed API: `python -m infra.smoke --api URL --token-command COMMAND`.

The user `smoke-test` opens, watches, leaves and completes the lesson `smoke-test`; each answer is compared with what it
has to be. COMMAND is run by the shell and prints a token of the platform's issuer, for whom TOKEN_USER and TOKEN_ROLE
(player or service) in its environment say.

Exit code 0: all was as it should be; 1: it was not. Nothing but the standard library is needed.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

LESSON = USER = "smoke-test"
LESSON_S = 60
TIMEOUT_S = 30
PATIENCE_S = 120  # a new function may not be there at once, wherever its load balancer is
PAUSE_S = 3

Json = dict[str, Any]


class Unexpected(Exception):
    """The API did not answer as it has to."""


@dataclass(frozen=True)
class Api:
    url: str
    token_command: str

    def send(
        self,
        due: int | tuple[int, ...],
        role: str | None,
        method: str,
        path: str,
        body: Json | None = None,
        **headers: str,
    ) -> Json:
        """What is answered.

        Raises:
            Unexpected: with another status than was due, or one of those, or not at all.
        """
        began = time.monotonic()
        content = None if body is None else json.dumps(body).encode()
        request = Request(self.url.rstrip("/") + path, content, method=method)
        request.add_header("Content-Type", "application/json")
        if role:
            user = USER if role == "player" else f"{USER}-{role}"
            request.add_header("Authorization", f"Bearer {token(self.token_command, user, role)}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:
                status, answered = response.status, response.read()
        except HTTPError as refusal:
            status, answered = refusal.code, refusal.read()
        except (URLError, OSError) as failure:
            raise Unexpected(f"{method} {path}: {failure}") from None
        if status not in (due if isinstance(due, tuple) else (due,)):
            raise Unexpected(f"{method} {path}: {status} instead of {due}: {answered[:500].decode(errors='replace')}")
        print(f"{status} {1000 * (time.monotonic() - began):6.0f} ms  {method} {path}", flush=True)
        answer: Json = json.loads(answered) if answered.startswith(b"{") else {}
        return answer


@cache
def token(command: str, user: str, role: str) -> str:
    """Raises: Unexpected: the command failed."""
    told = f"TOKEN_USER={user} TOKEN_ROLE={role}; export TOKEN_USER TOKEN_ROLE; {command}"
    made = subprocess.run(told, shell=True, capture_output=True, text=True)
    if made.returncode or not made.stdout.strip():
        raise Unexpected(f"the token command ended with {made.returncode}: {made.stderr.strip()}")
    return made.stdout.strip()


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m infra.smoke",
        description=description,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--api", required=True, metavar="URL", help="for example https://watch.example.com")
    parser.add_argument("--token-command", required=True, metavar="COMMAND", help="prints a token")
    parser.add_argument("--passed", type=Path, metavar="FILE", help="is written if all was well, removed at the start")
    chosen = parser.parse_args()
    if chosen.passed:
        chosen.passed.unlink(missing_ok=True)
    try:
        api = Api(chosen.api, chosen.token_command)
        wait(api)
        journey(api)
    except Unexpected as surprise:
        sys.exit(f"{parser.prog}: {surprise}")
    if chosen.passed:
        chosen.passed.write_text(chosen.api + "\n")
    print("all was as it should be")


def wait(api: Api) -> None:
    """Wait until the API is there: it is if it asks who one is."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            api.send(401, None, "GET", f"/video/lessons/{LESSON}")
            return
        except Unexpected:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


def journey(api: Api) -> None:
    """Raises: Unexpected."""
    policy = {"durationSecond": LESSON_S, "completionThreshold": 0.5}
    see(api.send(200, "service", "PUT", f"/video/lessons/{LESSON}", policy), durationSecond=LESSON_S)

    opening, key = {"userId": USER, "lessonId": LESSON}, str(uuid4())
    started = api.send(201, "player", "POST", "/video/sessions", opening, Idempotency_Key=key)
    again = api.send(200, "player", "POST", "/video/sessions", opening, Idempotency_Key=key)
    see(again, sessionId=started["sessionId"])
    session, attempt = f"/video/sessions/{started['sessionId']}", f"/video/attempts/{started['attemptId']}"

    seen = {"segments": [segment(0, 20), segment(20, 40)], "seeks": [{"fromSecond": 40, "toSecond": 50}]}
    recorded = api.send(200, "player", "POST", f"{session}/progress", seen)
    see(recorded, accepted=3, duplicates=0, coverageSecond=40, maxVerifiedSecond=40)
    see(api.send(200, "player", "POST", f"{session}/progress", seen), accepted=0, duplicates=3, coverageSecond=40)
    see(api.send(200, "player", "PUT", f"{session}/heartbeat"), status="open")

    found = api.send(200, "player", "GET", f"/video/users/{USER}/lessons/{LESSON}/progress")
    see(found["aggregates"], coverageSecond=40, watchedRanges=[[0, 40]])
    see(api.send(200, "player", "GET", f"{session}/skip-analytics"), seekCount=1, skipCount=1, skippedSecond=10)
    see(api.send(200, "player", "PUT", f"{session}/close"), status="closed", coverageSecond=40)
    see(api.send(200, "player", "PUT", f"{attempt}/complete"), status="completed")

    api.send(404, "player", "GET", f"/video/sessions/{uuid4()}/skip-analytics")
    api.send(403, "player", "PUT", f"/video/lessons/{LESSON}", policy)
    api.send((404, 403), "player", "POST", "/jobs/sweep-stale-sessions")  # 403 where no load balancer is before it


def segment(start: float, end: float) -> Json:
    return {"clientEventId": str(uuid4()), "startSecond": start, "endSecond": end}


def see(answer: Json, **due: object) -> None:
    """Raises: Unexpected: some members are not what was due."""
    wrong = {name: answer.get(name) for name, value in due.items() if answer.get(name) != value}
    if wrong:
        raise Unexpected(f"{wrong} instead of { ({name: due[name] for name in wrong}) }")


if __name__ == "__main__":
    main()
