"""What a coverage says, and what an attempt comes to."""

from infra.migrate import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(__file__)
