"""What each function may do in the database, and what its statements need: `python -m infra.roles [--write | --check]`.

Every function connects as a user who has one role, named after it, with nothing but what its statements need. What
that is, PostgreSQL is asked: a right is needed if some statement is refused without it. Printed is what a migration
has to say so that the roles have what the code needs, no more and no less; nothing if it is so already.

The database is the one of DATABASE_URL, or the local one of DATA_DIR; whoever connects must be a superuser of it.
Nothing is changed in it. --write writes docs/privileges.md, --check exits with 1 if anything is not as it should be.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from common import db
from infra import local, standing
from infra.failures import told_in_a_line
from infra.standing import ROOT

PREFIX = "watchledger_"
TRIAL = "watchledger_trial"  # of a transaction that is never committed
PATH = ROOT / "docs/privileges.md"
TIMEOUT_MS = 60_000
DENIED = "42501"  # SQLSTATE insufficient_privilege
WIDTH = 120
INDENT = " " * 4
PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")
EXPLAINED = """\
Written by `python -m infra.roles --write`; a test compares it with the database. Each function connects as a user whose
only role has its name: `watchledger_<function>`. r: read, i: insert, u: change, d: delete, and never more columns than
its statements name; to lock a row takes u on one column. Partitions are made and dropped by routines that run with
their owner's rights; who may call them stands in the last column. No role can create, alter or drop anything, and none
can read `alembic_version`.
"""
NEW_ROLE = """\
DO $$
BEGIN
    CREATE ROLE {role};
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server has it
END
$$;
"""
LETTERS = {"SELECT": "r", "INSERT": "i", "UPDATE": "u", "DELETE": "d"}


class Right(NamedTuple):
    """A privilege on a table, on one of its columns, or on a routine; ordered as they are shown."""

    target: str  # the table, or the routine with its parameters' types
    place: int  # of the column
    column: str  # empty if it is on the whole
    privilege: str  # as GRANT has it


class Routine(NamedTuple):
    name: str
    call: str  # a statement that calls it, with arguments that nothing is found by
    definition: str
    is_owners: bool  # it runs with its owner's rights

    def is_in(self, text: str) -> bool:
        return re.search(rf"\b{self.name}\(", text) is not None


Rights = Mapping[str, frozenset[Right]]  # by function


def main() -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m infra.roles",
        description=description,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--write", action="store_true", help="write docs/privileges.md")
    chosen.add_argument("--check", action="store_true", help="exit with 1 if anything is not as it should be")
    arguments = parser.parse_args()
    with told_in_a_line(parser.prog), local.database() as url, closing(db.direct(url, TIMEOUT_MS)) as connection:
        given, wanted = granted(connection), needed(connection)
    if arguments.write:
        PATH.write_text(document(given), encoding="utf-8")
    lacking = "".join(changes(given, wanted))
    print(lacking, end="")
    if arguments.check and (lacking or document(given) != PATH.read_text(encoding="utf-8")):
        sys.exit(f"{parser.prog}: roles and code differ; write a migration, then: {parser.prog} --write")


def granted(connection: Any) -> Rights:
    """What the roles that there are have in this database."""
    found: dict[str, set[Right]] = {}
    for role, target, place, column, privilege in connection.run(statement("list_rights"), prefix=PREFIX):
        rights = found.setdefault(role.removeprefix(PREFIX), set())
        if target:
            rights.add(Right(target, place, column, privilege))
    return {function: frozenset(rights) for function, rights in found.items()}


def needed(connection: Any) -> Rights:
    """What the statements of each function need, found out by a role that is taken one right after the other.

    The connection is of no other use any more.
    """
    every = {Right(*row) for row in connection.run(statement("list_possible_rights"))}
    routines = [Routine(*row) for row in connection.run(statement("list_routines"))]
    run_by = {function: standing.statements_run(function) for function in standing.functions()}
    for name in set().union(*run_by.values()):
        connection.run(prepared(name))
    return {function: frozenset(needed_by(connection, names, every, routines)) for function, names in run_by.items()}


def prepared(name: str) -> str:
    """What makes a statement known to PostgreSQL: then it is planned for all parameters, of which nothing is known."""
    numbers = {parameter: f"${number}" for number, parameter in enumerate(parameters(name), 1)}
    return f"PREPARE {name} AS {PARAMETER.sub(lambda found: numbers[found[1]], db.sql(name))}"


def parameters(name: str) -> list[str]:
    return list(dict.fromkeys(PARAMETER.findall(db.sql(name))))


def needed_by(connection: Any, names: set[str], every: set[Right], routines: list[Routine]) -> set[Right]:
    """The rights without any of which some statement is refused.

    To lock a row takes the right to change some column, whichever: the last one is left then.
    """
    questions, left = list(asked(names, routines)), set(every)
    tables = [set(rights) for _, rights in groupby(sorted(every, key=of_table), of_table)]
    with trial(connection, every):
        for some in tables + [{right} for rights in tables for right in sorted(rights)]:
            if some <= left and may_go(connection, some, questions):
                left -= some
    return left


def of_table(right: Right) -> tuple[str, str]:
    return right.target, right.privilege


def asked(names: set[str], routines: list[Routine]) -> Iterator[str]:
    """What PostgreSQL is asked to find out whether statements may be run.

    It checks a statement's rights when it begins, and those that a routine takes only when that is called: so the
    routines are called too, but for those that run with their owner's rights.
    """
    for name in sorted(names):
        yield f"EXPLAIN EXECUTE {name}" + (
            f" ({', '.join(['NULL'] * len(parameters(name)))})" if parameters(name) else ""
        )
    texts, found = {db.sql(name) for name in names}, set[Routine]()
    while texts:
        called = {routine for routine in routines if any(routine.is_in(text) for text in texts)} - found
        found |= called
        texts = {routine.definition for routine in called if not routine.is_owners}
    for routine in sorted(found):
        if not routine.is_owners:
            yield routine.call


@contextmanager
def trial(connection: Any, rights: Iterable[Right]) -> Iterator[None]:
    """A role that has rights, and is gone afterwards."""
    connection.run("BEGIN")
    try:
        connection.run("CREATE ROLE watchledger_trial")
        for line in worded("GRANT", rights, "TO", TRIAL):
            connection.run(line)
        yield
    finally:
        connection.run("ROLLBACK")


def may_go(connection: Any, rights: Iterable[Right], questions: Iterable[str]) -> bool:
    """Take rights from the trial's role; they come back if something is refused then. All of it in one round trip."""
    taken = ["SAVEPOINT taken", *worded("REVOKE", rights, "FROM", TRIAL)]
    asked = ["SAVEPOINT asked", f"SET LOCAL ROLE {TRIAL}", *questions, "ROLLBACK TO asked"]
    try:
        connection.run(";\n".join([*taken, *asked, "RELEASE taken"]))
        return True
    except db.DatabaseError as refusal:
        if db.sqlstate(refusal) != DENIED:
            raise
    connection.run("ROLLBACK TO taken")
    return False


