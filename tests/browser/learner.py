"""Somebody who watches a lesson in a browser, what they really watched, and what was recorded of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common.config import settings
from tests.browser.chromium import Chromium, Page, eventually
from tests.browser.served import Served, Way
from tests.conftest import Person, run

WITNESS = (Path(__file__).parent / "witness.js").read_text(encoding="utf-8")
PRECISE_S = 0.05
PICTURE_S = 0.04

Stretch = tuple[float, float, float]  # from, to, speed
Range = tuple[float, float]


class Learner(Person):
    """A player at a lesson, whose requests the pages send, and who acts through the witness in them."""

    def __init__(self, browser: Chromium, context: str | None, served: Served, address: str, lesson_id: str) -> None:
        super().__init__()
        self.browser, self.context, self.lesson_id = browser, context, lesson_id
        self.way = served.ways.setdefault(self.user_id, Way())
        self.origin = address
        self.url = f"{address}/watch/?lesson={quote(lesson_id)}&user={quote(self.user_id)}"
        self.page: Page

    def open(self, script: str = "") -> Page:
        """The Watch page in a new tab, until its video can be played."""
        self.page = self.browser.open(self.url, self.context, WITNESS + script)
        self.page.wait("witness.video?.readyState >= 3")
        return self.page

    def do(self, script: str) -> Any:
        return self.page.evaluate(f"witness.{script}")

    def watch(self, until: float, speed: float = 1) -> float:
        """Play on until a place, at a speed, then pause; the place where it rests."""
        self.do(f"speed({speed})")
        self.do("play()")
        self.do(f"passes({until})")
        rests: float = self.do("pause()")
        return rests

    def settle(self) -> None:
        """Wait until the page says that all is recorded."""
        self.page.wait("document.querySelector('.record')?.textContent === 'Recorded'", 30)

    def progress(self) -> Any:
        return self.get(f"/video/users/{self.user_id}/lessons/{self.lesson_id}/progress")

    def seeks(self) -> list[Range]:
        """The jumps that were recorded, in their order."""
        rows = run(
            settings().database_url or "",
            "SELECT from_ms, to_ms FROM seek_event WHERE user_id = :user_id ORDER BY occurred_at",
            user_id=self.user_id,
        )
        return [(start / 1000, end / 1000) for start, end in rows]

    def check(self) -> Any:
        """What is recorded is what was watched on this page and on those before it; what the service says of it."""
        self.settle()
        assert self.page.complaints == self.do("refused") == []
        return self.compare(self.do("told()"))

    def compare(self, watched: Sequence[Stretch]) -> Any:
        """Each stretch that is recorded begins and ends where it did, to PRECISE_S, and took as long."""
        truth = union((start, end) for start, end, _ in watched)
        progress = self.progress()["aggregates"]
        recorded = [(start, end) for start, end in progress["watchedRanges"]]
        told = f"watched {watched}, recorded {recorded}"
        assert len(recorded) == len(truth), told
        for due, found in zip(truth, recorded, strict=True):
            assert abs(due[0] - found[0]) <= PRECISE_S and abs(due[1] - found[1]) <= PRECISE_S, told
        spent = sum((end - start) / speed for start, end, speed in watched)
        assert abs(progress["effectiveSecond"] - spent) <= PRECISE_S * len(watched), f"{spent} s, {progress}, {told}"
        assert progress["integrity"] == "plausible"
        return progress

    def eventually_compare(self, watched: Sequence[Stretch]) -> Any:
        """As `compare`, when no page is left that could say that all is recorded."""
        due = sum(end - start for start, end in union((start, end) for start, end, _ in watched))
        eventually(lambda: abs(self.progress()["aggregates"]["coverageSecond"] - due) <= PRECISE_S * len(watched), 15)
        return self.compare(watched)

    def saw(self) -> None:
        """Every picture that was shown lies in what was watched: the witness agrees with itself."""
        truth = self.do("told()")
        around = [(start - 2 * PICTURE_S * speed, end + 2 * PICTURE_S * speed) for start, end, speed in truth]
        lost = [place for place in self.do("pictures") if not any(start <= place <= end for start, end in around)]
        assert lost in ([], [0]), f"{lost} were shown, but not in {truth}"  # before anything plays, there is one


def union(ranges: Iterable[Range]) -> list[Range]:
    """
    >>> union([(5, 9), (0, 5), (3, 4), (12, 13)])
    [(0, 9), (12, 13)]
    """
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1] + 0.001:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
