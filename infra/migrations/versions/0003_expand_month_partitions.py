"""Months of raw rows. Session ids are UUIDv7: the first 48 bits are the milliseconds since 1970, so a month of"""

from infra.migrate import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(__file__)
