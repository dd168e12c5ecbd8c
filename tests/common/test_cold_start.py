"""What a function imports, and when."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from common import Deferred, defer
from infra import functions

LOAD = """
import sys, functions_framework
functions_framework.create_app(sys.argv[1], sys.argv[2])
from common import RARELY_USED, Deferred
from pydantic.plugin import _loader
print([name for name in RARELY_USED if not isinstance(sys.modules[name], Deferred)], _loader._plugins)
"""
USE = """
import common, sys
import cryptography.x509, dateutil.tz, dateutil.relativedelta, scramp
print(cryptography.x509.Name, dateutil.tz.UTC, dateutil.relativedelta.MO, scramp.ScramClient)
from common import RARELY_USED, Deferred
assert not any(isinstance(sys.modules[name], Deferred) for name in RARELY_USED)
"""


@pytest.fixture
def put_off(monkeypatch: pytest.MonkeyPatch) -> Deferred:
    """A module that the next lines import."""
    monkeypatch.delitem(sys.modules, "xml.sax.saxutils", raising=False)
    monkeypatch.delattr("xml.sax.saxutils", raising=False)
    defer("xml.sax.saxutils")
    stand_in = sys.modules["xml.sax.saxutils"]
    assert isinstance(stand_in, Deferred)
    return stand_in


def test_a_function_loads_without_what_it_rarely_uses() -> None:
    source = functions.FOLDER / "record_progress" / "main.py"

    told = subprocess.run([sys.executable, "-c", LOAD, source.parent.name, source], capture_output=True, text=True)

    assert told.stdout.split() == ["[]", "None"], told.stderr


def test_what_a_function_rarely_uses_is_there_when_it_is_used() -> None:
    subprocess.run([sys.executable, "-c", USE], check=True)


def test_sixteen_threads_that_use_it_at_once_import_it_once(put_off: Deferred) -> None:
    import xml.sax.saxutils

    at_once = Barrier(16, timeout=60)

    def use(_: int) -> object:
        at_once.wait()
        return xml.sax.saxutils.XMLGenerator

    with ThreadPoolExecutor(16) as pool:
        used = set(pool.map(use, range(16)))

    assert used == {xml.sax.saxutils.XMLGenerator}
    assert sys.modules["xml.sax.saxutils"] is not put_off


def test_a_part_of_it_can_be_imported_by_its_name(put_off: Deferred) -> None:
    from xml.sax.saxutils import escape

    assert escape("<") == "&lt;"
    assert sys.modules["xml.sax.saxutils"] is not put_off


def test_what_was_imported_before_stays() -> None:
    before = sys.modules["json"]

    defer("json")

    assert sys.modules["json"] is before
