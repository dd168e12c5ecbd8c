"""The three stores that an archive may lie in: a folder, S3 as moto serves it, Cloud Storage as its emulator does.

    python -m tests.stores s3|gs|refusing      serve one until the standard input ends; prints the port

Both are processes of their own: pyarrow waits for some of their answers with the interpreter locked.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.parse import quote
from uuid import uuid4

BUCKET = "archive"
USER = "archivist"


class Stores:
    """Places for archives; a server is started when it is first asked for."""

    def __init__(self) -> None:
        self._servers = ExitStack()
        self._answers: dict[str, list[str]] = {}

    def close(self) -> None:
        self._servers.close()

    def new(self, kind: str, folder: Path) -> str:
        """The URL of a new, empty place."""
        made: dict[str, Callable[[], str]] = {"file": folder.as_uri, "s3": self._s3, "gs": self._gs}
        return made[kind]()

    def without_a_bucket(self, kind: str) -> str:
        made: dict[str, Callable[[], str]] = {
            "file": lambda: "file:///dev/null/gone",
            "s3": lambda: self._s3("gone"),
            "gs": lambda: self._gs("gone"),
        }
        return made[kind]()

    def that_refuses(self, kind: str) -> str:
        """One that we have no right to write to."""
        made: dict[str, Callable[[], str]] = {
            "file": lambda: "file:///proc/archive",
            "s3": lambda: self._s3(secret="wrong"),
            "gs": lambda: f"gs://anonymous@{BUCKET}/a?scheme=http&endpoint_override={self._address('refusing')}",
        }
        return made[kind]()

    def _s3(self, bucket: str = BUCKET, secret: str = "") -> str:
        _, key, right = self._server("s3")
        query = f"scheme=http&region=us-east-1&endpoint_override={self._address('s3')}"
        return f"s3://{key}:{quote(secret or right, safe='')}@{bucket}/{uuid4()}?{query}"

    def _gs(self, bucket: str = BUCKET) -> str:
        return f"gs://anonymous@{bucket}/{uuid4()}?scheme=http&endpoint_override={self._address('gs')}"

    def _address(self, kind: str) -> str:
        return f"127.0.0.1:{self._server(kind)[0]}"

    def _server(self, kind: str) -> list[str]:
        if kind not in self._answers:
            self._answers[kind] = self._servers.enter_context(serving(kind))
        return self._answers[kind]


@cache
def shared() -> Stores:
    """Those of this test run."""
    stores = Stores()
    atexit.register(stores.close)
    return stores


@contextmanager
def serving(kind: str) -> Iterator[list[str]]:
    """A server in a process of its own, and what it says of itself."""
    command = [sys.executable, "-m", "tests.stores", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield server.stdout.readline().split()
        finally:
            server.stdin.close()


def serve_s3() -> str:
    """S3, with a user who may do everything, and nobody else who may anything."""
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"  # those below; after them moto asks who is there
    import boto3
    from moto.moto_server import threaded_moto_server

    server = threaded_moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    where = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    boto3.client("s3", **where, **keys).create_bucket(Bucket=BUCKET)
    iam = boto3.client("iam", **where, **keys)
    iam.create_user(UserName=USER)
    everything = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
    iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=everything)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return f"{port} {key['AccessKeyId']} {key['SecretAccessKey']}"


def serve_gs() -> str:
    """Cloud Storage; the emulator's own server takes one connection at a time and waits for itself."""
    from gcp_storage_emulator import server as emulator

    emulator.server = SimpleNamespace(HTTPServer=ThreadingHTTPServer)
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    return str(server._api._httpd.server_address[1])


def serve_refusing() -> str:
    """A server that lets nobody in."""

    class Refusing(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.send_error(403)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = refuse

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    return str(server.server_port)


if __name__ == "__main__":
    sys.stdout.write({"s3": serve_s3, "gs": serve_gs, "refusing": serve_refusing}[sys.argv[1]]() + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # the servers' threads do not end by themselves
