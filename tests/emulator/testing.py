# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator for tests: started as a process of its own, steered over its control API.

with start_emulator({"tenants": [...]}) as emulator:
    subprocess.run([...], env={**os.environ, **emulator.env()})
    assert emulator.exposures() == []
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t
import urllib.parse

import requests
import yaml

ROOT = pathlib.Path(__file__).parents[2]
DEMO_TENANT = pathlib.Path(__file__).with_name("demo-tenant.yml")


class EmulatorError(RuntimeError):
    """It did not start, or its control API refused something."""


class Emulator:
    """A running emulator. ``proxy`` and ``control`` are URLs, ``ca`` is the path of a PEM file, ``pid`` its process."""

    def __init__(self, ready: dict[str, t.Any], process: subprocess.Popen[bytes]) -> None:
        self.proxy: str = ready["proxy"]
        self.ca: str = ready["ca"]
        self.control: str = ready["control"]
        self.pid: int = ready["pid"]
        self.ports: dict[str, int] = ready["ports"]
        """``imap``, ``pop``, ``smtp``: listeners on loopback, with a certificate for localhost and the real names."""
        self.winrm: dict[str, dict[str, int]] = ready.get("winrm", {})
        """The ports of the Windows hosts by name: {"http": port, "https": port}."""
        self.process = process
        self.connection: dict[str, t.Any] = {}
        """Connection options that every task against this emulator takes, beside its operator's."""
        self._session = requests.Session()
        self._session.trust_env = False
        # Any time may lie between two questions of a test: each has a connection of its own, which nobody ends then.
        self._session.headers["Connection"] = "close"

    def env(self) -> dict[str, str]:
        """The environment that sends a client here, as a company with a proxy and a private CA would."""
        return {
            "HTTPS_PROXY": self.proxy,
            "https_proxy": self.proxy,
            "HTTP_PROXY": self.proxy,
            "http_proxy": self.proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": self.ca,
            "SSL_CERT_FILE": self.ca,
        }

    def session(self) -> requests.Session:
        """A session that reaches the emulated hosts whatever the environment says."""
        session = requests.Session()
        session.trust_env = False
        session.proxies = {"https": self.proxy, "http": self.proxy}
        session.verify = self.ca
        return session

    def token(
        self, tenant: str, client_id: str, client_secret: str, resource: str = "https://graph.microsoft.com"
    ) -> str:
        """An access token by client secret, from the public cloud's login host. Raises EmulatorError on a refusal."""
        with self.session() as session:
            answer = session.post(
                f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": client_id,
                    "client_secret": client_secret,
                    "scope": f"{resource}/.default",
                },
                timeout=30,
            )
        if answer.status_code != 200:
            raise EmulatorError(answer.text)
        return str(answer.json()["access_token"])

    def app_token(self, tenant: str, app_id: str, resource: str = "https://outlook.office365.com") -> str:
        """A token as the application would get it now, without its secret being known. Raises EmulatorError."""
        body = {"tenant": tenant, "app_id": app_id, "resource": resource}
        return str(self._control("POST", "/token", body)["access_token"])

    def journal(self) -> list[dict[str, t.Any]]:
        """Every request so far, a dict each: seq, time, host, method, path, cmdlet, status, tenant, client_request_id;
        of a batch its parts as well, with ``batch`` = the seq of the batch's own row."""
        return t.cast("list[dict[str, t.Any]]", self._control("GET", "/journal"))

    def windows_hosts(self) -> dict[str, dict[str, int]]:
        """By name: ``open_shells``, ``running`` processes, and how many shells were ever ``opened``."""
        return t.cast("dict[str, dict[str, int]]", self._control("GET", "/winrm"))

    def clear_journal(self) -> None:
        """Forget the journal and the exposures."""
        self._control("DELETE", "/journal")

    def state(self, tenant: str | None = None) -> dict[str, t.Any]:
        """``{"tenants": {id: {...}}}``, or the one tenant's part of it."""
        state = t.cast("dict[str, t.Any]", self._control("GET", "/state"))
        return t.cast("dict[str, t.Any]", state["tenants"][tenant]) if tenant else state

    def issued(self) -> list[str]:
        """The value of every secret that addPassword has handed out, those of removed ones too: what to search for."""
        return t.cast("list[str]", self._control("GET", "/issued"))

    def exposures(
        self, *, app_id: str | None = None, declared: t.Sequence[str] | None = None
    ) -> list[dict[str, t.Any]]:
        """Every instant, after a writing request, at which an application could open more mailboxes than ``declared``
        (without it: every mailbox), by its grants or by a token that was still alive (``by_token``)."""
        asked = {"app_id": app_id, "declared": None if declared is None else ",".join(declared)}
        query = urllib.parse.urlencode({name: value for name, value in asked.items() if value is not None})
        return t.cast("list[dict[str, t.Any]]", self._control("GET", f"/exposures?{query}"))

    def faults(self, rules: list[dict[str, t.Any]]) -> None:
        """Replace all fault rules (an empty list: none any more). Raises EmulatorError on a rule that means nothing."""
        self._control("POST", "/faults", {"rules": rules})

    def reach(self, tenant: str) -> list[dict[str, t.Any]]:
        """What every application of a tenant (its id) opens and could come to open now: see ``reach_whole``."""
        return t.cast("list[dict[str, t.Any]]", self._control("GET", f"/reach?tenant={tenant}")["tenants"][tenant])

    def fault_rules(self) -> list[dict[str, t.Any]]:
        """The rules in force, each with ``seen``: how many requests it fitted so far."""
        return t.cast("list[dict[str, t.Any]]", self._control("GET", "/faults")["rules"])

    def clock(self, days: float = 0, *, seconds: float = 0) -> None:
        """Advance the world's time."""
        self._control("POST", "/clock", {"advance_days": days, "advance_seconds": seconds})

    def reset(self) -> Emulator:
        """Back to the tenants file, the right time, no faults; journal and exposures begin anew. Returns itself."""
        self._control("POST", "/reset")
        return self

    def worked(self) -> float:
        """Seconds of processor time that it has used until now (Linux only)."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it and return its exit status."""
        self._session.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self) -> None:
        """End it as a power cut would, without a chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def _control(self, method: str, path: str, body: t.Any = None) -> t.Any:
        answer = self._session.request(method, self.control + path, json=body, timeout=60)
        if answer.status_code >= 400:
            raise EmulatorError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


@contextlib.contextmanager
def start_emulator(
    tenants: dict[str, t.Any] | str | os.PathLike[str] = DEMO_TENANT,
    *,
    profile: str = "calm",
    state: str | os.PathLike[str] | None = None,
    port: int = 0,
) -> t.Iterator[Emulator]:
    """Run an emulator for as long as the block lasts.

    ``tenants`` is a tenants file or what would stand in one. It cannot outlive this process. Raises EmulatorError when
    it does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="m365-emulator-test-"))
        if isinstance(tenants, dict):
            path = pathlib.Path(folder, "tenants.yml")
            path.write_text(yaml.safe_dump(tenants), encoding="utf-8")
        else:
            path = pathlib.Path(tenants).resolve()
        command = [sys.executable, "-m", "tests.emulator", "serve", "--tenants", str(path), "--port", str(port)]
        command += ["--profile", profile, "--parent", str(os.getpid()), "--stdin"]
        if state is not None:
            command += ["--state", str(pathlib.Path(state).resolve())]
        errors = stack.enter_context(pathlib.Path(folder, "stderr").open("w+b"))
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},  # so that even a killed one leaves nothing behind
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            errors.seek(0)
            raise EmulatorError(f"the emulator did not start: {errors.read().decode(errors='replace')}")
        emulator = Emulator(json.loads(line), process)
        try:
            yield emulator
        finally:
            emulator.stop()
            errors.seek(0)
            sys.stderr.write(errors.read().decode(errors="replace"))  # its own mistakes, for the test's report
