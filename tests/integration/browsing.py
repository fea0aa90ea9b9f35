"""A real browser, where the machine has one, by its debugging protocol over a pipe: no driver and no port."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-sandbox",  # it sees nothing but what the test serves
)
PATIENCE_S = 60
AS_3_AND_4 = """
import os, sys
from fcntl import F_DUPFD, fcntl
for end, number in [(fcntl(int(end), F_DUPFD, 10), number) for end, number in zip(sys.argv[1:3], (3, 4))]:
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""  # where it reads from and writes to
CODES = {"Tab": 9, "Enter": 13}


class Browser:
    """One tab. `complaints`: what its console has said in anger."""

    def __init__(self, asks: IO[bytes], answers: IO[bytes]) -> None:
        self.complaints: list[str] = []
        self._asks, self._answers = asks, answers
        self._number, self._session = 0, {}
        (target,) = [one for one in self.does("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        attached = self.does("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.does(f"{domain}.enable")

    def does(self, method: str, **parameters: Any) -> Any:
        said = self._tries(method, **parameters)
        assert "error" not in said, said["error"]
        return said["result"]

    def _tries(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._asks.write(json.dumps(asked).encode() + b"\0")
        self._asks.flush()
        while True:
            said = self._heard()
            if said.get("id") == self._number:
                return said
            self._note(said)

    def runs(self, script: str) -> Any:
        """What the expression comes to, on the page."""
        done = self.does("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def awaits(self, script: str) -> None:
        """Until it is true. Between two pages there is nothing to ask about: not yet."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(script):
            assert time.monotonic() < deadline, f"never came true: {script}"

    def _holds(self, script: str) -> bool:
        said = self._tries("Runtime.evaluate", expression=f"!!({script})")
        return bool(said.get("result", {}).get("result", {}).get("value") is True)

    def opens(self, address: str) -> None:
        self.does("Page.navigate", url=address)
        self.awaits(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def types(self, text: str) -> None:
        self.does("Input.insertText", text=text)

    def presses(self, key: str) -> None:
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key]}
        self.does("Input.dispatchKeyEvent", type="keyDown", **pressed, **({"text": "\r"} if key == "Enter" else {}))
        self.does("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def spoken(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader is told of."""
        nodes = self.does("Accessibility.getFullAXTree")["nodes"]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]

    def _heard(self) -> Any:
        read = bytearray()
        while (one := self._answers.read(1)) != b"\0":
            assert one, "the browser has ended"
            read += one
        return json.loads(read)

    def _note(self, said: Any) -> None:
        told = said.get("params", {})
        if said["method"] == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"]["text"])
        elif said["method"] == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Skips where no browser is found. folder: where its profile may be."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on the PATH")
    heard, asks = os.pipe()
    answers, said = os.pipe()
    flags = (*QUIET, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank")
    starter = (sys.executable, "-c", AS_3_AND_4, str(heard), str(said), program)
    nowhere = subprocess.DEVNULL
    running = subprocess.Popen([*starter, *flags], pass_fds=(heard, said), stdout=nowhere, stderr=nowhere)
    os.close(heard)
    os.close(said)
    giving_up = threading.Timer(4 * PATIENCE_S, running.kill)
    giving_up.start()
    try:
        with os.fdopen(asks, "wb") as to, os.fdopen(answers, "rb") as back:
            yield Browser(to, back)
    finally:
        giving_up.cancel()
        running.terminate()
        running.wait(PATIENCE_S)
