"""cloudbuild.yaml, as far as it can be told without running it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "cloudbuild.yaml").read_text()
BY_HAND = (REPOSITORY / "cloudbuild-command.yaml").read_text()
TOOLS = ("terraform", "proxy", "gcloud")  # steps that bring one for the others
MAKEFILE = (REPOSITORY / "Makefile").read_text()
BUILT_IN = {
    "PROJECT_ID",
    "PROJECT_NUMBER",
    "BUILD_ID",
    "LOCATION",
    "SHORT_SHA",
    "COMMIT_SHA",
    "BRANCH_NAME",
    "TAG_NAME",
}


def without_comments(text: str) -> str:
    return re.sub(r"(^|\s)#[^\n]*", r"\1", text)


def complaints(text: str) -> Iterator[str]:
    """Substitutions that are not defined or not used, and targets that are not in the Makefile."""
    build = YAML(typ="safe").load(text)
    for name in sorted(set(build) - {"substitutions", "serviceAccount", "timeout", "options", "steps"}):
        yield f"{name} is no part of a build"  # which the schema lets pass
    defined = set(build["substitutions"])
    used = set(re.findall(r"\$\{?([A-Z_][A-Z0-9_]*)\}?", without_comments(text).replace("$$", "")))
    for name in sorted(used - defined - BUILT_IN):
        yield f"{name} is used, and not defined"
    for name in sorted(defined - used):
        yield f"{name} is defined, and not used"
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    for step in build["steps"]:
        for target in targets_of(step):
            if target not in targets:
                yield f"{step['id']}: there is no make {target}"
        if targets_of(step) and not step["name"].startswith("python:"):
            yield f"{step['id']}: {step['name']} has no make, or no Python"


def targets_of(step: dict[str, object]) -> set[str]:
    arguments = [str(argument) for argument in step["args"]]  # type: ignore[attr-defined]
    return set(arguments) if step["entrypoint"] == "make" else set(re.findall(r"\bmake ([a-z]+)", " ".join(arguments)))


def is_valid(path: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(path)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", ["cloudbuild.yaml", "cloudbuild-command.yaml"])
def test_it_is_as_cloud_build_wants_it(name: str) -> None:
    assert is_valid(REPOSITORY / name)


@pytest.mark.parametrize("text", [TEXT, BY_HAND], ids=["pipeline", "by hand"])
def test_every_substitution_is_defined_and_used_and_every_target_is_there(text: str) -> None:
    assert list(complaints(text)) == []


def test_a_command_by_hand_runs_where_the_pipeline_runs() -> None:
    pipeline, by_hand = (YAML(typ="safe").load(text) for text in (TEXT, BY_HAND))
    assert by_hand["serviceAccount"] == pipeline["serviceAccount"]
    assert by_hand["options"]["pool"] == pipeline["options"]["pool"]
    proxies = [step for build in (pipeline, by_hand) for step in build["steps"] if step["id"] == "proxy"]
    assert proxies[0] == proxies[1]


@pytest.mark.parametrize("text", [TEXT, BY_HAND], ids=["pipeline", "by hand"])
def test_who_is_not_root_may_bring_a_tool_too(text: str) -> None:
    first = YAML(typ="safe").load(text)["steps"][0]
    assert "mkdir -p -m 777 bin" in " ".join([first["entrypoint"], *first["args"]])


def test_it_tests_before_it_changes_anything_and_the_database_before_what_needs_it() -> None:
    steps = YAML(typ="safe").load(TEXT)["steps"]
    order = ["test", "package", "migrate", "plan", "note", "apply", "smoke", "traffic"]
    assert [step["id"] for step in steps if step["id"] not in TOOLS] == order
    assert not any("waitFor" in step for step in steps)


def test_each_step_is_one_target_that_people_can_use_too() -> None:
    for step in YAML(typ="safe").load(TEXT)["steps"]:
        if step["id"] in TOOLS:
            continue
        assert step["id"] in targets_of(step)
        assert re.search(rf"^{step['id']}:.* ## \w", MAKEFILE, re.MULTILINE), f"make help does not tell of {step['id']}"


def test_what_takes_something_away_is_done_by_hand() -> None:
    assert "--contract" not in TEXT
    assert "contract" not in set().union(*map(targets_of, YAML(typ="safe").load(TEXT)["steps"]))


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("REGION=${_REGION}", "REGION=${_REGIO}", "_REGIO is used, and not defined"),
        ("PROJECT=$PROJECT_ID", "PROJECT=$PROJECT", "PROJECT is used, and not defined"),
        ("ENVIRONMENT=${_ENVIRONMENT}", "ENVIRONMENT=staging", "_ENVIRONMENT is defined, and not used"),
        ("$$(seq 150)", "$(seq $TIMES)", "TIMES is used, and not defined"),
        ("args: [package]", "args: [packages]", "package: there is no make packages"),
        ("timeout: 5400s", "timeot: 5400s", "timeot is no part of a build"),
        ("make migrate", "make migration", "migrate: there is no make migration"),
        (
            "- id: note\n    name: *python",
            "- id: note\n    name: google-cloud-cli:stable",
            "note: google-cloud-cli:stable has no make, or no Python",
        ),
    ],
)
def test_a_mistake_is_noticed(before: str, after: str, complaint: str) -> None:
    assert before in TEXT
    assert complaint in list(complaints(TEXT.replace(before, after)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("entrypoint: make", "entrypont: make"),
        ("dynamicSubstitutions", "dynamicSubstitution"),
        ("allowFailure: true", "allowFailure: perhaps"),
        ("steps:", "step:"),
    ],
)
def test_what_cloud_build_does_not_know_is_noticed(before: str, after: str, tmp_path: Path) -> None:
    assert before in TEXT
    (tmp_path / "cloudbuild.yaml").write_text(TEXT.replace(before, after))
    assert not is_valid(tmp_path / "cloudbuild.yaml")
