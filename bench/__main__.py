"""How fast Watchledger is, beside what it stands on and what else it could have been: `python -m bench [--quick]`.

Each part is a program of its own: bench.sweep, bench.archive, bench.serving.
"""

import argparse
import subprocess
import sys

PARTS = ("sweep", "archive", "serving")


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench", description=description, epilog=details)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a glance, not a measurement")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (default: all)")
    chosen = parser.parse_args()
    failed = 0
    for part in chosen.only or PARTS:
        print(f"\n== {part} ==", flush=True)
        command = [sys.executable, "-m", f"bench.{part}", *(["--quick"] if chosen.quick else [])]
        failed |= subprocess.run(command, check=False).returncode
    sys.exit(failed)


if __name__ == "__main__":
    main()
