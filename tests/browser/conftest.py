"""Learners in a real Chromium, on the real pages, with the functions behind them and PostgreSQL behind those.

All of it ends with the last test of this folder: others change the settings that the server in these threads has, too.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from infra import pages
from tests.browser.chromium import Chromium, find
from tests.browser.learner import Learner
from tests.browser.served import Served, serving
from tests.conftest import Person

AXE = pages.PLAYER / "node_modules" / "axe-core" / "axe.min.js"
NEEDED: tuple[tuple[str, Callable[[], bool], str], ...] = (
    (
        "Chromium",
        lambda: find() is not None,
        "Debian: apt install chromium; macOS: brew install --cask chromium; or CHROMIUM=/its/path. Then: make browser",
    ),
    ("axe-core", AXE.exists, "cd player && npm ci. Then: make browser"),
)
ALL_THE_WHILE = "all_the_while"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for what, is_there, how_to in NEEDED:
        if not is_there():
            terminalreporter.section(f"{what} is not on this machine", sep="!")
            terminalreporter.line(f"Tests in tests/browser were left out. {how_to}")


def needs(wanted: str) -> None:
    """Leave the test out if something is not there; fail it if CHROMIUM says that the tests are meant to run."""
    for what, is_there, how_to in NEEDED:
        if what == wanted and not is_there():
            (pytest.fail if os.environ.get("CHROMIUM") else pytest.skip)(f"{what} is not on this machine. {how_to}")


@pytest.fixture(scope="package")
def needs_chromium() -> None:
    needs("Chromium")


@pytest.fixture(scope="package")
def axe() -> str:
    """The accessibility checks, as a script."""
    needs("axe-core")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="package")
def server(deployment: None) -> Iterator[tuple[Served, str]]:
    with serving() as (served, address):
        yield served, address


@pytest.fixture(scope="package")
def chromium(needs_chromium: None) -> Iterator[Chromium]:
    """The browser that all learners share, each with a context, and so a storage, of their own."""
    with new_profile() as profile, Chromium.running(profile) as browser:
        yield browser


@contextmanager
def new_profile() -> Iterator[Path]:
    """A folder for a browser; what its last processes still write there, they may."""
    with TemporaryDirectory(prefix="watchledger-chromium-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="package", autouse=True)
def long_before(request: pytest.FixtureRequest) -> None:
    """Begin what goes on all the while with the first test, if there is one that looks at it."""
    if any(ALL_THE_WHILE in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue(ALL_THE_WHILE)


@pytest.fixture(scope="package")
def all_the_while(chromium: Chromium, server: tuple[Served, str]) -> tuple[Learner, Learner, Learner]:
    """Three who have a lesson of ten minutes open while the other tests run: two watch it, one at 16 times the speed;
    the third has paused it."""

    def begin() -> Learner:
        lesson_id = f"lesson-{uuid4()}"
        Person(role="service").put(f"/video/lessons/{lesson_id}", {"durationSecond": 600})
        learner = Learner(chromium, chromium.context(), *server, lesson_id)
        learner.open()
        return learner

    playing, fast, paused = begin(), begin(), begin()
    paused.watch(1)
    playing.do("play()")
    fast.do("speed(16)")
    fast.do("play()")
    return playing, fast, paused


@pytest.fixture
def new_learner(
    chromium: Chromium, server: tuple[Served, str], new_lesson: Callable[..., str]
) -> Iterator[Callable[..., Learner]]:
    """`new_learner(seconds=12, **policy)`: somebody who has opened the Watch page of a lesson with a video so long."""
    contexts = []

    def make(seconds: float = 12, *, script: str = "", way: dict[str, Any] | None = None, **policy: Any) -> Learner:
        context = chromium.context()
        contexts.append(context)
        learner = Learner(chromium, context, *server, new_lesson(durationSecond=seconds, **policy))
        learner.way.__dict__.update(way or {})
        learner.open(script)
        return learner

    yield make
    for context in contexts:
        chromium.forget(context)


@pytest.fixture
def learner(new_learner: Callable[..., Learner]) -> Learner:
    return new_learner()


@pytest.fixture
def own_learner(needs_chromium: None, server: tuple[Served, str], new_lesson: Callable[..., str]) -> Iterator[Learner]:
    """Somebody with a browser of their own, which may be killed; no page is open yet."""
    with new_profile() as profile, Chromium.running(profile) as browser:
        yield Learner(browser, None, *server, new_lesson(durationSecond=12))
