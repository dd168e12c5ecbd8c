"""The house's laws. Each is a function from the house to its complaints; each complaint says what to do.

What a linter or a type checker can see is theirs; here is what only this house has agreed on.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from common import db
from infra import functions

HOUSE = Path(__file__).parent.parent

Law = Callable[[Path], Iterator[str]]
LAWS: list[Law] = []

PLUMBING = {"auth", "cloud_sql", "config", "db", "errors", "http", "logs", "models", "parsing", "store"}
FIRST_OF_ALL = Path("common/__init__.py")  # what makes cold starts shorter: see docs/decisions/07-small-stack.md
EMPTY_NAMES = {"base", "commons", "helper", "helpers", "manager", "managers", "misc", "repositories", "repository"}
EMPTY_NAMES |= {"controller", "controllers", "service", "services", "util", "utils"}
MAY_CATCH = {
    "archive": "a month that has to wait is named in the answer, and does not stop the others",
    "auth": "a token's refusal is an answer, and an issuer that cannot be reached is bridged",
    "config": "a setting that is no number is told by its name",
    "db": "the driver's errors become one, and a broken connection is replaced",
    "http": "this is where everything that was raised becomes an answer",
    "parquet": "whatever is wrong with a file makes it a damaged one",
    "parsing": "what the models refuse becomes a problem, or a refused item",
    "progress": "an item of a bulk is answered alone, and does not stop the others",
    "store": "what the object stores raise becomes one error",
    "sweeping": "a session that cannot be had is left to the next run, and does not stop the others",
}
LONGEST_MAIN = 30
SAID_OTHERWISE = {"DATABASE_URL": "INSTANCE_CONNECTION_NAME says in the cloud where the database is"}
OF_THE_FRAMEWORK = {"LOG_EXECUTION_ID"}  # which reads it itself


def law(check: Law) -> Law:
    LAWS.append(check)
    return check


def modules(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """The Python files below some folders, by their place in the house."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """What is imported, anywhere: `common.db` by `from common.db import Row` and by `from common import db`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def packages(tree: ast.Module) -> set[str]:
    return {name.partition(".")[0] for name in imported(tree)}


def texts(tree: ast.Module) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


# One name, from the URL to the row.


@law
def a_function_is_a_folder_with_a_main_and_a_test(root: Path) -> Iterator[str]:
    folders = {path.name for path in (root / "functions").iterdir() if path.name != "__pycache__"}
    tests = {path.stem.removeprefix("test_") for path in (root / "tests/functions").glob("test_*.py")}
    for name in sorted(folders):
        files = {path.name for path in (root / "functions" / name).glob("*") if path.name != "__pycache__"}
        if files != {"main.py"}:
            yield f"functions/{name}: leave main.py in it and nothing else; what it does belongs to common/"
    for name in sorted(folders - tests):
        yield f"functions/{name}: write tests/functions/test_{name}.py"
    for name in sorted(tests - folders):
        yield f"tests/functions/test_{name}.py: there is no function of this name; rename or remove it"


