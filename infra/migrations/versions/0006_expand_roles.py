"""A role for each function, with the rights that its statements need and no others."""

from infra.migrate import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(__file__)
