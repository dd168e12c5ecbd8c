"""What a function stands on, read from the code: modules of `common`, statements, packages from PyPI.

Nothing is imported or run, so the answer is the same on every machine. Imports count wherever they stand, those
inside of functions too. Which statements a function *can run* is followed from definition to definition; a class is
one definition, so it may be a statement too many, never one too few.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent

Definition = tuple[str, str]  # the module and the name


@dataclass
class Module:
    """A module's definitions by name, and what the names that it imports stand for."""

    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)  # alias: module of common
    imported: dict[str, Definition] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)  # as they are imported: google.cloud, jwt
    texts: set[str] = field(default_factory=set)


def functions(root: Path = ROOT) -> list[str]:
    """The names of all functions."""
    return sorted(path.parent.name for path in root.glob("functions/*/main.py"))


def modules(function: str, root: Path = ROOT) -> set[str]:
    """The modules of `common` that a function imports, or that those import: `db` for common/db.py."""
    found: set[str] = set()
    wanted = {"main"}
    while wanted:
        found |= wanted
        read_ones = [read(function, name, root) for name in wanted]
        wanted = {name for module in read_ones for name in needed(module)} - found
    return found - {"main"}


def needed(module: Module) -> set[str]:
    return set(module.modules.values()) | {of for of, _ in module.imported.values()}


def packages(function: str, root: Path = ROOT) -> set[str]:
    """What a function imports from elsewhere, as it is imported: `google.cloud`, `jwt`, and of the standard library."""
    return set().union(*(read(function, name, root).packages for name in {"main"} | modules(function, root)))


def statements_of_modules(function: str, root: Path = ROOT) -> set[str]:
    """The statements that are named anywhere in a function's modules."""
    named = set().union(*(read(function, name, root).texts for name in {"main"} | modules(function, root)))
    return named & statements(root)


def statements(root: Path = ROOT) -> set[str]:
    return {path.stem for path in root.glob("common/sql/*.sql")}


def statements_run(function: str, root: Path = ROOT) -> set[str]:
    """The statements that a function can run."""
    found: set[Definition] = set()
    wanted: set[Definition] = {("main", function)}
    named: set[str] = set()
    while wanted:
        found |= wanted
        following: set[Definition] = set()
        for module_name, name in wanted:
            module = read(function, module_name, root)
            for node in module.definitions.get(name, ()):
                following |= set(mentions(module_name, module, node))
                named |= set(texts(node))
        wanted = following - found
    return named & statements(root)


def mentions(name: str, module: Module, node: ast.AST) -> Iterator[Definition]:
    """The definitions of this house that a definition has in it by name."""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(value=ast.Name(id=alias), attr=attribute) if alias in module.modules:
                yield module.modules[alias], attribute
            case ast.Name(id=used) if used in module.definitions:
                yield name, used
            case ast.Name(id=used) if used in module.imported:
                yield module.imported[used]


def texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def read(function: str, name: str, root: Path) -> Module:
    path = root / (f"functions/{function}/main.py" if name == "main" else f"common/{name}.py")
    return parsed(path.read_text(encoding="utf-8"), path.name)


@cache
def parsed(text: str, file: str) -> Module:
    tree = ast.parse(text)
    module = Module(texts=set(texts(tree)))
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.startswith("common."):
                        raise ValueError(f"{file}: write from common import …, so that it can be followed")
                    module.packages.add(package(alias.name))
            case ast.ImportFrom(module="common", names=names):
                module.modules |= {alias.asname or alias.name: alias.name for alias in names}
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("common."):
                of = source.removeprefix("common.")
                module.imported |= {alias.asname or alias.name: (of, alias.name) for alias in names}
            case ast.ImportFrom(module=str(source)):
                module.packages.add(package(source))
    for statement in tree.body:
        for name in defined(statement):
            module.definitions.setdefault(name, []).append(statement)
    return module


def package(name: str) -> str:
    """
    >>> package("pg8000.native"), package("google.cloud.sql.connector")
    ('pg8000', 'google.cloud')
    """
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "google" else parts[0]


def defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Import() | ast.ImportFrom():
            pass
        case _:
            for part in ast.walk(statement):
                match part:
                    case ast.Name(id=name, ctx=ast.Store()):
                        yield name
                    case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                        yield name
