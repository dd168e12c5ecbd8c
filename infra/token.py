"""Print a development token for the local server: `python -m infra.token --user USER [--role ROLE] [--ttl SECONDS]`.

It is signed with the key in DATA_DIR and names the server on PORT as its issuer, so it is worth nothing elsewhere.
"""

import argparse

from common.auth import Role
from infra import issuer


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.token",
        description="Print a development token for the local server on PORT (8080), whose key is in DATA_DIR (.local).",
        epilog="player: what belongs to the user; manager: reads anyone's; service: writes lessons, acts for users; "
        "scheduler: runs the jobs",
    )
    parser.add_argument("--user", required=True, help="whom the token is for (sub)")
    parser.add_argument("--role", default="player", choices=[str(role) for role in Role], help="default: player")
    parser.add_argument("--ttl", default=3600, type=seconds, metavar="SECONDS", help="how long it is valid: 3600")
    arguments = parser.parse_args()
    try:
        print(issuer.sign(arguments.user, Role(arguments.role), arguments.ttl))
    except (OSError, ValueError) as error:
        parser.error(str(error))


def seconds(text: str) -> int:
    """A number of seconds, at least one."""
    if int(text) < 1:
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
