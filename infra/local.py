"""Where things are on this machine: what PORT, DATA_DIR, DATABASE_URL and PG_BIN say, or their defaults."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import postgres

DATABASE = "watchledger"
AUDIENCE = "watchledger"


def port() -> int:
    return int(os.environ.get("PORT") or 8080)


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or ".local").absolute()


def issuer() -> str:
    """The local server as the issuer of development tokens."""
    return f"http://127.0.0.1:{port()}"


@contextmanager
def database() -> Iterator[str]:
    """The URL of the database to work on: DATABASE_URL, or the one in DATA_DIR, started if it does not run."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield url
        return
    with postgres.shared(data_dir(), pg_bin=os.environ.get("PG_BIN")) as cluster:
        yield cluster.dsn(DATABASE)


def configure(database_url: str) -> None:
    """Set for this process what the functions read, as Terraform does for the deployed ones; what is set, stays."""
    defaults = {
        "JWT_ISSUER": issuer(),
        "JWT_AUDIENCE": AUDIENCE,
        "JWKS_URL": f"{issuer()}/.well-known/jwks.json",
    }
    os.environ["DATABASE_URL"] = database_url
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
