"""A real browser under command: Chromium without a window, spoken to over pipes in the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/ ; `--remote-debugging-pipe` (fd 3 in, fd 4 out, each message
ends with a zero byte).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, cast

from tests.support.processes import tool

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
ANSWER_S = 60.0
"""For one command; a busy machine with a cold disk takes tens of seconds to start a browser."""
COMPLAINTS = {"warning", "error", "assert"}


class Browser:
    """One browser with one page at a time. `complaints` has what its console said against the page."""

    def __init__(self, directory: Path) -> None:
        """Start it; `directory` is for its profile and log."""
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, and what a policy forbade."""
        self.loads = 0
        """Documents of the page that were loaded."""
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self._session = ""
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        argv = [tool("chromium"), *FLAGS, f"--user-data-dir={directory / 'profile'}", "--remote-debugging-pipe"]
        with (directory / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [tool("bash"), "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *argv, "about:blank"],
                pass_fds=(to_browser, from_browser),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.close(to_browser)
        os.close(from_browser)
        threading.Thread(target=self._read, daemon=True).start()

    def open(self, url: str, *, scripts: bool = True) -> None:
        """A new page at this address, loaded."""
        target = self._command("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._command("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.loads = 0
        self.call("Page.navigate", url=url)
        self.wait("the page to be loaded", lambda: self.loads > 0)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command for the page, and its answer."""
        return self._command(method, parameters, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str = "body") -> str:
        """What a person reads there, spaces made one."""
        found = self.evaluate(f"(document.querySelector({json.dumps(selector)}) || {{innerText: ''}}).innerText")
        return " ".join(cast("str", found).split())

    def document(self) -> str:
        """The page's markup as the browser holds it, with or without scripts."""
        root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        return cast("str", self.call("DOM.getOuterHTML", nodeId=root)["outerHTML"])

    def wait(self, what: str, condition: Any, timeout_s: float = 30.0) -> None:
        """Until the condition holds; it may ask the page."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s:g} s; complaints {self.complaints}"
            assert self._process.poll() is None, "the browser has ended"
            self._take_events(0.05)

    def close(self) -> None:
        """End it, children and all."""
        for end in (self._out,):
            with contextlib.suppress(OSError):
                os.close(end)  # it ends when its pipe does
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()

    # --- the protocol --------------------------------------------------------------------------------------------

    def _command(self, method: str, parameters: dict[str, Any], session: str = "") -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        deadline_s = time.monotonic() + ANSWER_S
        while True:
            try:
                answer = self._answers.get(timeout=max(0.01, deadline_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{method}: the browser has not answered within {ANSWER_S:g} s") from None
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return cast("dict[str, Any]", answer["result"])
            self._event(answer)

    def _take_events(self, wait_s: float) -> None:
        deadline_s = time.monotonic() + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                self._event(self._answers.get(timeout=left_s))
            except queue.Empty:
                return

    def _event(self, message: dict[str, Any]) -> None:
        if message.get("sessionId", "") != self._session:
            return
        method, parameters = message.get("method", ""), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in COMPLAINTS:
            self.complaints.append(json.dumps(parameters["args"])[:1000])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in COMPLAINTS:
            entry = parameters["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Audits.issueAdded" and "contentSecurityPolicyIssueDetails" in parameters["issue"]["details"]:
            self.complaints.append(json.dumps(parameters["issue"])[:1000])

    def _read(self) -> None:
        waiting = b""
        while True:
            try:
                data = os.read(self._in, 1 << 16)
            except OSError:
                return
            if not data:
                os.close(self._in)
                return
            *messages, waiting = (waiting + data).split(b"\0")
            for message in messages:
                self._answers.put(json.loads(message))
