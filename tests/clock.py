"""How long something takes, on a machine that now and then lets nobody here run, as a virtual one may."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

TICK_S = 0.02
STALL_S = 0.1  # threads wait for each other that long, too


class Stalls:
    """How many seconds, in all, a thread that asks for next to nothing was not let run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = Event()
        self._ticking = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Stalls":
        self._ticking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticking.join()

    def _tick(self) -> None:
        is_over, before = False, monotonic()
        while not is_over:
            is_over = self._over.wait(TICK_S)
            now = monotonic()
            late, before = now - before - TICK_S, now
            self.seconds += late if late > STALL_S else 0


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """What is done here takes less, the machine's own stalls left out."""
    with Stalls() as stalls:
        began = monotonic()
        yield
        took = monotonic() - began
    assert took - stalls.seconds < seconds
