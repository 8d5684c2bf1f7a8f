# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser without a window, for looking at pages that lie on this machine. It is given no network.

One browser looks at any number of pages. It is spoken to over a pair of pipes, in the DevTools protocol: only so is a
page as narrow as a telephone (a window is not), and only so does it tell what its scripts complain of.

Run as a program, it draws a page: ``browser.py PAGE.html PICTURE.png``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    # Containers have little shared memory.
    "--disable-dev-shm-usage",
    # Whatever is not on this machine is not there.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
PATIENCE_S = 90.0

Json = dict[str, t.Any]


class BrowserError(RuntimeError):
    """The browser did not do what it was asked for."""


def program() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def require() -> str:
    """The browser's path. Where there is none, root gets Debian's; others are told what to install: BrowserError."""
    found = program()
    if found is not None:
        return found
    said = ""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("No browser is here: installing Debian's package chromium ...", flush=True)
        # One index out of several may be out of reach, and the package still be there.
        _apt("update", "-q")
        said = _apt("install", "-q", "-y", "--no-install-recommends", "chromium")
    found = program()
    if found is None:
        raise BrowserError(
            f"the pages are looked at in a browser, and none of {', '.join(NAMES)} is on the PATH."
            f" On Debian: apt-get install chromium.\n{said}".rstrip()
        )
    return found


def _apt(*words: str) -> str:
    """The end of what apt-get said."""
    answer = subprocess.run(
        ["apt-get", *words, "-o", "DPkg::Lock::Timeout=300"],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return answer.stdout[-2000:]


@dataclass(frozen=True)
class Look:
    """What a page came to in a viewport: its title, how wide and high it is, and what went wrong in it."""

    title: str
    width: int
    height: int
    viewport: int
    complaints: tuple[str, ...]


class Browser:
    """A running browser, to be used in a ``with`` block. Its methods raise BrowserError."""

    def __init__(self) -> None:
        path = program()
        if path is None:
            raise BrowserError(f"none of {', '.join(NAMES)} is installed")
        self._folder = tempfile.TemporaryDirectory(prefix="m365-browser-", ignore_cleanup_errors=True)
        self._number = 0
        self._rest = b""
        self._events: list[Json] = []
        theirs_in, self._in = os.pipe()
        self._out, theirs_out = os.pipe()
        command = [path, *FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"]
        # The ends of the pipes may lie at 3 and 4 themselves: they are put out of the way first.
        moves = [(os.POSIX_SPAWN_DUP2, theirs_in, 103), (os.POSIX_SPAWN_DUP2, theirs_out, 104)]
        moves += [(os.POSIX_SPAWN_DUP2, 103, 3), (os.POSIX_SPAWN_DUP2, 104, 4)]
        silence: list[t.Any] = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        try:
            self._pid = os.posix_spawn(path, command, os.environ, file_actions=[*silence, *moves], setpgroup=0)
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._session = ""

    def __enter__(self) -> Browser:
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for part in ("Page", "Runtime", "Log"):
                self._ask(f"{part}.enable")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and all that it started."""
        for pipe in (self._in, self._out):
            os.close(pipe)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._folder.cleanup()

    def open(self, page: Path, *, width: int, height: int = 900, scale: float = 1, phone: bool = False) -> Look:
        """Load a page in a viewport of CSS pixels, wait until it has settled, and measure it."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        self._events.clear()
        self._ask("Page.navigate", url=page.resolve().as_uri())
        self._until("Page.loadEventFired")
        # Fonts and late layout: two frames after everything is there.
        frames = (
            "document.fonts.ready.then(() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r))))"
        )
        self.evaluate(frames)
        found = self.evaluate(
            "({title: document.title, width: document.documentElement.scrollWidth, viewport: innerWidth,"
            " height: document.documentElement.scrollHeight})"
        )
        return Look(**found, complaints=tuple(self._complaints()))

    def evaluate(self, expression: str) -> t.Any:
        """The value of a script's expression in the page that is open; a promise's, when it comes."""
        answer = self._ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"].get("exception", {}).get("description")))
        return answer["result"].get("value")

    def picture(self, target: Path, *, full: bool = False) -> Path:
        """A PNG of what the viewport shows, or of the ``full`` page."""
        answer = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        return _written(target, answer["data"])

    def pdf(self, target: Path) -> Path:
        """The page as it is printed."""
        answer = self._ask("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return _written(target, answer["data"])

    def _complaints(self) -> t.Iterator[str]:
        for event in self._events:
            told = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                yield str(told["exceptionDetails"].get("exception", {}).get("description") or told["exceptionDetails"])
            elif event["method"] == "Log.entryAdded" and told["entry"]["level"] == "error":
                yield f"{told['entry']['text']} {told['entry'].get('url', '')}"
            elif event["method"] == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
                yield " ".join(str(argument.get("value", "")) for argument in told["args"])

    def _ask(self, method: str, **parameters: t.Any) -> Json:
        self._number += 1
        number = self._number
        session = {"sessionId": self._session} if self._session else {}
        message = json.dumps({"id": number, "method": method, "params": parameters, **session}).encode() + b"\0"
        try:
            while message:
                message = message[os.write(self._in, message) :]
        except BrokenPipeError:
            raise BrowserError("the browser has ended") from None
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._read(deadline, method)
            if answer.get("id") != number:
                self._events.append(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error'].get('message')}")
            else:
                return t.cast("Json", answer["result"])

    def _until(self, event: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not any(entry.get("method") == event for entry in self._events):
            self._events.append(self._read(deadline, event))

    def _read(self, deadline: float, awaited: str) -> Json:
        while b"\0" not in self._rest:
            if not select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrowserError(f"the browser did not come to an end with {awaited}")
            part = os.read(self._out, 1 << 20)
            if not part:
                raise BrowserError(f"the browser ended during {awaited}")
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        return t.cast("Json", json.loads(line))


def _written(target: Path, data: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(base64.b64decode(data))
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the upper part of a page that lies on this machine.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--height", type=int, default=958)
    parser.add_argument("--instead", nargs=2, metavar=("TEXT", "OTHER"), help="draw OTHER where the page has TEXT")
    given = parser.parse_args()
    if program() is None:
        print(f"No browser ({', '.join(NAMES)}): {given.picture} stays as it is.")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="m365-page-") as folder, Browser() as browser:
            text, other = given.instead or ("", "")
            copy = Path(folder, given.page.name)
            html = given.page.read_text(encoding="utf-8")
            copy.write_text(html.replace(text, other) if text else html, encoding="utf-8")
            browser.open(copy, width=given.width, height=given.height)
            browser.picture(given.picture)
    except (BrowserError, OSError) as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
