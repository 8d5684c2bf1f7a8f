# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does in the demo tenant, in Graph and in Exchange, by plain requests."""

from __future__ import annotations

import typing as t

import requests

from tests.emulator.testing import Emulator

TENANT = "969d5b92-bc05-403f-b576-97201b665e65"
OPERATOR, SECRET = "11111111-0000-4000-8000-000000000001", "operator-secret"
EXCHANGE_APP, FULL_ACCESS = "00000002-0000-0ff1-ce00-000000000000", "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
GRAPH, EXCHANGE = "https://graph.microsoft.com/v1.0", "https://outlook.office365.com"


class Tenant:
    """What an operator does in Graph and in Exchange."""

    def __init__(self, emulator: Emulator) -> None:
        self._session = emulator.session()
        self._graph = {"Authorization": "Bearer " + emulator.token(TENANT, OPERATOR, SECRET)}
        self._exchange = {"Authorization": "Bearer " + emulator.token(TENANT, OPERATOR, SECRET, EXCHANGE)}

    def graph(self, method: str, path: str, body: t.Any = None) -> requests.Response:
        return self._session.request(method, GRAPH + path, json=body, headers=self._graph, timeout=30)

    def application(self, name: str) -> dict[str, t.Any]:
        answer = self.graph("POST", "/applications", {"displayName": name, "signInAudience": "AzureADMyOrg"})
        assert answer.status_code == 201, answer.text
        return t.cast("dict[str, t.Any]", answer.json())

    @staticmethod
    def command(cmdlet: str, **parameters: t.Any) -> dict[str, t.Any]:
        return {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}

    def invoke(self, cmdlet: str, **parameters: t.Any) -> requests.Response:
        url = f"{EXCHANGE}/adminapi/beta/{TENANT}/InvokeCommand"
        body = self.command(cmdlet, **parameters)
        return self._session.post(url, json=body, headers=self._exchange, timeout=30)

    def batch(self, *bodies: dict[str, t.Any]) -> requests.Response:
        url = f"{EXCHANGE}/adminapi/beta/{TENANT}"
        parts = [
            {"id": str(number), "method": "POST", "url": f"{url}/InvokeCommand", "body": body}
            for number, body in enumerate(bodies)
        ]
        return self._session.post(f"{url}/$batch", json={"requests": parts}, headers=self._exchange, timeout=30)
