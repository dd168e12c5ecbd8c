"""The functions as the cloud loads them, all in one process."""

import subprocess
import sys

ASK_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from infra import functions
barrier = Barrier(8, timeout=60)

def ask(_):
    barrier.wait()
    return functions.load_all()

with ThreadPoolExecutor(8) as threads:
    answers = list(threads.map(ask, range(8)))
assert all(answer is answers[0] for answer in answers)
assert {name: function.endpoint.name for name, function in answers[0].items()} == {name: name for name in answers[0]}
"""


def test_who_asks_for_them_first_may_be_many_at_once() -> None:
    subprocess.run([sys.executable, "-c", ASK_AT_ONCE], check=True)
