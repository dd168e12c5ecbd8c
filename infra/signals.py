"""Ctrl-C, SIGTERM and a closed terminal are one wish: to end in good order."""

import signal
import sys
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_in_good_order() -> None:
    """From now on these signals are `SystemExit(0)`, once: the impatient who send another wait all the same."""
    for number in ENDING:
        signal.signal(number, end)


def end(*_: object) -> NoReturn:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
