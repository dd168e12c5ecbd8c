"""The record: lessons, attempts, sessions, and the raw segments and seeks they are made of."""

from infra.migrate import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql(__file__)
