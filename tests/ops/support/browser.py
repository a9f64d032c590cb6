"""Debian's chromium without a window, driven over its DevTools protocol: it reaches nothing but 127.0.0.1."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from waiting import LONG, until
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class Tab:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.complaints: list[str] = []
        """Errors of scripts, and whatever else the browser's console would show."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command; note what else the browser tells meanwhile."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            answer = json.loads(self._connection.recv(timeout=LONG))
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self._call("Page.navigate", url=url)
        until(lambda: self.run("location.href") == url and self.run("document.readyState") == "complete")

    def run(self, script: str) -> Any:
        """Return the value of an expression."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def text(self, selector: str) -> str:
        """Return what a person reads of an element, or nothing if there is none."""
        text: str = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return text

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Show the page in a window of this width, to a person who likes it dark or light."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, *, on: bool) -> None:
        """Let the page's own scripts run, or not."""
        self._call("Emulation.setScriptExecutionDisabled", value=not on)

    def photograph(self, file: Path) -> None:
        """Write a PNG of the whole page."""
        photo = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(photo["data"]))


@contextmanager
def browsing(folder: Path) -> Iterator[Tab]:
    """Have a browser with an empty tab, which ends with the block."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    program = shutil.which("chromium") or "/usr/bin/chromium"
    log = folder / "chromium.log"
    command = [program, *FLAGS, *as_root, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )  # fmt: skip
    try:

        def address() -> str:
            assert process.poll() is None, f"chromium has ended:\n{log.read_text()[-4_000:]}"
            found = re.search(r"DevTools listening on (ws://\S+)", log.read_text(errors="replace"))
            return found[1] if found else ""

        until(address)
        with connect(address(), max_size=None, proxy=None) as connection:
            yield Tab(connection)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LONG)
