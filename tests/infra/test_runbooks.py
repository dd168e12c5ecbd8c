"""What docs/runbooks tells somebody to do in the night can be done."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import MonthWaiting, PartitionsMaintained
from infra import standing
from infra.traffic import service
from tests.conftest import run

REPOSITORY = Path(__file__).parents[2]
RUNBOOKS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(REPOSITORY.glob("docs/runbooks/*.md"))}
ALL = "\n".join(RUNBOOKS.values())
FILLED_IN = {"PROJECT", "REGION", "DOMAIN", "JWKS_URL"}  # by Terraform, as an alert is made
LOGGED = {"message", "function", "user", "role", "problem", "cause", "stack"}  # see common/logs.py
OF_THE_EDGE = {"enforcedSecurityPolicy"}  # which Google logs
TERRAFORM = "".join(path.read_text() for path in (REPOSITORY / "terraform").glob("*.tf"))
WORDS = TERRAFORM + (REPOSITORY / "docs/schema.sql").read_text() + (REPOSITORY / "common/models.py").read_text()
NAMES = {service(name) for name in standing.functions()} | {"watchledger-replica", "watchledger-archive"}


def commands(text: str) -> Iterator[str]:
    """What is to be pasted into a shell: blocks, and what begins with a program within a line."""
    yield from re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    yield from re.findall(r"`((?:gcloud|make|dig|curl) [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def statements(text: str) -> Iterator[str]:
    for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL):
        yield from filter(str.strip, block.split(";"))
    yield from re.findall(r"`((?:SELECT|ANALYZE) [^`]+)`", text)


@pytest.mark.parametrize("name", RUNBOOKS)
def test_its_commands_can_be_read_by_a_shell_and_need_nothing_that_is_not_filled_in(name: str) -> None:
    for command in commands(RUNBOOKS[name]):
        done = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert set(re.findall(r"\$\{?(\w+)", RUNBOOKS[name])) <= FILLED_IN


@pytest.mark.parametrize("name", RUNBOOKS)
def test_no_command_goes_to_the_project_that_happens_to_be_the_shells(name: str) -> None:
    for command in commands(RUNBOOKS[name]):
        for call in re.findall(r"gcloud (?!auth)(?:[^|]|\|(?! ))+", command):
            assert "--project=$PROJECT" in call, call
        for call in re.findall(r"make back.*", command):
            assert call == "make back PROJECT=$PROJECT REGION=$REGION"


@pytest.mark.parametrize("name", RUNBOOKS)
def test_its_statements_run(name: str, database_url: str) -> None:
    for statement in statements(RUNBOOKS[name]):
        run(database_url, re.sub(r"\((?:PID|pid)\)(?! FROM)", "(0)", statement))


def test_what_it_looks_for_in_the_logs_is_logged() -> None:
    answers = {field.alias for model in (MonthWaiting, PartitionsMaintained) for field in model.model_fields.values()}
    assert set(re.findall(r"jsonPayload\.(\w+)", ALL)) <= LOGGED | OF_THE_EDGE | answers


def test_what_it_names_is_there() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert set(re.findall(r"\bwatchledger(?:-[a-z]+)+", ALL)) <= NAMES
    assert set(re.findall(r"`make ([a-z]+)", ALL)) <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for variable in re.findall(r"`(?:database|objectives|instances|tokens|archive)\.(\w+)", ALL):
        assert re.search(rf"\b{variable}\b", TERRAFORM), variable
    for word in re.findall(r"`([a-z]+_[a-z_]+)`", ALL):
        others = set(standing.functions()) | standing.statements()
        assert word in RUNBOOKS.keys() | others or re.search(rf"\b{word}\b", WORDS), word


def test_its_tools_are_there() -> None:
    calls = set(re.findall(r"python -m (infra\.\w+)(?: [\w-]+)?((?: --[\w-]+)*)", ALL))
    assert {module for module, _ in calls} == {"infra.recount", "infra.restore", "infra.jobs"}
    for module, options in calls:
        told = subprocess.run([sys.executable, "-m", module, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
        assert told.returncode == 0
        assert all(option in told.stdout for option in options.split())
