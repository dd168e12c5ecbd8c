"""A real Chromium, told what to do over the DevTools protocol; nothing that throttles a page is switched off in it.

    with Chromium.running(profile) as browser:
        page = browser.open("http://127.0.0.1:8080/watch/")
        page.evaluate("document.title")

https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # root has no other way
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--password-store=basic",
    "--use-mock-keychain",
    "--hide-scrollbars",
    "--window-size=1280,900",
)
ANSWER_S = 30.0
READ, WRITE = 3, 4  # the pipe's ends in the browser

Json = dict[str, Any]


def find() -> str | None:
    """The browser of this machine: CHROMIUM, or one that is where they usually are."""
    chosen = os.environ.get("CHROMIUM")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


class Refused(Exception):
    """The browser did not do what it was told, or a script threw."""


class Chromium:
    """A browser process; whoever makes one ends it with `close` or `kill`."""

    CLOSE = "Browser.close"

    def __init__(self, profile: Path) -> None:
        program = find()
        assert program, "no Chromium on this machine"
        self.profile = profile
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        log = profile / "browser.log"
        self.pid = os.posix_spawn(
            program,
            [program, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
            {**os.environ, "HOME": str(profile)},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs_in, READ),
                (os.POSIX_SPAWN_DUP2, theirs_out, WRITE),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._input, self._output = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        self._begin()
        self.version: str = self.call("Browser.getVersion")["product"]

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._answers: dict[int, Future[Json]] = {}
        self._pages: dict[str, Page] = {}
        self._is_over = False
        threading.Thread(target=self._listen, daemon=True).start()

    @classmethod
    @contextmanager
    def running(cls, profile: Path) -> "Iterator[Chromium]":
        browser = cls(profile)
        try:
            yield browser
        finally:
            browser.close()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Json:
        """What the browser answers to a command.

        Raises:
            Refused: it does not, or the browser has ended.
        """
        answer: Future[Json] = Future()
        with self._lock:
            self._number += 1
            number = self._number
            self._answers[number] = answer
            message = {"id": number, "method": method, "params": parameters} | (
                {"sessionId": session} if session else {}
            )
            try:
                self._write(json.dumps(message).encode())
            except OSError as error:
                raise Refused(f"{method}: the browser has ended") from error
        answered = answer.result(ANSWER_S)
        if "error" in answered:
            raise Refused(f"{method}: {answered['error']['message']}")
        result: Json = answered["result"]
        return result

    def _write(self, message: bytes) -> None:
        self._input.write(message + b"\0")

    def _read(self) -> Iterator[Json]:
        rest = b""
        while part := self._output.read1(1 << 20):
            *messages, rest = (rest + part).split(b"\0")
            yield from map(json.loads, messages)

    def _listen(self) -> None:
        for message in self._read():
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif page := self._pages.get(message.get("sessionId", "")):
                page.hear(message["method"], message["params"])
        with self._lock:
            for answer in self._answers.values():
                answer.set_result({"error": {"message": "the browser has ended"}})
            self._answers.clear()

    def context(self) -> str:
        """A place with its own storage, as another person's browser."""
        made: str = self.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        return made

    def open(self, url: str = "about:blank", context: str | None = None, script: str = "") -> "Page":
        """A new tab; the script runs in each document before its own."""
        where = {"browserContextId": context} if context else {}
        target = self.call("Target.createTarget", url="about:blank", **where)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session, context)
        self._pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        if script:
            page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        if url != "about:blank":
            page.go(url)
        return page

    def forget(self, context: str) -> None:
        """Close a context's tabs and drop what they stored."""
        self.call("Target.disposeBrowserContext", browserContextId=context)

    def kill(self) -> None:
        """End every process of the browser at once, as a power cut would."""
        self._is_over = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def close(self) -> None:
        if self._is_over:
            return
        with suppress(Refused):
            self.call(self.CLOSE)
        if not eventually(self._has_ended, 5):
            self.kill()
        self._is_over = True

    def _has_ended(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid


class Page:
    """A tab, and what it complained of."""

    def __init__(self, browser: Chromium, target: str, session: str, context: str | None) -> None:
        self.browser, self.target, self.session, self.context = browser, target, session, context
        self.complaints: list[str] = []
        self._loaded = threading.Event()

    def call(self, method: str, **parameters: Any) -> Json:
        return self.browser.call(method, self.session, **parameters)

    def hear(self, event: str, told: Json) -> None:
        if event == "Page.loadEventFired":
            self._loaded.set()
        elif event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.complaints.append(" ".join(str(part.get("value", part.get("description"))) for part in told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] == "error":
            entry = told["entry"]
            if entry["source"] != "network":  # that a request failed is what some tests are about
                self.complaints.append(f"{entry['source']}: {entry['text']}")

    def go(self, url: str) -> None:
        """Go there, until it has loaded."""
        self._loaded.clear()
        answered = self.call("Page.navigate", url=url)
        if "errorText" in answered:
            raise Refused(f"{url}: {answered['errorText']}")
        assert self._loaded.wait(ANSWER_S), f"{url} did not load"

    def reload(self) -> None:
        self._loaded.clear()
        self.call("Page.reload")
        assert self._loaded.wait(ANSWER_S), "the page did not load again"

    def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression comes to; a promise is waited for.

        Raises:
            Refused: it threw.
        """
        answered = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answered:
            details = answered["exceptionDetails"]
            raise Refused(details.get("exception", {}).get("description") or details["text"])
        return answered["result"].get("value")

    def wait(self, expression: str, seconds: float = 15) -> Any:
        """Wait until an expression is true; what it comes to then."""
        found: list[Any] = []

        def holds() -> bool:
            found[:] = [self.evaluate(expression)]
            return bool(found[0])

        assert eventually(holds, seconds), f"{expression} is {found[0]!r} after {seconds} s; {self.complaints}"
        return found[0]

    def close(self) -> None:
        """Close the tab as its reader would, with what that tells the page."""
        self.call("Page.close")

    def to_front(self) -> None:
        self.call("Page.bringToFront")

    def be_offline(self, is_offline: bool) -> None:
        endless = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=is_offline, **endless)


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = monotonic() + seconds
    while not (held := holds()) and monotonic() < deadline:
        sleep(0.03)
    return held
