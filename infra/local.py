"""Where things are on this machine: what PORT, DATA_DIR, DATABASE_URL and PG_BIN say, or their defaults."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from infra import postgres

DATABASE = "watchledger"
AUDIENCE = "watchledger"
READY = "Watchledger is at"  # what the server says as soon as it answers


def port() -> int:
    """The port of the local server.

    Raises:
        ValueError: PORT is none.
    """
    text = os.environ.get("PORT") or "8080"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise ValueError(f"PORT={text} is not a number from 1 to 65535")
    return int(text)


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or ".local").absolute()


def pg_bin() -> str | None:
    """The folder of PostgreSQL's programs, if one was chosen."""
    return os.environ.get("PG_BIN") or None


def address() -> str:
    """The local server, which is the issuer of development tokens too."""
    return f"http://127.0.0.1:{port()}"


def jwks_url() -> str:
    """Where the local server publishes the key of its tokens."""
    return f"{address()}/.well-known/jwks.json"


def scheduler_account() -> str:
    """The account that may call the jobs on this machine."""
    return os.environ.get("SCHEDULER_ACCOUNT") or "scheduler@localhost"


def runs_once() -> bool:
    """Whether the demo ends by itself."""
    return os.environ.get("ONCE", "") not in ("", "0")


def may_use_colours() -> bool:
    """Whether standard output is a terminal that shows colours, to somebody who wants them (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def command(module: str) -> str:
    """How to call a module from a shell so that it works on the same things as this process."""
    chosen = [f"{name}={shlex.quote(os.environ[name])} " for name in ("PORT", "DATA_DIR") if os.environ.get(name)]
    return f"{''.join(chosen)}.venv/bin/python -m {module}"


def has_own_database() -> bool:
    """Whether the database is the one in DATA_DIR; to be asked before `configure`."""
    return not os.environ.get("DATABASE_URL")


@contextmanager
def database(
    server: Callable[..., AbstractContextManager[postgres.Cluster]] = postgres.shared,
) -> Iterator[str]:
    """The URL of the database to work on: DATABASE_URL, or the one in DATA_DIR, started if it does not run.

    Raises: what `postgres.Cluster.start` raises.
    """
    url = os.environ.get("DATABASE_URL")
    if url:
        yield url
        return
    with server(data_dir(), pg_bin=pg_bin()) as cluster:
        yield cluster.dsn(DATABASE)


def configure(database_url: str) -> None:
    """Set for this process what the functions read, as Terraform does for the deployed ones; what is set, stays."""
    defaults = {
        "JWT_ISSUER": address(),
        "JWT_AUDIENCE": AUDIENCE,
        "JWKS_URL": jwks_url(),
        "SCHEDULER_ACCOUNT": scheduler_account(),
        "ARCHIVE_URL": (data_dir() / "archive").as_uri(),
        # A proxy has no way to this machine; and to ask macOS for one, as urllib does, crashes a forked process.
        "no_proxy": "127.0.0.1",
    }
    os.environ["DATABASE_URL"] = database_url
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
