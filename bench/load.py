"""A load generator that costs little: keep-alive HTTP/1.1 on plain sockets, one request at a time on each."""

import re
import selectors
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE_S = 10


@dataclass
class Load:
    """What a server answered in a while, and how fast."""

    seconds: float = 0
    latencies_s: list[float] = field(default_factory=list)  # of what was answered 200
    failures: list[bytes] = field(default_factory=list)  # the other answers

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, percent: int) -> float:
        return quantiles(self.latencies_s, n=100)[percent - 1] * 1000


def run(port: int, connections: int, seconds: float, requests: Iterator[bytes]) -> Load:
    """Keep every connection busy for a while; each sends its next request when it has its answer.

    Raises:
        OSError: the server closed a connection, or was silent for 10 s.
    """
    load = Load()
    with selectors.DefaultSelector() as selector:
        began = perf_counter()
        for _ in range(connections):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(requests))
        while selector.get_map():
            ready = selector.select(PATIENCE_S)
            if not ready:
                raise TimeoutError("the server is silent")
            for key, _ in ready:
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                now = perf_counter()
                if answer.startswith(b"HTTP/1.1 200"):
                    load.latencies_s.append(now - connection.sent_at)
                else:
                    load.failures.append(answer)
                if now - began < seconds:
                    connection.send(next(requests))
                else:
                    selector.unregister(connection.socket)
                    connection.socket.close()
        load.seconds = perf_counter() - began
    return load


def ask(port: int, request: bytes) -> bytes:
    """A server's answer to one request, on a connection of its own.

    Raises:
        OSError: there is none.
    """
    connection = Connection(port)
    with connection.socket:
        connection.send(request)
        while (answer := connection.receive()) is None:
            pass
        return answer


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""

    def send(self, request: bytes) -> None:
        self._received = b""
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Take what has come; the answer when that is all of it.

        Raises:
            ConnectionError: the server closed the connection.
        """
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the server closed a connection")
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head)
        return self._received if blank and length and len(body) >= int(length[1]) else None
