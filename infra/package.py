"""Build the archive of every function from which the cloud deploys it: `python -m infra.package [--to dist]`.

An archive has the function, the modules of `common` that it imports, the statements that these name, and the exact
versions of the packages that it needs. Its name has its content in it, so what did not change keeps its name and is
not deployed again. Its bytes are the same on every machine: nothing but the standard library is used, nothing is
compressed, and times and modes are always the same.
"""

import argparse
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from infra import standing
from infra.standing import ROOT

INDEX = "functions.json"
LOCK = "requirements.txt"  # of all functions together, made by `make lock`
NEVER = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say

# What is imported, and what has to be installed for it. The framework runs every function.
DISTRIBUTIONS = {
    "flask": {"functions-framework"},
    "google.cloud": {"cloud-sql-python-connector"},
    "jwt": {"pyjwt", "cryptography"},  # cryptography is an extra of it, for keys that are not shared
    "pg8000": {"pg8000"},
    "pyarrow": {"pyarrow"},
    "pydantic": {"pydantic"},
    "pydantic_core": {"pydantic"},
    "uuid_utils": {"uuid-utils"},
    "werkzeug": {"functions-framework"},
}
ALWAYS = {"functions-framework"}


class Unlocked(Exception):
    """Something is imported that no version is locked of."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--to", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist")
    folder: Path = parser.parse_args().to
    try:
        made = build(folder)
    except Unlocked as lack:
        sys.exit(f"{parser.prog}: {lack}")
    print(f"{len(made)} archives and {INDEX} are in {folder}")


def build(folder: Path, root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Write all archives and their index; archives of former contents are removed.

    Raises:
        Unlocked: a package is not in the lock.
    """
    index: dict[str, dict[str, str]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for function in standing.functions(root):
        content = zipped(files(function, root))
        digest = hashlib.sha256(content).hexdigest()
        index[function] = {"archive": f"{function}-{digest[:12]}.zip", "sha256": digest}
        (folder / index[function]["archive"]).write_bytes(content)
    kept = {entry["archive"] for entry in index.values()}
    for path in folder.glob("*.zip"):
        if path.name not in kept:
            path.unlink()
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return index


def files(function: str, root: Path = ROOT) -> dict[str, bytes]:
    """What is in a function's archive, by its place there."""
    paths = {"main.py": root / "functions" / function / "main.py", "common/__init__.py": root / "common/__init__.py"}
    for name in standing.modules(function, root):
        paths[f"common/{name}.py"] = root / "common" / f"{name}.py"
    for name in standing.statements_of_modules(function, root):
        paths[f"common/sql/{name}.sql"] = root / "common/sql" / f"{name}.sql"
    found = {place: path.read_bytes() for place, path in paths.items()}
    return found | {"requirements.txt": requirements(function, root).encode()}


def zipped(content: Mapping[str, bytes]) -> bytes:
    """A ZIP of files, each stored as it is: compressors differ from machine to machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for place in sorted(content):
            info = zipfile.ZipInfo(place, NEVER)
            info.create_system = 3  # Unix, or the mode would not count
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content[place])
    return buffer.getvalue()


def requirements(function: str, root: Path = ROOT) -> str:
    """The packages that a function needs, and those that these need, as pip reads them: versions and hashes."""
    lock = read_lock((root / LOCK).read_text(encoding="utf-8"))
    wanted = direct(function, root)
    found: set[str] = set()
    while wanted:
        if missing := sorted(wanted - lock.keys()):
            raise Unlocked(f"{', '.join(missing)}, which {function} needs, is not in {LOCK}; run: make lock")
        found |= wanted
        wanted = {name for name, (_, users) in lock.items() if users & wanted} - found
    return "".join(lock[name][0] for name in sorted(found))


def direct(function: str, root: Path = ROOT) -> set[str]:
    """The packages that a function's modules import, and the framework."""
    imported = {name for name in standing.packages(function, root) if name not in sys.stdlib_module_names}
    if unknown := sorted(imported - DISTRIBUTIONS.keys()):
        raise Unlocked(f"{function} imports {', '.join(unknown)}: say in infra/package.py what brings it")
    return ALWAYS.union(*(DISTRIBUTIONS[name] for name in imported))


@cache
def read_lock(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Each package's lines as they stand in the lock, and the packages that need it, as `# via …` says."""
    found = {}
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        kept, notes = parted(entry.splitlines(keepends=True))
        name = re.split(r"[=\[ ]", entry, maxsplit=1)[0]
        users = frozenset(note for note in notes if re.fullmatch(r"[a-z0-9-]+", note))
        found[name] = "".join(kept), users
    return found


def parted(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Lines without the comments, and what the comments say."""
    kept, notes = [], []
    for line in lines:
        if line.lstrip().startswith("#"):
            notes.append(line.strip().lstrip("# ").removeprefix("via").strip())
        else:
            kept.append(line)
    return kept, notes


if __name__ == "__main__":
    main()
