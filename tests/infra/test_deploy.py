"""docs/deploy.md against what it tells of: whoever follows it finds what is named there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from infra import roles, traffic
from tests.infra.test_cloudbuild import TOOLS

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs/deploy.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TERRAFORM = "\n".join(path.read_text() for path in sorted((REPOSITORY / "terraform").rglob("*.tf")))
BUILD, BY_HAND = (
    YAML(typ="safe").load((REPOSITORY / name).read_text()) for name in ("cloudbuild.yaml", "cloudbuild-command.yaml")
)


@pytest.mark.parametrize("block", BLOCKS)
def test_its_commands_can_be_read_by_a_shell(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_target_is_in_the_makefile() -> None:
    named = set(re.findall(r"(?:^|[`'])make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"bootstrap", "apply", "contract", "back", "proxy", "migrate"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_every_tool_is_there_and_takes_what_it_is_given() -> None:
    calls = re.findall(r"python3? -m (infra\.\w+)((?: [^`\n]+)?)", TEXT)
    assert {"infra.roles", "infra.recount", "infra.restore", "infra.traffic"} <= {module for module, _ in calls}
    for module, arguments in set(calls):
        told = subprocess.run([sys.executable, "-m", module, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
        assert told.returncode == 0, module
        for option in re.findall(r"--[a-z-]+", arguments):
            assert option in told.stdout, f"{module} {option}"


def test_every_output_of_terraform_is_there() -> None:
    asked = set(re.findall(r"terraform -chdir=terraform output (?:-raw )?(\w+)", TEXT + MAKEFILE))
    assert asked == {"dns_records", "url"}
    assert all(f'output "{name}" {{' in TERRAFORM for name in asked)


def test_every_variable_that_is_to_be_set_is_one() -> None:
    told = TEXT.partition("set `project_id`")[2].partition("what else")[0]
    named = {"project_id", "deployers", *re.findall(r"`(\w+)`", told)}
    assert {"region", "domain", "alert_email", "tokens"} <= named
    assert all(f'variable "{name}" {{' in TERRAFORM for name in named)


def test_every_substitution_is_one_of_the_pipeline() -> None:
    given = set(re.findall(r"\b(_[A-Z_]+)=", TEXT))
    assert given == {"_ENVIRONMENT", "_REGION", "_TOKEN_COMMAND", "_COMMAND"}
    assert given <= {*BUILD["substitutions"], *BY_HAND["substitutions"]}


def test_it_explains_the_pipelines_steps_in_their_order() -> None:
    told = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert told == [step["id"] for step in BUILD["steps"] if step["id"] not in TOOLS]


def test_what_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\((?!https://)([^)#]+)", TEXT):
        assert (REPOSITORY / "docs" / link).exists(), link


def test_what_is_made_before_the_first_run_is_in_terraform() -> None:
    [ground] = re.findall(r"^ground = (.*?[^\\])$", MAKEFILE, re.MULTILINE | re.DOTALL)
    for resource in ground.replace("\\\n", "").split():
        kind, name = resource.split(".")
        assert f'resource "{kind}" "{name}" {{' in TERRAFORM, resource


def test_names_that_are_terraforms_are_the_same_everywhere() -> None:
    """The migrator's account, the server, the database, the services, the roles, the build machines."""
    assert 'account_id   = "wl-migrate"' in TERRAFORM
    assert "MIGRATOR = wl-migrate@$(PROJECT).iam" in MAKEFILE
    assert re.search(r'name += "watchledger"\n', TERRAFORM)
    assert "$(PROJECT):$(REGION):watchledger" in MAKEFILE
    assert "/watchledger?sslmode=disable" in MAKEFILE
    assert BUILD["options"]["pool"]["name"].endswith("/workerPools/watchledger")
    assert f'"{roles.PREFIX}${{var.name}}"' in TERRAFORM
    assert f'"{traffic.PREFIX}${{local.hyphenated}}"' in TERRAFORM
    assert 'variable "packages"' in TERRAFORM
    assert 'default     = "../dist"' in TERRAFORM
