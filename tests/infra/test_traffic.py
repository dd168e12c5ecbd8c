import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import standing, traffic

REPOSITORY = Path(__file__).parents[2]
FUNCTIONS = standing.functions()
SERVICES = [
    {
        "metadata": {"name": "watchledger-close-session"},
        "status": {"traffic": [{"revisionName": "watchledger-close-session-00007-abc", "percent": 100}]},
    },
    {
        "metadata": {"name": "watchledger-find-progress"},
        "status": {
            "traffic": [
                {"revisionName": "watchledger-find-progress-00002-new", "percent": 10},
                {"revisionName": "watchledger-find-progress-00001-old", "percent": 90},
                {"revisionName": "watchledger-find-progress-00003-tag", "tag": "try"},
            ]
        },
    },
    {"metadata": {"name": "watchledger-touch-session"}, "status": {}},  # its first revision never became ready
    {"metadata": {"name": "another"}, "status": {"traffic": [{"revisionName": "another-1", "percent": 100}]}},
]

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def command(tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`infra.traffic` with a gcloud that writes down what it is asked."""
    (tmp_path / "services.json").write_text(json.dumps(SERVICES))
    gcloud = tmp_path / "bin/gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text(
        f'#!/bin/sh\necho "$*" >>{calls}\ncase "$*" in *list*) cat {tmp_path}/services.json;;'
        " *another-region*) echo no such region >&2; exit 1;; esac\n"
    )
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gcloud.parent}:{os.environ['PATH']}")
    program = (
        "import sys; from pathlib import Path; from infra import traffic;"
        f"traffic.NOTED = Path('{tmp_path}/traffic.json'); traffic.PASSED = Path('{tmp_path}/passed'); traffic.main()"
    )

    def run(what: str, *others: str, region: str = "r") -> "subprocess.CompletedProcess[str]":
        arguments = [sys.executable, "-c", program, what, "--project", "p", "--region", region, *others]
        return subprocess.run(arguments, capture_output=True, text=True)

    return run


def changes(calls: Path) -> list[str]:
    return [line for line in calls.read_text().splitlines() if "update-traffic" in line]


BACK = [
    "run services update-traffic watchledger-close-session"
    " --to-revisions=watchledger-close-session-00007-abc=100 --project=p --region=r --quiet",
    "run services update-traffic watchledger-find-progress"
    " --to-revisions=watchledger-find-progress-00001-old=100 --project=p --region=r --quiet",
]


def test_after_a_smoke_test_that_failed_requests_go_where_they_went_before(command: Command, calls: Path) -> None:
    assert command("note").returncode == 0

    done = command("settle")

    assert done.returncode == 1
    assert done.stderr.endswith("the smoke test was not passed: requests go where they went before\n")
    assert changes(calls) == BACK


def test_after_a_smoke_test_that_was_passed_all_stays_as_it_is(command: Command, calls: Path, tmp_path: Path) -> None:
    command("note")
    (tmp_path / "passed").touch()

    assert command("settle").returncode == 0
    assert changes(calls) == []


def test_a_smoke_test_of_the_deployment_before_does_not_count(command: Command, calls: Path, tmp_path: Path) -> None:
    (tmp_path / "passed").touch()
    command("note")

    assert command("settle").returncode == 1
    assert changes(calls) == BACK


def test_one_function_can_be_sent_back_alone(command: Command, calls: Path) -> None:
    command("note")

    assert command("back", "--function", "close_session").returncode == 0
    assert changes(calls) == BACK[:1]


def test_all_can_be_sent_to_the_latest(command: Command, calls: Path) -> None:
    assert command("latest").returncode == 0
    assert [line.split()[3] for line in changes(calls)] == [traffic.service(name) for name in FUNCTIONS]
    assert all("--to-latest" in line for line in changes(calls))


def test_after_a_deployment_that_was_broken_off_requests_go_where_they_went_before_it(tmp_path: Path) -> None:
    for path in ("Makefile", "infra/__init__.py", "infra/traffic.py", "infra/standing.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / path, tmp_path / path)
    bucket, services = tmp_path / "bucket", tmp_path / "services.json"
    bucket.mkdir()
    gcloud = tmp_path / "bin/gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text(
        f'#!/bin/sh\nplace() {{ echo "$1" | sed "s#gs://b/deployment#{bucket}#"; }}\ncase "$*" in'
        f' "run services list"*) cat {services};;'
        ' "storage cp"*) cp "$(place "$3")" "$(place "$4")";;'
        ' "storage rm --quiet"*) rm "$(place "$4")";; esac\n'
    )
    gcloud.chmod(0o755)

    def make(target: str, serving: str, passed: bool = False) -> int:
        traffic = [{"revisionName": serving, "percent": 100}]
        services.write_text(
            json.dumps([{"metadata": {"name": "watchledger-close-session"}, "status": {"traffic": traffic}}])
        )
        if passed:
            (tmp_path / "dist/smoke-passed").touch()
        path = f"{gcloud.parent}:{os.environ['PATH']}"
        arguments = ["make", target, "PROJECT=p", "REGION=r", "STATE_BUCKET=b"]
        return subprocess.run(arguments, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True).returncode

    def noted() -> str:
        found: dict[str, str] = json.loads((bucket / "traffic.json").read_text())
        return found["watchledger-close-session"]

    assert make("note", serving="one") == 0  # and then apply is broken off: a new revision gets the requests
    assert make("note", serving="two") == 0
    assert noted() == "one"
    assert make("traffic", serving="two", passed=True) == 0
    assert make("note", serving="two") == 0
    assert noted() == "two"


def test_what_gcloud_refuses_is_told_in_a_line(command: Command) -> None:
    done = command("latest", region="another-region")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no such region" in done.stderr
