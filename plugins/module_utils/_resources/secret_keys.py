# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The client secrets of one application in Graph, and whether Entra lets a value in."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SecretSignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, ServiceError, SignInError
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import Key
from ansible_collections.mail2fax.m365.plugins.module_utils._store import StoredSecret, instant, iso
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

SHOWS_WITHIN_S = 10.0
"""Replication of one key takes seconds; what shows later is found by the next run."""


def key_of(item: t.Mapping[str, t.Any]) -> Key:
    """From one of an application's ``passwordCredentials``."""
    return Key(
        str(item.get("keyId") or "").lower(),
        str(item.get("displayName") or ""),
        instant(str(item.get("startDateTime") or "1970-01-01T00:00:00Z")),
        instant(str(item.get("endDateTime") or "9999-12-31T00:00:00Z")),
    )


class Keys:
    """What is asked of Graph and of Entra. ``called`` is the display name of what is made here."""

    def __init__(self, tenant: Tenant, app_id: str, called: str) -> None:
        self._tenant = tenant
        self._called = called
        self._app_id = app_id
        self.path = f"/applications(appId={_names.odata(app_id)})"

    def purpose(self, verb: str) -> str:
        return f"{verb} the secret {self._called!r} of application {self._app_id}"

    def at_most(self, seconds: float) -> float:
        return min(self._tenant.patience_s, seconds)

    def listed(self) -> list[Key]:
        document = self._tenant.graph.get(
            f"{self.path}?$select=id,passwordCredentials", self.purpose("list"), patient=True
        )
        return [key_of(item) for item in document.get("passwordCredentials") or []]

    def add(self, end: dt.datetime) -> Json:
        """Graph's answer, with the value in it. Raises AnswerLost where nobody knows whether it was made."""
        body = {"passwordCredential": {"displayName": self._called, "endDateTime": iso(end)}}
        answer = self._tenant.graph.post(f"{self.path}/addPassword", body, self.purpose("make"), patient=True)
        self._tenant.secrets.add(str(answer.get("secretText") or ""))
        return answer

    def remove(self, key_id: str) -> bool:
        """True when Graph removed it, False when Graph knows no such key (any more)."""
        purpose = f"remove the secret {key_id}"
        for last in (False, True):
            try:
                self._tenant.graph.post(f"{self.path}/removePassword", {"keyId": key_id}, purpose)
            except AnswerLost:
                if last:
                    raise
            except ServiceError as exc:
                if not _texts.says(exc.message, _texts.GRAPH_NO_SUCH_PASSWORD):
                    raise
                return False
            else:
                return True
        raise AssertionError("unreachable")

    def require_gone(self, key_ids: t.Collection[str]) -> None:
        """Raises ServiceError where Graph goes on listing what was removed. Replication may take a while."""
        left: list[str] = []

        def gone() -> bool:
            left[:] = [key.key_id for key in self.listed() if key.key_id in key_ids]
            return not left

        if not self._tenant.patiently(
            gone, budget_s=self.at_most(3 * SHOWS_WITHIN_S), what="the removed secret to be gone from Graph"
        ):
            raise ServiceError(
                f"Graph answered to the removal of the secret {', '.join(left)}, and lists it as before",
                attempted=self.purpose("remove"),
                cure="run again; if it stays, look for something on the way that answers in Graph's place",
            )

    def remove_newborn(self, key_id: str) -> bool:
        """A key made a moment ago may not be known yet where the removal arrives: that alone is no success.

        True when Graph removed it; False when nothing is seen of it any more, so that somebody else may have.
        """
        if self._tenant.patiently(
            lambda: self.remove(key_id),
            budget_s=self.at_most(3 * SHOWS_WITHIN_S),
            what="the new secret to be known where it is removed",
        ):
            return True
        if any(key.key_id == key_id for key in self.listed()):
            raise ServiceError(f"Graph lists the secret {key_id} and does not know it when it is to be removed")
        return False

    def refusal(self, secret: StoredSecret, budget_s: float) -> str | None:
        """Entra's code when it refuses the value, None when the value signs in. Other hindrances raise SignInError.

        With patience: a newborn secret fails for seconds. Every try is a new MSAL client. The audience is Graph,
        because every tenant has it and no consent is needed to be let in.
        """
        tenant = self._tenant
        sign_in = SecretSignIn(tenant.http, tenant.cloud, secret.tenant_id, secret.client_id, secret.value or "")
        refusal: list[SignInError] = []

        def works() -> bool:
            refusal.clear()
            try:
                sign_in.token(tenant.cloud.graph_audience, fresh=True)
            except SignInError as exc:
                refusal.append(exc)
                return exc.code not in _texts.NEWBORN_CREDENTIAL
            return True

        tenant.patiently(works, budget_s=budget_s, what="Entra to accept the secret")
        if not refusal:
            return None
        if refusal[0].code in _texts.REFUSED_SECRET:
            return str(refusal[0].code)
        raise refusal[0]
