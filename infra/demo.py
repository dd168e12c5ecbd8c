"""Start the local server, play a viewer's journey against it and print what was recorded: `python -m infra.demo`.

PORT (8080), DATA_DIR (.local) and DATABASE_URL say where, as for `infra.serve`. The server stays up until Ctrl-C;
with ONCE=1 everything ends with the story.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import journey, local, pages
from infra.signals import end_in_good_order


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    argparse.ArgumentParser(prog="python -m infra.demo", description=description, epilog=details).parse_args()
    end_in_good_order()
    log = local.data_dir() / "server.log"
    with serving(log) as server:
        try:
            user_id, lesson_id = journey.play()
        except journey.Unexpected as surprise:
            sys.exit(f"\nwatchledger: {surprise}\nThe requests are in {log}")
        if not local.runs_once():
            invite(user_id, lesson_id, log)
            sys.exit(f"watchledger: the server ended by itself, see {log}" if server.wait() else 0)


@contextmanager
def serving(log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The local server as a child process that writes to a log; what keeps it from starting ends the demo."""
    print("Starting PostgreSQL and the service …", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    beginning = log.stat().st_size if log.exists() else 0
    with (
        log.open("ab") as output,
        subprocess.Popen([sys.executable, "-m", "infra.serve"], stdout=output, stderr=output) as server,
    ):
        try:
            while local.READY not in (said := said_since(beginning, log)):
                if server.poll() is not None:
                    sys.exit(said.strip() or f"watchledger: the server ended, see {log}")
                time.sleep(0.05)
            yield server
        finally:
            server.terminate()


def said_since(beginning: int, log: Path) -> str:
    return log.read_bytes()[beginning:].decode(errors="replace")


def invite(user_id: str, lesson_id: str, log: Path) -> None:
    print(
        f"""
  The service stays at {local.address()} until Ctrl-C. Its log is {log}.
  Ask it yourself:

  curl -H "Authorization: Bearer $({local.command("infra.token")} --user {user_id})" \\
    {local.address()}/video/users/{user_id}/lessons/{lesson_id}/progress

  What a manager sees of Ada, and of everybody:

  {pages.address("evidence", lesson_id, user_id)}
  {pages.address("engagement", lesson_id)}

  Watch the same lesson in a browser, for ten seconds, and then your own evidence:

  {pages.address("evidence", lesson_id, "you")}
  {pages.address("watch", lesson_id, "you")}
""",
        flush=True,
    )


if __name__ == "__main__":
    main()
