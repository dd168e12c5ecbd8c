"""A Terraform plan, made without a cloud, and what its load balancer would do with a request.

TERRAFORM_OFFLINE names the program that plans: given a folder, it writes the plan as JSON to PLAN_JSON.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
READ = ("terraform", "docs/runbooks", "player/pages", "player/src")  # by a plan
LEFT_OUT = shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests", "backend.tf")


class NotPlanned(Exception):
    """Terraform refused; what it said."""


@dataclass(frozen=True)
class Resource:
    address: str
    type: str
    name: str
    index: str | None  # its key in a for_each
    values: Mapping[str, Any]

    @property
    def function(self) -> str | None:
        """The function whose module it is in."""
        found = re.match(r'module\.function\["(\w+)"\]', self.address)
        return found[1] if found else None


@dataclass(frozen=True)
class Plan:
    document: Mapping[str, Any]

    @cached_property
    def resources(self) -> list[Resource]:
        return list(resources(self.document["planned_values"]["root_module"]))

    def of(self, kind: str, name: str | None = None) -> list[Resource]:
        return [found for found in self.resources if found.type == kind and name in (None, found.name)]

    def one(self, kind: str, name: str | None = None) -> Mapping[str, Any]:
        [found] = self.of(kind, name)
        return found.values

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """The functions by their entry points."""
        found = {one.values["build_config"][0]["entry_point"]: one.values for one in self.functions_deployed}
        assert len(found) == len(self.functions_deployed)
        return found

    @property
    def functions_deployed(self) -> list[Resource]:
        return self.of("google_cloudfunctions2_function")

    def settings(self, function: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self.functions[function]["service_config"][0]["environment_variables"]
        return found

    def answering(self, method: str, url: str) -> str:
        """Who answers a request at the address: a function, a bucket as `bucket NAME`, or a redirect as `to PATH`."""
        rule = self.rule(method, url)
        if rule.get("url_redirect"):
            return f"to {rule['url_redirect'][0]['path_redirect']}"
        kind, name = rule["service"].split("/")[-2:]
        if kind == "backendBuckets":
            return "bucket " + next(
                str(one.values["bucket_name"])
                for one in self.of("google_compute_backend_bucket")
                if one.values["name"] == name
            )
        service = self._behind(name)
        return next(name for name, function in self.functions.items() if function["name"] == service)

    def rule(self, method: str, url: str) -> Mapping[str, Any]:
        """The route rule that applies: the first, by priority, of which one match rule fits."""
        host, _, path = url.removeprefix("https://").partition("/")
        url_map = self.one("google_compute_url_map", "edge")
        matcher = next(rule["path_matcher"] for rule in url_map["host_rule"] if host in rule["hosts"])
        [rules] = [one for one in url_map["path_matcher"] if one["name"] == matcher]
        for rule in sorted(rules["route_rules"], key=lambda one: int(one["priority"])):
            if any(fits(match, method, f"/{path}") for match in rule["match_rules"]):
                found: Mapping[str, Any] = rule
                return found
        return {"service": rules["default_service"]}

    def _behind(self, backend: str) -> str:
        """The Cloud Run service behind a backend service."""
        [service] = [one.values for one in self.of("google_compute_backend_service") if one.values["name"] == backend]
        group = service["backend"][0]["group"].split("/")[-1]
        [endpoints] = [
            one.values for one in self.of("google_compute_region_network_endpoint_group") if one.values["name"] == group
        ]
        return str(endpoints["cloud_run"][0]["service"])


def resources(module: Mapping[str, Any]) -> Iterator[Resource]:
    for one in module.get("resources", []):
        yield Resource(one["address"], one["type"], one["name"], one.get("index"), one["values"])
    for child in module.get("child_modules", []):
        yield from resources(child)


def fits(match: Mapping[str, Any], method: str, path: str) -> bool:
    """Whether a match rule applies, as Google's documentation of URL maps has it."""
    assert not any(match[one] for one in ("regex_match", "ignore_case", "metadata_filters", "query_parameter_matches"))
    for header in match["header_matches"]:
        assert header["header_name"] == ":method" and not header["invert_match"]
        if header["exact_match"] != method:
            return False
    if match["full_path_match"] is not None:
        return bool(match["full_path_match"] == path)
    if match["path_template_match"] is not None:
        return bool(re.fullmatch(template(match["path_template_match"]), path))
    return path.startswith(match["prefix_match"])


def template(text: str) -> str:
    """A path template as a regular expression.

    >>> template("/sessions/{id=*}/close")
    '/sessions/[^/]+/close'
    """
    variables = re.findall(r"\{\w+=\*\}", text)
    assert 1 <= len(variables) <= 5, "Google accepts up to five variables"
    return re.sub(r"\\\{\w+=\\\*\\\}", "[^/]+", re.escape(text))


def copied(to: Path) -> Path:
    """What a plan reads, elsewhere; without Terraform's own tests, which would run each time."""
    for folder in READ:
        shutil.copytree(REPOSITORY / folder, to / folder, ignore=LEFT_OUT)
    return to


def planner() -> str:
    """The program that plans without a cloud; the test that needs it is left out where there is none."""
    program = os.environ.get("TERRAFORM_OFFLINE")
    if not program:
        pytest.skip("TERRAFORM_OFFLINE names no program that plans without a cloud")
    if not shutil.which("terraform"):
        pytest.skip("there is no terraform on the PATH")
    return program


def plan(repository: Path, *arguments: str) -> Plan:
    """What Terraform would make of a repository.

    Raises:
        NotPlanned: it refuses.
    """
    target = repository / "plan.json"
    given = {"PLAN_JSON": str(target), "TF_VARS": " ".join(arguments), "KEEP": "dist"}
    ran = subprocess.run(
        [planner(), str(repository / "terraform")], env=os.environ | given, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise NotPlanned(ran.stdout + ran.stderr)
    return Plan(json.loads(target.read_text(encoding="utf-8")))
