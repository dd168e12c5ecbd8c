import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from infra import package, roles, standing
from tests import situations
from tests.conftest import AUDIENCE, ISSUER, SCHEDULER_ACCOUNT, SIGNING_KEY, database, deployed, run

REPOSITORY = Path(__file__).parents[2]
FUNCTIONS = standing.functions()
MODULES = sorted(path.stem for path in (REPOSITORY / "common").glob("*.py"))
OTHER_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")


def copy(to: Path) -> Path:
    """What packaging reads, elsewhere."""
    for folder in ("common", "functions", "infra"):
        shutil.copytree(REPOSITORY / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "requirements.txt", to)
    return to


def archives(folder: Path) -> dict[str, str]:
    """The name of each function's archive."""
    index = json.loads((folder / "functions.json").read_text())
    return {function: entry["archive"] for function, entry in index.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    package.build(folder)
    return folder


# Each importer of a module, and nobody else


def imports(path: Path) -> set[str]:
    """The modules of `common` that a file names, wherever in it: found by looking, not by parsing."""
    named = set()
    for group in re.findall(r"from common import ([^#\n(]+|\([^)]*\))", path.read_text()):
        named |= set(re.findall(r"\w+", group))
    return named | set(re.findall(r"from common\.(\w+) import", path.read_text()))


def importers(module: str) -> set[str]:
    """The functions that stand on a module, by following the imports back."""
    if module == "__init__":  # whoever imports any of the others
        return set(FUNCTIONS)
    standing_on = {module}
    while True:
        more = {name for name in MODULES if imports(REPOSITORY / f"common/{name}.py") & standing_on} - standing_on
        if not more:
            break
        standing_on |= more
    return {name for name in FUNCTIONS if imports(REPOSITORY / f"functions/{name}/main.py") & standing_on}


@pytest.mark.parametrize("module", MODULES)
def test_touching_a_module_renames_the_archives_of_its_importers_and_no_others(
    module: str, built: Path, tmp_path: Path
) -> None:
    root = copy(tmp_path / "there")
    with (root / f"common/{module}.py").open("a") as file:
        file.write("# touched\n")

    package.build(tmp_path / "dist", root)

    before, after = archives(built), archives(tmp_path / "dist")
    assert {function for function in FUNCTIONS if before[function] != after[function]} == importers(module)


def test_touching_a_function_or_a_statement_renames_only_who_has_it(built: Path, tmp_path: Path) -> None:
    root = copy(tmp_path / "there")
    for path in (root / "functions/find_lesson/main.py", root / "common/sql/summarize_attempt.sql"):
        path.write_text(path.read_text() + "\n")

    package.build(tmp_path / "dist", root)

    before, after = archives(built), archives(tmp_path / "dist")
    assert {name for name in FUNCTIONS if before[name] != after[name]} == {"find_lesson", "complete_attempt"}


def test_another_version_of_a_package_renames_only_who_needs_it(built: Path, tmp_path: Path) -> None:
    root = copy(tmp_path / "there")
    lock = root / "requirements.txt"
    lock.write_text(re.sub(r"^pyarrow==\S+", "pyarrow==99.0.0", lock.read_text(), flags=re.MULTILINE))

    package.build(tmp_path / "dist", root)

    before, after = archives(built), archives(tmp_path / "dist")
    assert {name for name in FUNCTIONS if before[name] != after[name]} == {"archive_segments"}


# The same bytes everywhere


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def interpreters() -> Iterator[str]:
    """Every Python that is installed here, whatever else it has."""
    yield sys.executable
    found = {shutil.which(name) for name in OTHER_PYTHONS} | set(
        map(str, Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python"))
    )
    for path in sorted(filter(None, found)):
        asked = [path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if subprocess.run(asked, capture_output=True).returncode == 0:
            yield path


@pytest.mark.parametrize("python", list(interpreters()))
def test_archives_are_the_same_to_the_byte_elsewhere(python: str, built: Path, tmp_path: Path) -> None:
    root = copy(tmp_path / "another place")
    for path in root.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    subprocess.run(
        [python, "-I", "-c", SHELL, str(root), str(tmp_path / "dist")],
        cwd="/",
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        umask=0o077,
        check=True,
    )

    assert contents(tmp_path / "dist") == contents(built)


SHELL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from infra import package
package.build(Path(sys.argv[2]))
"""


def test_what_an_archive_is_made_of_does_not_depend_on_the_maker(tmp_path: Path) -> None:
    """Known bytes: a Python that writes others is noticed even if it is the only one here."""
    made = package.zipped({"b.txt": b"two", "a/ü.txt": b"one" * 100})
    assert hashlib.sha256(made).hexdigest() == "e37b10ebfacf708478ee4ec703ece864dfc5376e0256f2d2ee567c1fd42064cc"


def test_archives_of_former_contents_are_removed(tmp_path: Path) -> None:
    (tmp_path / "find_lesson-000000000000.zip").write_bytes(b"")

    package.build(tmp_path)

    assert {path.name for path in tmp_path.glob("*.zip")} == set(archives(tmp_path).values())


def test_an_archives_name_has_its_hash(built: Path) -> None:
    for function, entry in json.loads((built / "functions.json").read_text()).items():
        digest = hashlib.sha256((built / entry["archive"]).read_bytes()).hexdigest()
        assert (entry["sha256"], entry["archive"]) == (digest, f"{function}-{digest[:12]}.zip")


# What it asks for


def test_what_is_locked_is_what_is_tested() -> None:
    lock = package.read_lock((REPOSITORY / "requirements.txt").read_text())
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}

    locked = {name: re.match(r"[^=]+==([^ ]+)", entry).group(1) for name, (entry, _) in lock.items()}  # type: ignore[union-attr]
    assert {name: tested.get(name) for name in locked} == locked


def test_every_version_has_its_hashes() -> None:
    for name, (entry, _) in package.read_lock((REPOSITORY / "requirements.txt").read_text()).items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), name


def test_only_who_archives_gets_the_library_for_parquet() -> None:
    assert {name for name in FUNCTIONS if "\npyarrow==" in package.requirements(name)} == {"archive_segments"}


def test_an_import_that_nothing_brings_is_refused(tmp_path: Path) -> None:
    root = copy(tmp_path)
    path = root / "common/lessons.py"
    path.write_text(f"import numpy\n{path.read_text()}")

    with pytest.raises(package.Unlocked, match=r"find_lesson imports numpy: say in infra/package\.py what brings it"):
        package.build(tmp_path / "dist", root)


def test_a_package_without_a_version_is_refused(tmp_path: Path) -> None:
    root = copy(tmp_path)
    path = root / "requirements.txt"
    path.write_text(re.sub(r"^scramp==.*?^(?=\w)", "", path.read_text(), flags=re.MULTILINE | re.DOTALL))

    assert "scramp" not in package.requirements("find_lesson", root)
    path.write_text(re.sub(r"^pg8000==.*?^(?=\w)", "", path.read_text(), flags=re.MULTILINE | re.DOTALL))
    with pytest.raises(package.Unlocked, match=r"pg8000, which archive_segments needs, is not in requirements\.txt"):
        package.build(tmp_path / "dist", root)


# Alone, as its own role


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with what a function asks for and nothing else, as pip would fill it."""
    folders: dict[str, Path] = {}

    def install(function: str) -> Path:
        asked = package.requirements(function)
        if asked not in folders:
            folders[asked] = tmp_path_factory.mktemp("packages")
            for name in re.findall(r"^([a-z0-9-]+)==", asked, re.MULTILINE):
                for file in importlib.metadata.distribution(name).files or ():
                    if ".." not in file.parts and "__pycache__" not in file.parts:
                        (folders[asked] / file).parent.mkdir(parents=True, exist_ok=True)
                        (folders[asked] / file).symlink_to(Path(str(file.locate())))
        return folders[asked]

    return install


@pytest.fixture(scope="module")
def own_url(server_url: str, deployment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database that jobs may work on, and a user for each function."""
    with database(server_url) as url:
        for function in FUNCTIONS:
            run(
                url,
                f"CREATE ROLE {user(url, function)} LOGIN PASSWORD 'of {function}' IN ROLE {roles.PREFIX}{function}",
            )
        try:
            yield url
        finally:
            for function in FUNCTIONS:
                run(url, f"DROP ROLE {user(url, function)}")


def user(url: str, function: str) -> str:
    """A name that is nobody else's in the cluster."""
    return f"test_{url.partition('watchledger_test_')[2][:12]}_{function}"


def as_user(url: str, function: str) -> str:
    scheme, _, place = url.partition("://")
    return f"{scheme}://{user(url, function)}:{quote(f'of {function}')}@{place.rpartition('@')[2]}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_does_all_that_its_function_can_do_alone_and_as_its_own_role(
    function: str, built: Path, installed: Any, own_url: str, tmp_path: Path
) -> None:
    """With its own files, the packages it asks for, and a database user that has its role."""
    store = (tmp_path / "store").as_uri()
    with deployed(DATABASE_URL=own_url, ARCHIVE_URL=store):
        requests = list(situations.of(function)(own_url))
    with zipfile.ZipFile(built / archives(built)[function]) as archive:
        archive.extractall(tmp_path / "archive")
    files = {path.relative_to(tmp_path / "archive").as_posix() for path in (tmp_path / "archive").rglob("*.*")}
    public = jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    told = {
        "function": function,
        "archive": str(tmp_path / "archive"),
        "packages": str(installed(function)),
        "keys": {"keys": [{**public, "kid": "test", "use": "sig", "alg": "RS256"}]},
        "requests": [asdict(request) for request in requests],
        "modules": [name[7:-3] for name in files if re.fullmatch(r"common/[a-z]\w+\.py", name)],
        "statements": sorted(standing.statements_of_modules(function)),
        "settings": {
            "DATABASE_URL": as_user(own_url, function),
            "JWT_ISSUER": ISSUER,
            "JWT_AUDIENCE": AUDIENCE,
            "JWKS_URL": "http://127.0.0.1:9/never-asked",
            "SCHEDULER_ACCOUNT": SCHEDULER_ACCOUNT,
            "ARCHIVE_URL": store,
        },
    }
    (tmp_path / "told.json").write_text(json.dumps(told))

    alone = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("alone.py")), "told.json", "result.json"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
    )

    assert alone.returncode == 0, alone.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert [status for status, _ in result["answers"]] == [request.status for request in requests], result["answers"]
    assert "moreToDo" not in result["answers"][-1][1] or '"moreToDo":false' in result["answers"][-1][1]
    idle = {"try_lock"} - set(result["run"])  # it is named in db.py, which every function has
    assert set(result["run"]) == standing.statements_run(function) - idle
