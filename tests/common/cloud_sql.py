"""A Cloud SQL of our own: the two calls of its Admin API that the connector makes, and its TLS door to PostgreSQL.

The door lets in who shows a certificate that the API signed, over TLS 1.3, and passes everything on.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth.credentials import Credentials

from common import db

PROJECT, REGION, INSTANCE = "project", "europe-west1", "ledger"
CONNECTION_NAME = f"{PROJECT}:{REGION}:{INSTANCE}"
API = f"/sql/v1beta4/projects/{PROJECT}/instances/{INSTANCE}"
TOKEN = "the-service-accounts-token"


class ServiceAccount(Credentials):
    """Credentials that are always fresh."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refresh(None)

    def refresh(self, request: object) -> None:
        self.token = TOKEN
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


class Authority:
    """Signs certificates for an hour."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.sign("authority", self._key.public_key(), may_sign=True)

    def sign(self, name: str, key: Any, may_sign: bool = False) -> str:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=may_sign, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


class CloudSql:
    """The Admin API at `endpoint`, the instance at 127.0.0.1 and `port`; `calls` were made of the API."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.calls: list[str] = []
        self.is_paused = False
        self._authority = Authority()
        self._database = db.options(database_url, 0)["unix_sock"]
        self._open: list[socket.socket] = []
        self._context = self._server_context(folder)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._api.server_port}"
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._api.shutdown()
        self._api.server_close()
        self._door.close()
        for end in self._open:
            end.close()

    def _server_context(self, folder: Path) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        files = {
            "key.pem": key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            "certificate.pem": self._authority.sign("instance", key.public_key()),
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        context.load_verify_locations(cadata=self._authority.certificate)
        return context

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                settings = {
                    "region": REGION,
                    "databaseVersion": "POSTGRES_18",
                    "serverCaCert": {"cert": cloud._authority.certificate},
                    "ipAddresses": [
                        {"type": "PRIMARY", "ipAddress": "192.0.2.1"},
                        {"type": "PRIVATE", "ipAddress": "127.0.0.1"},
                    ],
                }
                self._answer("connectSettings", settings)

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert sent["access_token"] == TOKEN
                key = serialization.load_pem_public_key(sent["public_key"].encode())
                self._answer(":generateEphemeralCert", {"ephemeralCert": {"cert": cloud._authority.sign("us", key)}})

            def _answer(self, call: str, document: object) -> None:
                known = (
                    self.path in (API + call, f"{API}/{call}") and self.headers["Authorization"] == f"Bearer {TOKEN}"
                )
                cloud.calls.append(call)
                self.send_response(200 if known else 403)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(document if known else {}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self._open.append(client)
                if not self.is_paused:
                    threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), ExitStack() as stack:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            inside = stack.enter_context(self._context.wrap_socket(client, server_side=True))
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.connect(self._database)
            back = threading.Thread(target=carry, args=(server, inside), daemon=True)
            back.start()
            carry(inside, server)


def carry(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, until nothing does; then nothing more will."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def cloud_sql(database_url: str, folder: Path) -> Iterator[CloudSql]:
    """A Cloud SQL in front of the PostgreSQL at a URL."""
    cloud = CloudSql(database_url, folder)
    try:
        yield cloud
    finally:
        cloud.close()
