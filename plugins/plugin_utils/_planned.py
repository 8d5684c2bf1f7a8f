# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A run that the look at a tenant comes first in: what its later tasks would refuse, told before the first request."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import FEWEST_CHARACTERS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _refused

Json = dict[str, t.Any]
NO_MAILBOX = (
    "mail2fax_mailboxes names no mailbox. "
    "What to do: name every mailbox that the fax server reads or sends as, such as fax@contoso.com."
)
NO_STORE = (
    "mail2fax_secret_store keeps nothing (backend none), so the proof could not read the secret back. "
    "What to do: name a store that keeps it."
)
_STAND_IN = ["fax@example.com"]
"""No mailbox at all is refused in words of its own."""

_STEPS = {step.module: step.key for step in _steps.STEPS.values()}


def refused(planned: t.Mapping[str, t.Any], look: t.Mapping[str, t.Any]) -> list[str]:
    """In sentences, what the modules would refuse, and what no run can do without.

    ``planned`` has ``steps`` and ``options`` (by the module's name), ``look`` the options of the look itself, as they
    were given. Raises ValueError for options of what is no module of ours.
    """
    found = _refused.refused(asked(planned, look))
    if not look.get("mailboxes"):
        found.append(NO_MAILBOX)
    words = look.get("accept_tenant_wide")
    if words is not None and (not isinstance(words, str) or len(words.strip()) < FEWEST_CHARACTERS):
        found.append(_too_few(words))
    if _mapping(look, "store").get("backend") == "none":
        found.append(NO_STORE)
    return found


def asked(planned: t.Mapping[str, t.Any], look: t.Mapping[str, t.Any]) -> dict[str, Json]:
    """The options that the modules of the run will get, by the module's name; those of other steps are not asked."""
    steps, further = planned.get("steps"), _mapping(planned, "options")
    told, keys = _told(look), {_steps.key(str(word)) for word in steps or ()}
    return {
        name: {**told.get(name, {}), **_mapping(further, name)}
        for name in {**told, **further}
        if (name in further if steps is None or name not in _STEPS else _STEPS[name] in keys)
    }


def _told(look: t.Mapping[str, t.Any]) -> dict[str, Json]:
    """What the options of the look say of those of the modules, in the order of a run."""
    application, group = _mapping(look, "application"), _mapping(look, "group")
    role, ews = _mapping(look, "application_role"), _mapping(look, "ews")
    mailboxes, permissions = look.get("mailboxes"), look.get("permissions")
    # What an earlier step is going to make does not exist yet.
    made = {"app_id": _names.ZERO_GUID}
    return {
        "entra_application": {
            **_of(application, "unique_name", "app_id", "display_name", "exclusive_permissions"),
            **_of(application, "on_deleted", "on_namesake"),
            "permissions": permissions,
        },
        "exchange_security_group": {
            **_of(group, "name", "alias", "owners", "on_foreign_members", "on_foreign_owners"),
            "members": mailboxes,
        },
        "exchange_application_access_policy": {**made, "group": group.get("alias"), **_of(group, "on_other_policies")},
        "exchange_application_role": {
            **made,
            "group": group.get("alias"),
            **_of(role, "scope_name", "on_entra_grant"),
            "mailboxes": mailboxes or _STAND_IN,
        },
        "exchange_mailbox_permission": {**made, "mailboxes": mailboxes or _STAND_IN, "full_access": True},
        "exchange_ews_access": {**made, **_of(ews, "on_unset")},
        "entra_admin_consent": {**made, "permissions": permissions},
        "exchange_application_access_info": {**made, "mailboxes": mailboxes or _STAND_IN},
    }


def _mapping(options: t.Mapping[str, t.Any], name: str) -> t.Mapping[str, t.Any]:
    """An option that is one; what is not, Ansible refuses."""
    value = options.get(name)
    return value if isinstance(value, t.Mapping) else {}


def _of(options: t.Mapping[str, t.Any], *names: str) -> Json:
    return {name: options[name] for name in names if name in options}


def _too_few(words: t.Any) -> str:
    said = "says nothing" if isinstance(words, str) and not words.strip() else f"is {words}, which says too little"
    return (
        f"mail2fax_accept_tenant_wide {said}, and the application would be able to open every mailbox of the tenant. "
        "What to do: say in ten characters or more who accepts that and why, which every sheet repeats; or pick a "
        "scoping model that limits it, with mail2fax_scoping."
    )