def changes(given: Rights, wanted: Rights) -> Iterator[str]:
    """What makes of the given rights the wanted ones, as SQL."""
    for function in sorted(given.keys() | wanted.keys()):
        if function not in given:
            yield NEW_ROLE.format(role=PREFIX + function)
        role, has, needs = PREFIX + function, given.get(function, frozenset()), wanted.get(function, frozenset())
        for line in [*worded("GRANT", needs - has, "TO", role), *worded("REVOKE", has - needs, "FROM", role)]:
            yield line + ";\n"


def worded(verb: str, rights: Iterable[Right], preposition: str, role: str) -> Iterator[str]:
    """GRANT or REVOKE in SQL, one statement for each table or routine."""
    for target, some in groupby(sorted(rights), lambda right: right.target):
        columns: dict[str, list[str]] = {}
        for right in some:
            columns.setdefault(right.privilege, []).extend([right.column] if right.column else [])
        what = [f"{name} ({', '.join(named)})" if named else name for name, named in sorted(columns.items())]
        where = f"ON {'FUNCTION ' if '(' in target else ''}{target} {preposition} {role}"
        line = f"{verb} {', '.join(what)} {where}"
        if len(line) >= WIDTH:
            line = f"{verb}\n{INDENT}{f',{chr(10)}{INDENT}'.join(map(wrapped, what))}\n{where}"
        yield line


def wrapped(privilege: str) -> str:
    """A privilege with many columns, in several lines."""
    if len(privilege) < WIDTH - len(INDENT):
        return privilege
    name, _, columns = privilege.rstrip(")").partition(" (")
    lines = wrap(columns, WIDTH - 2 * len(INDENT))
    return f"{name} (\n{INDENT * 2}{f'{chr(10)}{INDENT * 2}'.join(lines)}\n{INDENT})"


def document(given: Rights) -> str:
    """The functions' roles as a table to read."""
    rights = {function: given.get(function, frozenset()) for function in standing.functions()}
    tables = sorted({right.target for some in rights.values() for right in some if "(" not in right.target})
    lines = [
        "# What each function may do in the database",
        "",
        EXPLAINED,
        f"| function | {' | '.join(f'`{table}`' for table in tables)} | may call |",
        f"|---|{'---|' * len(tables)}---|",
    ]
    for function, some in rights.items():
        cells = [
            "".join(
                letter for name, letter in LETTERS.items() if (table, name) in {(r.target, r.privilege) for r in some}
            )
            for table in tables
        ]
        calls = ", ".join(f"`{right.target.partition('(')[0]}`" for right in sorted(some) if "(" in right.target)
        lines.append(f"| `{function}` | {' | '.join(cells)} | {calls} |".replace("|  |", "| |").replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def statement(name: str) -> str:
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