@law
def a_main_is_a_docstring_imports_and_one_function_with_the_folders_name(root: Path) -> Iterator[str]:
    for path, tree in modules(root, "functions"):
        lines = len((root / path).read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_MAIN:
            yield f"{path}: {lines} lines; move what it does to common/, at most {LONGEST_MAIN} lines stay"
        docstring, *body = tree.body if ast.get_docstring(tree) else [None, *tree.body]
        definitions = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
        match definitions:
            case [ast.FunctionDef(name=name, decorator_list=[ast.Call(func=ast.Name(id="endpoint"), args=[route])])]:
                if name != path.parent.name:
                    yield f"{path}: call the function {path.parent.name}, as its folder"
                *methods, where = str(ast.literal_eval(route)).split()
                if not (ast.get_docstring(tree) or "").startswith(f"{methods[0]} {where}: "):
                    yield f"{path}: begin the docstring with its route: {methods[0]} {where}: …"
            case _:
                yield f"{path}: keep a docstring, imports and one function with @endpoint(…), nothing else"
        if not docstring:
            yield f"{path}: say in a docstring where it answers and what for"


@law
def the_openapi_document_names_the_functions(root: Path) -> Iterator[str]:
    document = json.loads((root / "docs/openapi.json").read_text(encoding="utf-8"))
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    described = {operation["operationId"].partition("_by_")[0] for operation in operations}
    folders = {path.parent.name for path in (root / "functions").glob("*/main.py")}
    for name in sorted(described ^ folders):
        yield f"{name}: a function or an operation, but not both; run: python -m infra.openapi"


# SQL has its place.


def pattern(built: ast.JoinedStr) -> str:
    """An f-string's text, with an x for what is filled in."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in built.values)


def statements(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted([*root.glob("common/sql/*.sql"), *root.glob("infra/sql/*.sql")])}


def header(text: str) -> list[str]:
    """The lines of a statement's comment, without their dashes."""
    lines = text.splitlines()
    end = next((place for place, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return [line.removeprefix("--").removeprefix(" ") for line in lines[:end]]


def signature(text: str) -> list[str]:
    """The last paragraph of a statement's comment: its parameters and its rows."""
    lines = header(text)
    last = max((place for place, line in enumerate(lines) if not line.strip()), default=-1)
    return lines[last + 1 :]


def cardinality(text: str) -> str | None:
    found = re.search(r"^(one row or none|one row|many rows|no row)\b", "\n".join(signature(text)), re.MULTILINE)
    return found[1] if found else None


def without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


def code(text: str) -> str:
    """A statement without comments and strings."""
    return re.sub(r"'[^']*'", "''", without_comments(text))


def calls(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Where a statement is run by name: the file, `one`, `maybe` or `many`, and the statement."""
    for path, tree in modules(root, "common", "functions", "infra"):
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=("one" | "maybe" | "many") as how), args=[ast.Constant(value=str(name)), *_]
                ):
                    yield path, how, name


@law
def every_statement_is_used_and_every_used_one_exists(root: Path) -> Iterator[str]:
    used = set().union(*(texts(tree) for _, tree in modules(root, "common", "infra")))
    for name, path in statements(root).items():
        if name not in used:
            yield f"{path.relative_to(root)}: nothing runs it; remove it"
    for path, _, name in calls(root):
        if name not in statements(root):
            yield f"{path}: there is no statement {name}; write common/sql/{name}.sql"


@law
def a_statement_has_a_signature(root: Path) -> Iterator[str]:
    for path in statements(root).values():
        text, where = path.read_text(encoding="utf-8"), path.relative_to(root)
        lines = header(text)
        if len(lines) < 3 or not lines[0].strip():
            yield f"{where}: begin with what it does, an empty comment line, and its signature"
        documented = set(re.findall(r":(\w+)", " ".join(re.split(r" {2,}", line)[0] for line in signature(text))))
        taken = set(re.findall(r"(?<![:\w]):([a-z]\w*)", code(text)))
        for name in sorted(taken - documented):
            yield f"{where}: say in the header what :{name} is, two spaces behind it"
        for name in sorted(documented - taken):
            yield f"{where}: the header has :{name}, the statement does not; remove it"
        if cardinality(text) is None:
            yield f"{where}: say how many rows it gives: one row, one row or none, many rows, or no row"


@law
def a_statement_file_has_one_statement(root: Path) -> Iterator[str]:
    for path in statements(root).values():
        if ";" in code(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(root)}: leave one statement in it, without a semicolon"


@law
def a_statement_is_run_for_as_many_rows_as_it_gives(root: Path) -> Iterator[str]:
    fitting = {"one": {"one row", "one row or none"}, "maybe": {"one row or none"}, "many": {"many rows"}}
    known = {name: cardinality(path.read_text(encoding="utf-8")) for name, path in statements(root).items()}
    for path, how, name in calls(root):
        if name in known and known[name] not in fitting[how]:
            yield f"{path}: {how}({name!r}, …), but the statement's header says {known[name]}; change one of them"


@law
def columns_are_named(root: Path) -> Iterator[str]:
    for path in [*statements(root).values(), *sorted(root.glob("infra/migrations/versions/*.sql"))]:
        if re.search(r"\b(SELECT|RETURNING)(\s+DISTINCT)?\s+\*", code(path.read_text(encoding="utf-8")), re.IGNORECASE):
            yield f"{path.relative_to(root)}: name the columns; with * a new one changes what the statement gives"


@law
def sql_is_indented_by_four(root: Path) -> Iterator[str]:
    for path in [*statements(root).values(), *sorted(root.glob("infra/migrations/versions/*.sql"))]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.match(r"(    )*( {1,3}\S|\t)", line):
                yield f"{path.relative_to(root)}:{number}: indent by four spaces, or eight, …"


@law
def no_sql_in_python(root: Path) -> Iterator[str]:
    begins = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|TRUNCATE|LOCK|COPY)\s+\S")
    for path, tree in modules(root, "common", "functions", "infra"):
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and begins.match(pattern(node)):
                yield f"{path}:{node.lineno}: no SQL in an f-string; a statement takes parameters"
        if path.parts[0] != "infra" and any(begins.match(text) for text in texts(tree)):
            yield f"{path}: no SQL in Python; put it in common/sql/"


# Each thing has one place.


@law
def only_config_reads_the_environment(root: Path) -> Iterator[str]:
    for path, tree in modules(root, "common", "functions", "infra"):
        if path not in (Path("common/config.py"), FIRST_OF_ALL, Path("infra/local.py")):
            for node in ast.walk(tree):
                match node:
                    case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "putenv"):
                        yield f"{path}:{node.lineno}: make it a setting of common/config.py (or infra/local.py)"
                    case ast.ImportFrom(module="os", names=names) if {"environ", "getenv"} & {n.name for n in names}:
                        yield f"{path}:{node.lineno}: make it a setting of common/config.py (or infra/local.py)"


@law
def only_db_imports_the_driver(root: Path) -> Iterator[str]:
    for path, tree in modules(root, "common", "functions", "infra"):
        if path != Path("common/db.py") and "pg8000" in packages(tree):
            yield f"{path}: ask common.db; nothing else imports pg8000"


@law
def only_http_knows_the_framework(root: Path) -> Iterator[str]:
    for path, tree in modules(root, "common", "functions"):
        framework = packages(tree) & {"flask", "werkzeug", "functions_framework"}
        if path != Path("common/http.py") and framework:
            yield f"{path}: leave {', '.join(sorted(framework))} to common/http.py; a use case takes and gives models"


@law
def only_boundaries_catch(root: Path) -> Iterator[str]:
    for path, tree in modules(root, "common", "functions"):
        catches = any(isinstance(node, ast.Try) and node.handlers for node in ast.walk(tree))
        if (catches or "contextlib.suppress" in imported(tree)) and not (
            path.parts[0] == "common" and path.stem in MAY_CATCH
        ):
            yield f"{path}: let it be raised, common.http answers; or give the reason in MAY_CATCH"


@law
def imports_flow_one_way(root: Path) -> Iterator[str]:
    domain = {f"common.{path.stem}" for path, _ in modules(root, "common") if path.stem not in PLUMBING | {"__init__"}}
    for path, tree in modules(root, "common", "functions", "infra"):
        above = {"common": {"functions", "infra"}, "functions": {"infra"}, "infra": set()}[path.parts[0]]
        for package in sorted(packages(tree) & (above | {"tests", "bench"})):
            yield f"{path}: does not import {package}; functions and infra stand on common, and nothing on them"
        if path.parts[0] == "common":
            if path.stem in PLUMBING and imported(tree) & domain:
                yield f"{path}: plumbing does not import {', '.join(sorted(imported(tree) & domain))}"
            if path.stem not in PLUMBING and "common.http" in imported(tree):
                yield f"{path}: does not import common.http; it raises problems and gives answers"


@law
def names_say_something(root: Path) -> Iterator[str]:
    for folder in ("common", "functions", "infra", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.stem in EMPTY_NAMES and "__pycache__" not in path.parts:
                yield f"{path.relative_to(root)}: call it by what it is about"


def is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@law
def packages_are_empty(root: Path) -> Iterator[str]:
    for folder in ("common", "functions", "infra", "tests"):
        for path in sorted((root / folder).rglob("__init__.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            is_first = path == root / FIRST_OF_ALL and packages(tree) <= sys.stdlib_module_names
            if not is_first and not all(is_constant(node) for node in tree.body):
                yield f"{path.relative_to(root)}: empty it; what is in it belongs in a module with a name"


@law
def every_problem_can_happen(root: Path) -> Iterator[str]:
    tree = ast.parse((root / "common/errors.py").read_text(encoding="utf-8"))
    problems = {node.name for node in tree.body if isinstance(node, ast.ClassDef)} - {"Problem"}
    named = {
        node.id if isinstance(node, ast.Name) else node.attr
        for path, module in modules(root, "common", "functions", "infra")
        if path not in (Path("common/errors.py"), Path("infra/openapi.py"))
        for node in ast.walk(module)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    for name in sorted(problems - named):
        yield f"common/errors.py: nothing raises {name}; remove it"


@law
def every_setting_is_explained(root: Path) -> Iterator[str]:
    config = ast.parse((root / "common/config.py").read_text(encoding="utf-8"))
    settings = {text for text in texts(config) if re.fullmatch(r"[A-Z][A-Z0-9_]+", text)}
    readme = (root / "README.md").read_text(encoding="utf-8")
    table = readme.partition("\n## Configuration")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *(`.*?`) *\|", table, re.MULTILINE)
    explained = set(re.findall(r"`([A-Z0-9_]+)`", " ".join(rows)))
    for name in sorted(settings - explained):
        yield f"common/config.py: {name} needs a row in README.md's table of settings"
    for name in sorted(explained - settings):
        yield f"README.md: {name} has a row, but common/config.py does not read it; remove one or add the other"
    local = ast.parse((root / "infra/local.py").read_text(encoding="utf-8"))
    for name in sorted(text for text in texts(local) - {"NO_COLOR", "TERM"} if re.fullmatch(r"[A-Z][A-Z0-9_]+", text)):
        if not re.search(rf"\b{name}\b", readme):
            yield f"infra/local.py: say in README.md what {name} is for"


@law
def every_function_has_a_terraform_key_with_its_route_and_nothing_else_has(root: Path) -> Iterator[str]:
    routes = {
        path.parent.name: next(
            str(call.args[0].value)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        )
        for path, tree in modules(root, "functions")
    }
    text = (root / "terraform/functions.tf").read_text(encoding="utf-8")
    keys = dict(re.findall(r'^    (\w+) = \{\n +route += "(.*?)"', text, re.MULTILINE))
    for name in sorted(routes.keys() - keys.keys()):
        yield f'functions/{name}: give it a key in terraform/functions.tf, beginning with route = "{routes[name]}"'
    for name in sorted(keys.keys() - routes.keys()):
        yield f"terraform/functions.tf: there is no function {name}; remove it"
    for name in sorted(keys.keys() & routes.keys()):
        if keys[name] != routes[name]:
            yield f"terraform/functions.tf: {name} answers at {routes[name]}, not at {keys[name]}"


@law
def every_setting_is_set_by_terraform(root: Path) -> Iterator[str]:
    config = ast.parse((root / "common/config.py").read_text(encoding="utf-8"))
    settings = {text for text in texts(config) if re.fullmatch(r"[A-Z][A-Z0-9_]+", text)}
    files = [*root.glob("terraform/*.tf"), *root.glob("terraform/modules/**/*.tf")]
    terraform = "\n".join(path.read_text(encoding="utf-8") for path in files)
    given = set(re.findall(r"(?:^ +|\{ )([A-Z]+(?:_[A-Z0-9]+)+) += ", terraform, re.MULTILINE))
    for name in sorted(settings - given - SAID_OTHERWISE.keys()):
        yield f"common/config.py: {name} is not set; set it in terraform/deployment.tf or modules/function"
    for name in sorted(given - settings - OF_THE_FRAMEWORK):
        yield f"terraform: {name} is set, but common/config.py does not read it; remove it"


@pytest.mark.parametrize("check", LAWS, ids=lambda check: str(check.__name__))
def test_the_house_keeps(check: Law) -> None:
    complaints = list(check(HOUSE))

    assert not complaints, "\n".join(complaints)


# Every law can be broken: a small house, and what is said of it.

ENDPOINT = '@endpoint("PUT /a/{b}", roles={Role.PLAYER})\n'
SIGNED = "-- What it does.\n--\n"
BROKEN: list[tuple[Law, Mapping[str, str], str]] = [
    (
        a_function_is_a_folder_with_a_main_and_a_test,
        {"functions/go/main.py": "", "functions/go/more.py": "", "tests/functions/test_go.py": ""},
        "functions/go: leave main.py in it",
    ),
    (
        a_function_is_a_folder_with_a_main_and_a_test,
        {"functions/go/main.py": ""},
        "functions/go: write tests/functions/test_go.py",
    ),
    (
        a_function_is_a_folder_with_a_main_and_a_test,
        {"functions/go/main.py": "", "tests/functions/test_go.py": "", "tests/functions/test_gone.py": ""},
        "test_gone.py: there is no function of this name",
    ),
    (
        a_main_is_a_docstring_imports_and_one_function_with_the_folders_name,
        {"functions/go/main.py": f'"""PUT /a/{{b}}: x."""\n{ENDPOINT}def leave(): ...\n'},
        "call the function go",
    ),
    (
        a_main_is_a_docstring_imports_and_one_function_with_the_folders_name,
        {"functions/go/main.py": f'"""GET /a: x."""\n{ENDPOINT}def go(): ...\n'},
        "begin the docstring with its route: PUT /a/{b}",
    ),
    (
        a_main_is_a_docstring_imports_and_one_function_with_the_folders_name,
        {"functions/go/main.py": f'"""PUT /a/{{b}}: x."""\nLIMIT = 5\n{ENDPOINT}def go(): ...\n'},
        "keep a docstring, imports and one function",
    ),
    (
        a_main_is_a_docstring_imports_and_one_function_with_the_folders_name,
        {"functions/go/main.py": f"{ENDPOINT}def go(): ...\n"},
        "say in a docstring where it answers",
    ),
    (
        a_main_is_a_docstring_imports_and_one_function_with_the_folders_name,
        {"functions/go/main.py": f'"""PUT /a/{{b}}: x."""\n{ENDPOINT}def go():\n' + "    x\n" * 30},
        "33 lines; move what it does",
    ),
    (
        the_openapi_document_names_the_functions,
        {"functions/go/main.py": "", "docs/openapi.json": '{"paths": {}}'},
        "go: a function or an operation, but not both",
    ),
    (
        every_statement_is_used_and_every_used_one_exists,
        {"common/sql/find_it.sql": "SELECT 1", "common/things.py": ""},
        "common/sql/find_it.sql: nothing runs it",
    ),
    (
        every_statement_is_used_and_every_used_one_exists,
        {"common/things.py": 'db.one("find_it", Row)'},
        "there is no statement find_it",
    ),
    (a_statement_has_a_signature, {"common/sql/x.sql": "-- one row: a\nSELECT 1 AS a"}, "begin with what it does"),
    (
        a_statement_has_a_signature,
        {"common/sql/x.sql": f"{SIGNED}-- one row: a\nSELECT :id::uuid AS a"},
        "say in the header what :id is",
    ),
    (
        a_statement_has_a_signature,
        {"common/sql/x.sql": f"{SIGNED}-- :id  uuid\n-- one row: a\nSELECT ':id'::text AS a -- :id"},
        "the header has :id, the statement does not",
    ),
    (a_statement_has_a_signature, {"common/sql/x.sql": f"{SIGNED}-- some rows: a\nSELECT 1 AS a"}, "say how many rows"),
    (a_statement_file_has_one_statement, {"infra/sql/x.sql": "SELECT ';'; SELECT 1"}, "leave one statement in it"),
    (
        a_statement_is_run_for_as_many_rows_as_it_gives,
        {"common/sql/x.sql": f"{SIGNED}-- many rows: a\nSELECT 1 AS a", "common/things.py": 'tx.maybe("x", Row)'},
        "maybe('x', …), but the statement's header says many rows",
    ),
    (
        a_statement_is_run_for_as_many_rows_as_it_gives,
        {"common/sql/x.sql": f"{SIGNED}-- one row: a\nSELECT 1 AS a", "common/things.py": 'db.many("x", Row)'},
        "many('x', …), but the statement's header says one row",
    ),
    (
        columns_are_named,
        {"common/sql/x.sql": "SELECT count(*), x FROM (\n    SELECT\n        *\n    FROM y)"},
        "name the",
    ),
    (sql_is_indented_by_four, {"common/sql/x.sql": "SELECT\n  1"}, "common/sql/x.sql:2: indent by four"),
    (no_sql_in_python, {"infra/tool.py": 'run(f"DELETE FROM {table}")'}, "infra/tool.py:1: no SQL in an f-string"),
    (no_sql_in_python, {"common/things.py": 'run("""\n    SELECT 1""")'}, "common/things.py: no SQL in Python"),
    (only_config_reads_the_environment, {"infra/tool.py": "import os\nos.environ['X']"}, "infra/tool.py:2: make it a"),
    (only_config_reads_the_environment, {"common/things.py": "from os import getenv"}, "common/things.py:1: make it a"),
    (
        only_db_imports_the_driver,
        {"common/things.py": "def f():\n    import pg8000.native"},
        "nothing else imports pg8000",
    ),
    (only_http_knows_the_framework, {"common/things.py": "from flask import g"}, "leave flask to common/http.py"),
    (only_boundaries_catch, {"common/things.py": "try:\n    x\nexcept E:\n    y"}, "let it be raised"),
    (only_boundaries_catch, {"functions/db/main.py": "try:\n    x\nexcept E:\n    y"}, "let it be raised"),
    (only_boundaries_catch, {"common/things.py": "from contextlib import suppress"}, "let it be raised"),
    (imports_flow_one_way, {"common/things.py": "import infra.local"}, "common/things.py: does not import infra"),
    (imports_flow_one_way, {"functions/go/main.py": "from infra import local"}, "main.py: does not import infra"),
    (imports_flow_one_way, {"infra/tool.py": "from tests import conftest"}, "infra/tool.py: does not import tests"),
    (
        imports_flow_one_way,
        {"common/db.py": "from common import things", "common/things.py": ""},
        "common/db.py: plumbing does not import common.things",
    ),
    (imports_flow_one_way, {"common/things.py": "from common.http import serve"}, "does not import common.http"),
    (names_say_something, {"common/utils.py": ""}, "common/utils.py: call it by what it is about"),
    (names_say_something, {"infra/helpers/tool.py": ""}, "infra/helpers: call it by what it is about"),
    (packages_are_empty, {"common/__init__.py": "from common.db import one"}, "common/__init__.py: empty it"),
    (packages_are_empty, {"infra/__init__.py": "import gc\ngc.set_threshold(50_000)"}, "infra/__init__.py: empty it"),
    (
        every_problem_can_happen,
        {"common/errors.py": "class Problem: ...\nclass Lost(Problem): ...", "common/things.py": '"Lost"'},
        "nothing raises Lost",
    ),
    (
        every_function_has_a_terraform_key_with_its_route_and_nothing_else_has,
        {"functions/go/main.py": f"{ENDPOINT}def go(): ...", "terraform/functions.tf": ""},
        'functions/go: give it a key in terraform/functions.tf, beginning with route = "PUT /a/{b}"',
    ),
    (
        every_function_has_a_terraform_key_with_its_route_and_nothing_else_has,
        {"terraform/functions.tf": '    go = {\n      route = "PUT /a/{b}"\n'},
        "terraform/functions.tf: there is no function go",
    ),
    (
        every_function_has_a_terraform_key_with_its_route_and_nothing_else_has,
        {
            "functions/go/main.py": f"{ENDPOINT}def go(): ...",
            "terraform/functions.tf": '    go = {\n      route = "PUT /b"\n',
        },
        "go answers at PUT /a/{b}, not at PUT /b",
    ),
    (
        every_setting_is_set_by_terraform,
        {"common/config.py": 'env["LEAP_DAYS"]', "terraform/x.tf": "# LEAP_DAYS"},
        "common/config.py: LEAP_DAYS is not set",
    ),
    (
        every_setting_is_set_by_terraform,
        {"common/config.py": "", "terraform/modules/x/main.tf": "    LEAP_DAYS = 1"},
        "terraform: LEAP_DAYS is set, but common/config.py does not read it",
    ),
    (
        every_setting_is_explained,
        {"common/config.py": 'env["COLOUR"]', "infra/local.py": "", "README.md": "\n## Configuration\n"},
        "COLOUR needs a row",
    ),
    (
        every_setting_is_explained,
        {"common/config.py": "", "infra/local.py": "", "README.md": "\n## Configuration\n| `SHAPE`, `SIZE` | | x |\n"},
        "SHAPE has a row",
    ),
    (
        every_setting_is_explained,
        {"common/config.py": "", "infra/local.py": 'env["PORT"]', "README.md": "\n## Configuration\n"},
        "say in README.md what PORT is for",
    ),
]


@pytest.mark.parametrize(
    ("check", "files", "complaint"), BROKEN, ids=[f"{check.__name__}: {said}" for check, _, said in BROKEN]
)
def test_a_broken_law_is_noticed(check: Law, files: Mapping[str, str], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    found = list(check(tmp_path))

    assert any(complaint in said for said in found), found


def test_every_law_was_broken_once() -> None:
    assert {check for check, _, _ in BROKEN} == set(LAWS)


# What only the running things can tell.


def test_functions_at_one_path_allow_each_others_methods() -> None:
    endpoints = [function.endpoint for function in functions.load_all().values()]
    for endpoint in endpoints:
        methods = {method for other in endpoints if other.path == endpoint.path for method in other.methods}
        assert set(endpoint.allow) == methods, f"{endpoint.name}: name the others' methods in @endpoint(…, beside=…)"


def columns(text: str) -> list[str]:
    """The columns that a statement's header names: what is in brackets or has several words explains them."""
    rows = re.split(r"^(?:one row|many rows)[^:]*: ", "\n".join(signature(text)), flags=re.MULTILINE)[-1]
    named = [part.strip() for part in re.sub(r"\([^)]*\)", "", rows).split(",")]
    return [part for part in named if re.fullmatch(r"\w+", part)]


@pytest.mark.parametrize("name", statements(HOUSE))
def test_postgresql_takes_every_statement_and_gives_the_columns_of_its_header(name: str, database_url: str) -> None:
    text = statements(HOUSE)[name].read_text(encoding="utf-8")
    while found := re.search(r": as (\w+)$", text, re.MULTILINE):  # `one row: as find_lesson`
        text = statements(HOUSE)[found[1]].read_text(encoding="utf-8")
    with closing(db.direct(database_url, 10_000)) as connection:
        prepared = connection.prepare(without_comments(statements(HOUSE)[name].read_text(encoding="utf-8")))
        given = [column["name"] for column in prepared.cols or ()]

    assert given == ([] if cardinality(text) == "no row" else columns(text)), "name them in the header, in this order"
