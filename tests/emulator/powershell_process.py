# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PowerShell behind the emulated host: the command line, the bytes and the streams exactly as they are sent.

Which one: the variable ``PWSH``, else ``pwsh`` from the PATH. What is not Microsoft's own in it is the module
``ExchangeOnlineManagement`` (``powershell`` beside this file), which asks the emulator as the real one asks Exchange.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import shutil
import tempfile
from dataclasses import dataclass, field

MODULES = pathlib.Path(__file__).with_name("powershell")


def executable() -> str | None:
    """The PowerShell of this machine; None where there is none."""
    named = os.environ.get("PWSH")
    return shutil.which(named) if named else shutil.which("pwsh")


@dataclass
class PowerShell:
    """One process, from its start to its end. ``feed`` may be called before it runs."""

    arguments: list[str]
    surroundings: dict[str, str]
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._input: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def feed(self, data: bytes, end: bool) -> None:
        self._input.put_nowait((data, end))

    def kill(self) -> None:
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self.exit_code is None:
            self.exit_code = -1
            self.changed.set()

    async def _run(self) -> None:
        found = executable()
        if found is None:
            self._fail("there is no PowerShell here")
            return
        with tempfile.TemporaryDirectory(prefix="powershell-") as folder:
            pipe = asyncio.subprocess.PIPE
            self._process = process = await asyncio.create_subprocess_exec(
                found, *self.arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(folder), cwd=folder
            )
            if self._killed:
                self.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            writing = asyncio.create_task(self._write(process.stdin))
            reading = [self._read(process.stdout, self.stdout), self._read(process.stderr, self.stderr)]
            await asyncio.gather(*reading)
            code = await process.wait()
            writing.cancel()
        if self.exit_code is None:
            self.exit_code = code
        self.changed.set()

    def _environment(self, folder: str) -> dict[str, str]:
        """Nothing of the emulator's own but where it is reached: a host knows nothing of the controller."""
        return {
            "PATH": os.defpath,
            "HOME": folder,
            "TMPDIR": folder,
            "PSModulePath": str(MODULES),
            # No data of languages is needed, and the library for it may be missing.
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_UPDATECHECK": "Off",
            **self.surroundings,
        }

    async def _write(self, stream: asyncio.StreamWriter) -> None:
        while True:
            data, end = await self._input.get()
            with contextlib.suppress(ConnectionError):
                stream.write(data)
                await stream.drain()
            if end:
                stream.close()
                return

    async def _read(self, stream: asyncio.StreamReader, into: bytearray) -> None:
        while chunk := await stream.read(65536):
            into += chunk
            self.changed.set()

    def _fail(self, words: str) -> None:
        self.stderr += words.encode()
        self.exit_code = 1
        self.changed.set()
