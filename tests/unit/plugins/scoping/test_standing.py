# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what limits an application stands, right before it is granted something."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import standing
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.standing import Facts, Limits

APP, OTHER = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "2cb8b5d2-8724-4f32-8152-a16a230b682b"
GROUP = Recipient.of(
    {
        "Guid": "99999999-0000-4000-8000-000000000001",
        "ExternalDirectoryObjectId": "99999999-0000-4000-8000-000000000002",
        "Name": "Scope",
        "Alias": "scope",
        "RecipientTypeDetails": "MailUniversalSecurityGroup",
        "PrimarySmtpAddress": "scope@contoso.com",
    }
)


def mailbox(name: str) -> Recipient:
    return Recipient.of(
        {
            "Guid": f"88888888-0000-4000-8000-{len(name):012}",
            "Name": name,
            "RecipientTypeDetails": "UserMailbox",
            "PrimarySmtpAddress": f"{name}@contoso.com",
            "EmailAddresses": [f"SMTP:{name}@contoso.com"],
        }
    )


def policy(**more: t.Any) -> Policy:
    return Policy(**{"identity": "p", "app_id": APP, "entra_id": GROUP.entra_id, "scope_name": "Scope", **more})


LIMITS = Limits(APP, "scope", ("fax@contoso.com",))
STANDS = Facts((policy(),), (GROUP,), (mailbox("fax"),))


@pytest.mark.parametrize(
    ("facts", "limits", "says"),
    [
        ({}, {}, None),
        ({"policies": ()}, {}, "no access policy restricts"),
        ({"policies": (policy(app_id=OTHER),)}, {}, "no access policy restricts"),
        ({"policies": (policy(access_right="DenyAccess"),)}, {}, "no access policy restricts"),
        ({"policies": (policy(entra_id="elsewhere"),)}, {}, "no access policy restricts"),
        ({"policies": (policy(is_valid=False),)}, {}, "not valid"),
        ({"policies": (policy(), policy(entra_id="elsewhere"))}, {}, "another policy opens more"),
        ({"policies": (policy(), policy(entra_id="elsewhere"))}, {"keep_policies": True}, None),
        ({"groups": ()}, {}, "is not there"),
        ({"groups": (GROUP, dataclasses.replace(GROUP, guid="other"))}, {}, "not the only one"),
        ({"groups": (mailbox("scope"),)}, {}, "is not there"),
        ({"members": None}, {}, "could not be read"),
        ({"members": (mailbox("fax"), mailbox("ceo"), GROUP)}, {}, "nobody declared"),
        ({"members": (mailbox("ceo"),)}, {"keep_members": True}, None),
        ({"members": None}, {"mailboxes": None}, None),
        ({"members": ()}, {}, None),
    ],
)
def test_it_fails_closed(facts: dict[str, t.Any], limits: dict[str, t.Any], says: str | None) -> None:
    problem = standing.problem(dataclasses.replace(STANDS, **facts), dataclasses.replace(LIMITS, **limits))
    if says is None:
        assert problem is None
    else:
        assert problem is not None
        assert says in problem.message
        assert problem.options == ("limited_by",)
