"""Viewers at work while the database is killed under them: `python -m tests.journeys.chaos [--kills N]`.

A viewer posts segments and seeks, beats, closes, comes back and delivers late, and sends everything again that was
not acknowledged. In the end every acknowledged event is there exactly once, and every total is what its events
come to.
"""

import argparse
import os
import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from infra import functions
from infra.recount import Recount
from tests.conftest import Person, Viewer, ok, run, seek, segment

AN_ANSWER_TAKES_S = 3.0
RECOVERY_TAKES_S = 20.0
KILLS = "CHAOS_KILLS"


class Storm:
    """Viewers at work, and what was acknowledged to them."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.refusals = 0
        self.slowest_s = 0.0
        self._changed = threading.Condition()
        self._answers = 0
        self._viewers: list[Future[None]] = []

    def answered(self, events: set[str]) -> None:
        with self._changed:
            self._answers += 1
            self.acknowledged |= events
            self._changed.notify_all()

    def refused(self) -> None:
        with self._changed:
            self.refusals += 1

    def wait_for_answers(self, count: int) -> float:
        """Wait until so many more requests were answered; the seconds that it took until the first."""
        began = monotonic()
        with self._changed:
            before = self._answers
            first_after = 0.0
            while self._answers < before + count and not any(viewer.done() for viewer in self._viewers):
                assert self._changed.wait(RECOVERY_TAKES_S), "the service does not recover"
                first_after = first_after or monotonic() - began
        return first_after

    @contextmanager
    def raging(self, viewers: int) -> Iterator[None]:
        """So many viewers work as long as this lasts; what they ran into is raised at its end."""
        functions.load_all()
        with ThreadPoolExecutor(viewers) as threads:
            self._viewers = [threads.submit(Restless(self, seed).work) for seed in range(viewers)]
            try:
                yield
            finally:
                self.over.set()
            for viewer in self._viewers:
                viewer.result()


class Restless(Viewer):
    """A viewer who does everything that a player may do, and gives nothing up."""

    def __init__(self, storm: Storm, seed: int) -> None:
        super().__init__(f"lesson-{uuid4()}")
        self._storm = storm
        self._random = random.Random(seed)

    def work(self) -> None:
        self.insist("PUT", f"/video/lessons/{self.lesson_id}", {"durationSecond": 7200}, Person(role="service"))
        while not self._storm.over.is_set():
            opened = {"userId": self.user_id, "lessonId": self.lesson_id}
            started = self.insist("POST", "/video/sessions", opened, headers={"Idempotency-Key": str(uuid4())})
            session = f"/video/sessions/{started['sessionId']}"
            for _ in range(self._random.randrange(2, 12)):
                self.post_some(session)
                if self._random.random() < 0.3:
                    self.insist("PUT", f"{session}/heartbeat")
            self.insist("PUT", f"{session}/close")
            if self._random.random() < 0.5:
                self.post_some(session)
            if self._random.random() < 0.2:
                self.insist("PUT", f"/video/attempts/{started['attemptId']}/complete")

    def post_some(self, session: str) -> None:
        at = self._random.randrange(7000)
        body = {
            "segments": [segment(at + n, at + n + 5, speed=1.5) for n in range(self._random.randrange(1, 4))],
            "seeks": [seek(at, at + 60) for _ in range(self._random.randrange(2))],
        }
        events = {event["clientEventId"] for events in body.values() for event in events}
        self._storm.sent |= events
        answer = self.insist("POST", f"{session}/progress", body)
        assert answer["accepted"] + answer["duplicates"] == len(events)
        self._storm.answered(events)

    def insist(self, method: str, path: str, json: Any = None, person: Person | None = None, **options: Any) -> Any:
        """Send a request again and again while the service is not available; anything else is an error."""
        while True:
            began = monotonic()
            response = (person or self).send(method, path, json, **options)
            self._storm.slowest_s = max(self._storm.slowest_s, monotonic() - began)
            if response.status_code != 503:
                return ok(response)
            assert response.headers["Retry-After"]
            self._storm.refused()
            self._storm.over.wait(0.02)


def verify(url: str, storm: Storm) -> None:
    """Everything that was acknowledged is there once, nothing that was not sent is, and the totals are right."""
    stored = run(
        url,
        "SELECT client_event_id::text, count(*) FROM ("
        "SELECT client_event_id FROM watch_segment UNION ALL SELECT client_event_id FROM seek_event"
        ") AS event GROUP BY 1",
    )
    assert {times for _, times in stored} == {1}
    assert storm.acknowledged <= {event for event, _ in stored} <= storm.sent
    with closing(Recount(url)) as recount:
        found = recount.everybody()
    assert found.users
    assert not found.wrong


def progress_bar(steps: int) -> Iterator[int]:
    for step in range(steps):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{'█' * (40 * step // steps):░<40} {step}/{steps}")
        yield step


def kills() -> int:
    """How many times the database is killed."""
    return int(os.environ.get(KILLS, "10"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.journeys.chaos", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="kill it so many times (default: 200)")
    os.environ[KILLS] = str(parser.parse_args().kills)
    return pytest.main(["-s", "tests/journeys/test_outages.py", "-k", "killed"])


if __name__ == "__main__":
    sys.exit(main())
