# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A protocol is one class and one line in a table; a proof does not need a role in the token."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS, Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS, proof, verdicts
from tests.unit.plugins.resources.test_mailbox_probe import Services, look, signed_in


class Toy:
    """Opens every mailbox whose address begins with fax, for whatever token."""

    needs_role: t.ClassVar[str | None] = None
    switched_off: t.ClassVar[str | None] = "toy_off"
    service: t.ClassVar[str] = "Toy"
    opened_by: t.ClassVar[str] = "wind it up"

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.graph_audience

    def __init__(self, http: Http, cloud: Cloud) -> None:
        self.http = http

    def open(self, token: Token, address: str) -> proof.Opening:
        if address.startswith("off"):
            return proof.Opening("toy_off", "not wound up")
        return proof.Opening(proof.OPENED if address.startswith("fax") else proof.DENIED_BY_POLICY)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PROOFS, "toy", Toy)
    return "toy"


def test_another_protocol_is_one_class_and_one_line(toy: str):
    result, clock = look(Services([signed_in()]), protocol=toy)
    assert result.outcome == "ok"
    assert [probe["verdict"] for probe in result.result["probes"]] == ["opened", "denied_by_policy"]
    assert clock.sleeps == [], "a token without a role is not waited for where none is needed"
    assert "toy_off" in verdicts()


def test_a_role_may_be_asked_for_all_the_same(toy: str):
    result, _clock = look(Services([signed_in()]), protocol=toy, role="Toy.Read", patience=1)
    assert result.outcome == "blocked"
    assert "Toy.Read" in result.summary


def test_its_own_word_for_being_closed_is_told(toy: str):
    result, _clock = look(Services([signed_in()]), protocol=toy, allowed=["off@contoso.com"])
    assert result.outcome == "blocked"
    assert result.blocked is not None
    assert result.blocked.message.startswith("Toy is blocked")
    assert result.blocked.cure == "wind it up"


def test_it_is_one_access_among_others_under_whatever_model(toy: str):
    for scoping in ("application_access_policy", "application_role", "mailbox_permission"):
        access = {"id": "way", "protocol": toy, "permissions": [], "scoping": scoping}
        result, _clock = look(Services([signed_in()]), accesses=[access])
        assert result.outcome == "ok"
        assert [row["access"] for row in result.result["probes"]] == ["way", "way"]


def test_every_protocol_says_what_is_known_of_it_before_anything_is_opened():
    assert sorted(PROOFS) == ["ews", "graph", "imap", "pop", "smtp"]
    for kind in PROOFS.values():
        assert kind.service
        assert kind.opened_by
        assert kind.audience(CLOUDS["global"]).startswith("https://")
