"""A proxy between the functions and PostgreSQL that reads the messages: it counts them, and cuts connections.

What it knows of the protocol: a message is a letter and its length with itself but without the letter; the first one
of a client has no letter. An answer ends with ReadyForQuery, and what was done with CommandComplete before it.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from common import db

EXECUTE, QUERY = b"E", b"Q"
COMMAND_COMPLETE, READY_FOR_QUERY = b"C", b"Z"
IDLE = b"I"
CONTROL = (b"BEGIN\0", b"COMMIT\0", b"ROLLBACK\0")


class Wire:
    """The proxy, at a URL of its own.

    `cut_when` is asked with an answer's command tag, as `COMMIT` or `SELECT 1`, when PostgreSQL has committed and
    the client has not heard of it: if it says so, the client never does.
    """

    def __init__(self, url: str) -> None:
        chosen = db.options(url, 0)
        self._server = chosen.get("unix_sock") or (chosen["host"], chosen["port"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        parts = urlsplit(url)
        login = quote(chosen["user"]) + (f":{parts.password}" if parts.password else "")
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"postgresql://{login}@{address}{parts.path}?sslmode=disable"
        self.seen: Counter[str] = Counter()
        self.cut_when: Callable[[str], bool] = lambda tag: False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections and cut those there are."""
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut all connections."""
        for end in list(self._open):
            hang_up(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
                server = socket.socket(family)
                try:
                    server.connect(self._server)
                except OSError:
                    client.close()
                    continue
                self._open.update((client, server))
                for end in (client, server):
                    if end.family != socket.AF_UNIX:
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for carry in (self._to_server, self._to_client):
                    threading.Thread(target=self._carry, args=(carry, client, server), daemon=True).start()

    def _carry(self, carry: Callable[[Any, Any], None], client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, EOFError):
            carry(client, server)
        for end in (client, server):
            hang_up(end)
        self._open.difference_update((client, server))

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        stream = client.makefile("rb")
        server.sendall(message(stream, b""))
        while True:
            letter = exactly(stream, 1)
            whole = message(stream, letter)
            if letter in (EXECUTE, QUERY) and whole[5:].upper() not in CONTROL:
                self._count("statements")
            server.sendall(whole)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        stream = server.makefile("rb")
        completed = b""
        while True:
            letter = exactly(stream, 1)
            whole = message(stream, letter)
            if letter == COMMAND_COMPLETE:
                completed = whole  # held back until it is known whether it was a commit
                continue
            if letter == READY_FOR_QUERY:
                self._count("round trips")
                tag = completed[5:-1].decode()
                if tag and whole[5:] == IDLE and tag != "ROLLBACK":
                    self._count("commits")
                    if self.cut_when(tag):
                        self._count("cut commits")
                        return
            client.sendall(completed + whole)
            completed = b""

    def _count(self, what: str) -> None:
        with self._lock:
            self.seen[what] += 1


def message(stream: Any, letter: bytes) -> bytes:
    length = exactly(stream, 4)
    return letter + length + exactly(stream, int.from_bytes(length) - 4)


def exactly(stream: Any, count: int) -> bytes:
    read: bytes = stream.read(count)
    if len(read) < count:
        raise EOFError
    return read


def hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    """A proxy in front of the database of a URL."""
    proxy = Wire(url)
    try:
        yield proxy
    finally:
        proxy.close()
