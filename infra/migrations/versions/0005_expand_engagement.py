"""What each session watched again and jumped over, and a lesson's sessions by an index."""

from infra.migrate import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(__file__)
