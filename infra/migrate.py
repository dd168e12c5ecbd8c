"""Bring the database's schema up to date: `python -m infra.migrate [--to REVISION]`.

The migrations are plain SQL, run in order by Alembic, each in its own transaction. Two at once take turns.
`NNNN_expand_…` is safe before the functions that need it are deployed; `NNNN_contract_…` only after.
"""

import argparse
from contextlib import closing, suppress
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine

from common import db
from infra import local
from infra.failures import told_in_a_line

MIGRATIONS = Path(__file__).parent / "migrations"
TIMEOUT_MS = 600_000
LOCK = "SELECT pg_advisory_lock(hashtextextended('watchledger.migrate', 0))"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.migrate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--to", default="head", metavar="REVISION", help="stop at this revision (default: the last)")
    arguments = parser.parse_args()
    with told_in_a_line(parser.prog), local.database() as url:
        try:
            before, after = migrate(url, arguments.to)
        except CommandError as error:
            parser.error(str(error))
    print(f"schema {after}, nothing to do" if before == after else f"schema {before or 'empty'} → {after}")


def migrate(url: str, to: str = "head") -> tuple[str | None, str | None]:
    """Run the migrations that are missing, up to a revision; gives the revision before and after.

    The database is made if it does not exist. The lock is another connection's, so that a migration may commit on
    its way, and goes with that connection.

    Raises:
        CommandError: there is no such revision.
    """
    ensure_database(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    options = db.options(url, TIMEOUT_MS) | {"timeout": None}
    engine = create_engine("postgresql+pg8000://", connect_args=options, poolclass=NullPool)
    with closing(db.direct(url, TIMEOUT_MS)) as holder, engine.connect() as connection:
        holder.run(LOCK)
        before = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        after = MigrationContext.configure(connection).get_current_revision()
    return before, after


def ensure_database(url: str) -> None:
    """Make the database that a URL names unless there is one."""
    name = db.options(url, TIMEOUT_MS)["database"]
    with closing(db.direct(url, TIMEOUT_MS, database="postgres")) as connection:
        missing = connection.run(
            "SELECT format('CREATE DATABASE %I', :name::text)"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :name)",
            name=name,
        )
        for [statement] in missing:
            with suppress(db.DatabaseError):  # somebody else made it at this moment
                connection.run(statement)


def run_sql(migration: str) -> None:
    """Run the SQL file beside a migration, in the migration's transaction."""
    op.get_bind().exec_driver_sql(Path(migration).with_suffix(".sql").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
