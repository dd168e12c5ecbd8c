"""Every setting, read once from the environment; nothing else in the project reads it.

The README's table says what each is for; a test keeps that table, this module and the Terraform the same.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Settings:
    # The database: an instance name chooses the Cloud SQL connector, a URL a plain connection.
    database_url: str | None
    instance_connection_name: str | None
    database_user: str
    database_name: str
    database_connections: int
    statement_timeout_ms: int
    # Who is asking.
    jwt_issuer: str
    jwt_audience: str
    jwks_url: str
    jwt_role_claim: str
    players_are_trusted: bool
    scheduler_account: str | None
    iam_checks_signatures: bool
    # The jobs.
    job_time_budget_s: float
    archive_url: str | None
    retention_days: int


@dataclass(frozen=True)
class LogSettings:
    google_cloud_project: str | None
    log_pseudonym_key: str | None


@cache
def log_settings() -> LogSettings:
    """The settings of the log lines, which have to be written whatever else is wrong."""
    return LogSettings(
        google_cloud_project=os.environ.get("GOOGLE_CLOUD_PROJECT") or None,
        log_pseudonym_key=os.environ.get("LOG_PSEUDONYM_KEY") or None,
    )


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        WrongSetting: one without a default is not in the environment, or one that should be a number is none.
    """
    env = os.environ
    if not env.get("DATABASE_URL") and not env.get("INSTANCE_CONNECTION_NAME"):
        raise WrongSetting("DATABASE_URL or INSTANCE_CONNECTION_NAME is not set")
    return Settings(
        database_url=env.get("DATABASE_URL") or None,
        instance_connection_name=env.get("INSTANCE_CONNECTION_NAME") or None,
        database_user=env.get("DATABASE_USER", "watchledger"),
        database_name=env.get("DATABASE_NAME", "watchledger"),
        database_connections=_number(int, "DATABASE_CONNECTIONS", "8"),
        statement_timeout_ms=_number(int, "STATEMENT_TIMEOUT_MS", "2000"),
        jwt_issuer=_required("JWT_ISSUER"),
        jwt_audience=_required("JWT_AUDIENCE"),
        jwks_url=_required("JWKS_URL"),
        jwt_role_claim=env.get("JWT_ROLE_CLAIM", "role"),
        players_are_trusted=env.get("PLAYERS_ARE_TRUSTED", "false").lower() == "true",
        scheduler_account=env.get("SCHEDULER_ACCOUNT") or None,
        iam_checks_signatures=env.get("IAM_CHECKS_SIGNATURES", "false").lower() == "true",
        job_time_budget_s=_number(float, "JOB_TIME_BUDGET_S", "240"),
        archive_url=env.get("ARCHIVE_URL") or None,
        retention_days=_number(int, "RETENTION_DAYS", "400"),
    )


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise WrongSetting(f"{name} is not set")
    return value


def _number(kind: type[N], name: str, default: str) -> N:
    text = os.environ.get(name, default)
    try:
        return kind(text)
    except ValueError:
        raise WrongSetting(f"{name}={text} is not a number") from None


class WrongSetting(Exception):
    """A setting is not in the environment, or not what it has to be; the message says which."""
