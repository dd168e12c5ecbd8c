"""What becomes of a month that was archived, and how it comes back."""

from infra.migrate import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(__file__)
