# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be granted in Entra under which scoping model."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import POLICY, RIGHT, ROLE, WIDE, Access
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS

EXCHANGE, GRAPH = (_permissions.WELL_KNOWN[name] for name in ("exchange_online", "microsoft_graph"))
WAYS = [
    ("ews", EXCHANGE, "full_access_as_app"),
    ("graph", GRAPH, "Mail.ReadWrite"),
    ("graph", GRAPH, "MailboxItem.Read.All"),
    ("imap", EXCHANGE, "IMAP.AccessAsApp"),
    ("pop", EXCHANGE, "POP.AccessAsApp"),
    ("smtp", EXCHANGE, "SMTP.SendAsApp"),
    ("graph", GRAPH, "Directory.ReadWrite.All"),
]
MAY = {
    POLICY: {"full_access_as_app", "Mail.ReadWrite"},
    RIGHT: {"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"},
    ROLE: set[str](),
    WIDE: {"full_access_as_app", "Mail.ReadWrite", "MailboxItem.Read.All"},
}


@pytest.mark.parametrize(("way", "model"), list(itertools.product(WAYS, MAY)))
def test_each_permission_under_each_model(way: tuple[str, str, str], model: str):
    protocol, app_id, name = way
    accesses = [Access("x", protocol, model, (name,))]
    wanted = [Wanted(app_id, (name,))]
    stopped = _accesses.beyond(wanted, [], accesses, wide_accepted=True)
    assert (stopped is None) == (name in MAY[model])
    meant = _accesses.beyond(wanted, [name], accesses, wide_accepted=False)
    assert meant is None, "named word for word, whatever it is"


def test_a_permission_of_two_accesses_is_granted_where_one_of_them_needs_it():
    """Sending by a role and by rights at once: the grant belongs to the rights."""
    both = [Access("a", "smtp", ROLE, ("SMTP.SendAsApp",)), Access("b", "smtp", RIGHT, ("SMTP.SendAsApp",))]
    assert _accesses.withheld(both) == frozenset()
    assert _accesses.withheld(both[:1]) == {(EXCHANGE, "SMTP.SendAsApp")}


def test_what_a_role_stands_for_stops_even_where_everything_declared_is_meant():
    accesses = [Access("a", "smtp", ROLE, ("SMTP.SendAsApp",))]
    stopped = _accesses.beyond([Wanted(EXCHANGE, ("SMTP.SendAsApp",))], None, accesses, wide_accepted=False)
    assert stopped is not None
    assert stopped.options == ("permissions", "accesses")


def test_delegated_permissions_are_as_before():
    wanted = [Wanted(GRAPH, (), ("User.Read",))]
    assert _accesses.beyond(wanted, [], [], wide_accepted=False) is None
    assert _accesses.beyond([Wanted(GRAPH, (), ("Mail.Read",))], [], [], wide_accepted=True) is not None


def test_an_id_twice_is_refused():
    one = {"id": "x", "protocol": "imap", "scoping": RIGHT}
    with pytest.raises(InvalidInput, match="'x' twice"):
        _accesses.parse([one, one], "accesses", models=MODELS, protocols=PROOFS)


@pytest.mark.parametrize(
    ("key", "word", "meant"),
    [("scoping", "aplication_role", "write application_role"), ("protocol", "imaps", "write imap")],
)
def test_a_word_that_no_table_has_is_refused_with_the_nearest(key: str, word: str, meant: str):
    one = {"id": "x", "protocol": "imap", "scoping": RIGHT, key: word}
    with pytest.raises(InvalidInput, match=word) as refused:
        _accesses.parse([one], "accesses", models=MODELS, protocols=PROOFS)
    assert refused.value.cure == meant


def test_a_new_model_and_a_new_protocol_are_a_line_in_their_tables():
    one = {"id": "x", "protocol": "carrier_pigeon", "scoping": "sealed_box"}
    (access,) = _accesses.parse([one], "accesses", models=[*MODELS, "sealed_box"], protocols=[*PROOFS, one["protocol"]])
    assert (access.protocol, access.scoping) == ("carrier_pigeon", "sealed_box")
