"""pgbench running the statement of a progress post, as far as this machine has a pgbench."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from shutil import which
from urllib.parse import parse_qs, urlsplit

from bench import servers
from bench.viewers import Viewer
from common import db
from infra import local, postgres

CLIENTS = 8
SCRIPT = Path(__file__).with_name("pgbench.sql")


@dataclass(frozen=True)
class Run:
    per_second: float
    latency_ms: float
    transactions: int


def find() -> Path | None:
    """The program: beside the `postgres` that PG_BIN names, of an installed PostgreSQL, or on the PATH."""
    return next((program for program in candidates() if program.exists()), None)


def candidates() -> Iterator[Path]:
    if given := local.pg_bin():
        yield Path(given, "pgbench")
    for pattern in postgres.INSTALLED:
        yield from (Path(folder, "pgbench") for folder in sorted(glob(pattern), reverse=True))
    if program := which("pgbench"):
        yield Path(program)


def prepare(url: str, viewers: Sequence[Viewer], folder: Path) -> Path:
    """The script, and the table of viewers that it reads."""
    with closing(db.direct(url, 60_000)) as connection:
        connection.run("CREATE TABLE bench_viewer (n int PRIMARY KEY, session_id uuid, user_id text)")
        for n, viewer in enumerate(viewers):
            connection.run(
                "INSERT INTO bench_viewer VALUES (:n, :session_id, :user_id)",
                n=n,
                session_id=viewer.session_id,
                user_id=viewer.user_id,
            )
        connection.run("ANALYZE bench_viewer")
    # pgbench numbers each mention of a variable anew, so each has to say its type
    statement = re.sub(r"(?<!:):(session_id|user_id|events)\b(?!::)", typed, db.sql("record_progress"))
    script = folder / "pgbench.sql"
    script.write_text(SCRIPT.read_text().format(record_progress=statement.replace(":ended", "false")))
    return script


def typed(variable: "re.Match[str]") -> str:
    return f"{variable[0]}::{'uuid' if variable[1] == 'session_id' else 'text'}"


def run(program: Path, script: Path, url: str, seconds: int) -> Run:
    """Run the script on the servers' core, one thread for all clients.

    Raises:
        subprocess.CalledProcessError: a statement failed.
    """
    parts = urlsplit(url)
    [host] = parse_qs(parts.query)["host"]
    command = [*servers.PINNED, str(program), f"--host={host}", "--username=postgres", "--no-vacuum"]
    command += ["--protocol=prepared", f"--client={CLIENTS}", f"--time={seconds}", "--define=post=0"]
    command += [f"--file={script}", parts.path.lstrip("/")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Run(
        per_second=float(found(r"tps = ([\d.]+)", told)),
        latency_ms=float(found(r"latency average = ([\d.]+)", told)),
        transactions=int(found(r"actually processed: (\d+)", told)),
    )


def found(pattern: str, told: str) -> str:
    match = re.search(pattern, told)
    assert match is not None, told
    return match[1]
