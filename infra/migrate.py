"""Bring the database's schema up to date: `python -m infra.migrate [--contract] [--to REVISION] [--role ROLE]`.

The migrations are plain SQL, run in order by Alembic, each in its own transaction. Two at once take turns.
`NNNN_expand_…` is safe before the functions that need it are deployed; `NNNN_contract_…` only after, when none of the
functions of before runs any more: it waits for --contract, and so does whatever comes behind it.
"""

import argparse
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine

from common import db
from infra import local
from infra.failures import told_in_a_line

MIGRATIONS = Path(__file__).parent / "migrations"
TIMEOUT_MS = 600_000
PATIENCE_MS = 10_000  # for a lock: who waits for a table holds up all who come after
LOCK = "SELECT pg_advisory_lock(hashtextextended('watchledger.migrate', 0))"


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m infra.migrate", description=description, epilog=details)
    parser.add_argument("--to", default="head", metavar="REVISION", help="stop at this revision (default: the last)")
    parser.add_argument("--contract", action="store_true", help="run the migrations that take something away, too")
    parser.add_argument("--role", help="act as this role, to which everything will belong (default: who connects)")
    arguments = parser.parse_args()
    with told_in_a_line(parser.prog), local.database() as url:
        try:
            before, after = migrate(url, arguments.to, arguments.contract, arguments.role)
        except CommandError as error:
            parser.error(str(error))
        except ContractWaits as waiting:
            sys.exit(f"{parser.prog}: {waiting}")
    print(f"schema {after}, nothing to do" if before == after else f"schema {before or 'empty'} → {after}")


class ContractWaits(Exception):
    """A migration that makes room for others may not be run before one that takes something away."""


def migrate(
    url: str, to: str = "head", contract: bool = True, role: str | None = None
) -> tuple[str | None, str | None]:
    """Run the migrations that are missing, up to a revision; gives the revision before and after.

    The database is made if it does not exist. The lock is another connection's, so that a migration may commit on
    its way, and goes with that connection.

    Raises:
        CommandError: there is no such revision.
        ContractWaits: `contract` is false, and some migration stands behind one that takes something away.
    """
    ensure_database(url, role)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    options = acting_as(role, db.options(url, TIMEOUT_MS)) | {"timeout": None}
    options["startup_params"]["lock_timeout"] = str(PATIENCE_MS)
    engine = create_engine("postgresql+pg8000://", connect_args=options, poolclass=NullPool)
    waits = db.limits(TIMEOUT_MS) | {"idle_session_timeout": "0"}  # the holder of the lock, however long it takes
    with closing(db.direct(url, TIMEOUT_MS, startup_params=waits)) as holder, engine.connect() as connection:
        holder.run(LOCK)
        before = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        config.attributes["connection"] = connection
        last = to if contract else last_expanding(config, before, to)
        if last:
            command.upgrade(config, last)
        after = MigrationContext.configure(connection).get_current_revision()
    return before, after


def last_expanding(config: Config, before: str | None, to: str) -> str | None:
    """The last revision before those that take something away; None if there is nothing to do before them.

    Raises:
        CommandError: there is no such revision.
        ContractWaits: one that makes room for others stands behind one that takes something away.
    """
    scripts = ScriptDirectory.from_config(config)
    scripts.get_revision(to)
    done = {script.revision for script in scripts.iterate_revisions(before or "base", "base")}
    missing = [script for script in scripts.iterate_revisions(to, "base") if script.revision not in done]
    names = [Path(script.path).stem for script in reversed(missing)]
    takes = ["_contract_" in name for name in names]
    first = takes.index(True) if True in takes else len(names)
    if not all(takes[first:]):
        raise ContractWaits(
            f"{names[first]} takes something away, and {names[takes.index(False, first)]} comes behind it."
            " When none of the functions of before runs any more: python -m infra.migrate --contract"
        )
    return names[first - 1].partition("_")[0] if first else None


def acting_as(role: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The driver's arguments, for a session that is another role's from the start."""
    return options | {"startup_params": options["startup_params"] | ({"role": role} if role else {})}


def ensure_database(url: str, role: str | None) -> None:
    """Make the database that a URL names unless there is one."""
    options = acting_as(role, db.options(url, TIMEOUT_MS))
    with closing(db.direct(url, TIMEOUT_MS, **options | {"database": "postgres"})) as connection:
        missing = connection.run(
            "SELECT format('CREATE DATABASE %I', :name::text)"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :name)",
            name=options["database"],
        )
        for [statement] in missing:
            with suppress(db.DatabaseError):  # somebody else made it at this moment
                connection.run(statement)


def run_sql(migration: str) -> None:
    """Run the SQL file beside a migration, in the migration's transaction."""
    op.get_bind().exec_driver_sql(Path(migration).with_suffix(".sql").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
