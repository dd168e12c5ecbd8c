"""A real Firefox in a Chromium's place: it does what the tests of watching ask, told over WebDriver BiDi.

https://w3c.github.io/webdriver-bidi/
"""

import base64
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from operator import xor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.browser.chromium import Chromium, Json, Page, Refused, eventually

NAMES = ("firefox", "firefox-esr", "/Applications/Firefox.app/Contents/MacOS/firefox")
PREFERENCES = {
    "remote.prefs.recommended": False,  # they would switch off what throttles a page
    "media.autoplay.default": 0,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.startup.max_resumed_crashes": -1,
}
TEXT, CLOSE, MASKED = 0x81, 0x88, 0x80  # of a WebSocket's frames, RFC 6455


def find() -> str | None:
    """The browser of this machine: FIREFOX, or one that is where they usually are."""
    chosen = os.environ.get("FIREFOX")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


class Firefox(Chromium):
    CLOSE = "browser.close"

    def __init__(self, profile: Path) -> None:
        program = find()
        assert program, "no Firefox on this machine"
        self.profile = profile
        settings = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(settings))
        (profile / "lock").unlink(missing_ok=True)  # of one that was killed
        log = profile / "browser.log"
        log.unlink(missing_ok=True)
        self.pid = os.posix_spawn(
            program,
            [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"],
            {**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )
        address: list[str] = []

        def listens() -> bool:
            address[:] = re.findall(r"BiDi listening on ws://(\S+)", log.read_text()) if log.exists() else []
            return bool(address)

        assert eventually(listens, 60), log.read_text()
        self._connect(address[0])
        self._begin()
        self.version = self.call("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.call("session.subscribe", events=["log.entryAdded"])

    def _connect(self, address: str) -> None:
        """Upgrade to a WebSocket."""
        where = urlsplit(f"//{address}")
        connection = socket.create_connection((where.hostname, where.port))
        self._socket, self._output = connection, connection.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET /session HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answered = self._output.readline()
        assert b" 101 " in answered, answered
        while self._output.readline().strip():
            pass

    def _write(self, message: bytes) -> None:
        length = len(message)
        digits = 0 if length < 126 else 2 if length < 1 << 16 else 8
        size = bytes([MASKED | {0: length, 2: 126, 8: 127}[digits]]) + length.to_bytes(8, "big")[8 - digits :]
        mask = os.urandom(4)
        self._socket.sendall(bytes([TEXT]) + size + mask + bytes(map(xor, message, cycle(mask))))

    def _read(self) -> Iterator[Json]:
        with suppress(ConnectionError):  # it was killed
            yield from map(as_of_chromium, self._frames())

    def _frames(self) -> Iterator[bytes]:
        while (head := self._output.read(2)) and head[0] != CLOSE:
            assert head[0] == TEXT, head
            more = {126: 2, 127: 8}.get(head[1], 0)
            yield self._output.read(int.from_bytes(self._output.read(more), "big") if more else head[1])

    def context(self) -> str:
        made: str = self.call("browser.createUserContext")["userContext"]
        return made

    def open(self, url: str = "about:blank", context: str | None = None, script: str = "") -> "Tab":
        where = {"userContext": context} if context else {}
        target = self.call("browsingContext.create", type="tab", **where)["context"]
        page = self._pages[target] = Tab(self, target, target, context)
        if script:
            self.call("script.addPreloadScript", functionDeclaration=f"() => {{{script}\n}}", contexts=[target])
        if url != "about:blank":
            page.go(url)
        return page

    def forget(self, context: str) -> None:
        self.call("browser.removeUserContext", userContext=context)


class Tab(Page):
    def call(self, method: str, **parameters: Any) -> Json:
        return self.browser.call(method, context=self.target, **parameters)

    def hear(self, event: str, told: Json) -> None:
        if told["level"] == "error":
            self.complaints.append(f"{told['type']}: {told['text']}")

    def go(self, url: str) -> None:
        self.call("browsingContext.navigate", url=url, wait="complete")

    def reload(self) -> None:
        self.call("browsingContext.reload", wait="complete")

    def evaluate(self, expression: str) -> Any:
        answered = self.browser.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})) ?? 'null')()",
            target={"context": self.target},
            awaitPromise=True,
            userActivation=True,
        )
        if answered["type"] == "exception":
            raise Refused(answered["exceptionDetails"]["text"])
        return json.loads(answered["result"]["value"])

    def close(self) -> None:
        self.call("browsingContext.close")

    def to_front(self) -> None:
        self.call("browsingContext.activate")

    def be_offline(self, is_offline: bool) -> None:
        conditions = {"type": "offline"} if is_offline else None
        self.browser.call("emulation.setNetworkConditions", networkConditions=conditions, contexts=[self.target])


def as_of_chromium(told: bytes) -> Json:
    """A message as Chromium would put it."""
    message: Json = json.loads(told)
    if message["type"] == "error":
        message["error"] = {"message": f"{message['error']}: {message['message']}"}
    elif message["type"] == "event":
        message["sessionId"] = message["params"]["source"].get("context")
    return message
