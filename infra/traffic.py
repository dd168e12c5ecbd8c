"""Which revisions the functions' requests go to: `python -m infra.traffic note | settle | back | latest …`.

Applying a plan sends all requests to the new revisions at once, function by function. Before that `note` writes down
where they go. After the smoke test `settle` leaves it so if that was passed, and sends the requests back if it was not:
then it ends with 1. `back` does so whatever was tested, `latest` is the opposite. Revisions stay, so both take seconds.

gcloud has to be logged in. Nothing but the standard library is needed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra import standing
from infra.standing import ROOT

NOTED = ROOT / "dist/traffic.json"
PASSED = ROOT / "dist/smoke-passed"
PREFIX = "watchledger-"  # of a function's service

Noted = Mapping[str, str]  # the revision that a service sent its requests to


class GcloudFailed(Exception):
    """gcloud said no."""


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m infra.traffic",
        description=description,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("note", "settle", "back", "latest"))
    parser.add_argument("--project", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--function", action="append", metavar="NAME", help="only this one; may be said again")
    chosen = parser.parse_args()
    run, functions = Run(chosen.project, chosen.region), chosen.function or standing.functions()
    try:
        match chosen.what:
            case "note":
                NOTED.parent.mkdir(exist_ok=True)
                PASSED.unlink(missing_ok=True)  # it was another deployment's
                NOTED.write_text(json.dumps(run.serving(), indent=1) + "\n")
            case "latest":
                run.to_latest(functions)
            case "back":
                run.to_noted(noted(), functions)
            case "settle" if PASSED.exists():
                print("the smoke test was passed: all stays as it is")
            case "settle":
                run.to_noted(noted(), functions)
                sys.exit(f"{parser.prog}: the smoke test was not passed: requests go where they went before")
    except (GcloudFailed, OSError) as failure:
        sys.exit(f"{parser.prog}: {failure}")


@dataclass(frozen=True)
class Run:
    """Cloud Run in a region of a project."""

    project: str
    region: str

    def serving(self) -> Noted:
        """The revision that gets a service's requests, or most of them, for those that are deployed."""
        found = {}
        for service in json.loads(self.gcloud("services", "list", "--format=json")):
            name = service["metadata"]["name"]
            shares = {part.get("revisionName"): part.get("percent", 0) for part in service["status"].get("traffic", ())}
            if name.startswith(PREFIX) and shares:
                found[name] = max(shares, key=lambda revision: shares[revision])
        return found

    def to_noted(self, revisions: Noted, functions: Iterable[str]) -> None:
        """Send requests where they went; a function that was not there then is left alone."""
        for function in functions:
            if revision := revisions.get(service(function)):
                self.gcloud("services", "update-traffic", service(function), f"--to-revisions={revision}=100")
                print(f"{function} → {revision}")

    def to_latest(self, functions: Iterable[str]) -> None:
        for function in functions:
            self.gcloud("services", "update-traffic", service(function), "--to-latest")
            print(f"{function} → the latest")

    def gcloud(self, *arguments: str) -> str:
        """What a command of `gcloud run` prints.

        Raises:
            GcloudFailed: it ended with an error.
            OSError: there is no gcloud.
        """
        command = ["gcloud", "run", *arguments, f"--project={self.project}", f"--region={self.region}", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise GcloudFailed(done.stderr.strip())
        return done.stdout


def noted() -> Noted:
    found: Noted = json.loads(NOTED.read_text())
    return found


def service(function: str) -> str:
    return PREFIX + function.replace("_", "-")


if __name__ == "__main__":
    main()
