"""Servers under measurement: each a process tree on a core of its own, its CPU time read from the system."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
ARE_PINNED = len(CORES) > 1 and shutil.which("taskset") is not None
PINNED = ["taskset", "--cpu-list", str(CORES[0])] if ARE_PINNED else []
START_TIMEOUT_S = 20


def leave_their_core() -> None:
    """Keep this process, and what it starts without pinning it, off the core of the servers."""
    if ARE_PINNED and sys.platform == "linux":
        os.sched_setaffinity(0, CORES[1:])


def functions_framework(source: Path, target: str, port: int) -> list[str]:
    """The command that serves a function as it is deployed."""
    program = Path(sys.executable).with_name("functions-framework")
    return [str(program), f"--source={source}", f"--target={target}", "--host=127.0.0.1", f"--port={port}"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on its core, stopped at the end; what it prints goes to the log."""
    with log.open("ab") as out:
        server = subprocess.Popen([*PINNED, *command], stdout=out, stderr=out)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_open(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a server takes connections.

    Raises:
        RuntimeError: it ended, or took too long.
    """
    deadline = monotonic() + START_TIMEOUT_S
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
            return
        if server.poll() is not None or monotonic() > deadline:
            raise RuntimeError(f"{server.args!r} does not answer on port {port}")
        sleep(0.002)


def cpu_seconds(pid: int) -> float:
    """What a process tree has used until now, in user and system mode, with those of its processes that ended."""
    root = psutil.Process(pid)
    used = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
            if process == root and hasattr(times, "children_user"):
                used += times.children_user + times.children_system
    return used
