# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The ways in, for people: how each is called, what limits it, and what its proof could not show.

A model or protocol that is not known here is called by its name.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof

Json = t.Mapping[str, t.Any]

_CALLED = {"ews": "EWS", "graph": "Microsoft Graph"}

_SEEN = {
    proof.OPENED: "opened",
    proof.DENIED_BY_POLICY: "refused by the policy",
    proof.IMPERSONATION_REFUSED: "refused",
    proof.REFUSED: "refused",
    proof.OUT_OF_SCOPE: "refused, out of scope",
    proof.NO_PERMISSION: "refused, no right on it",
    proof.WRONG_POINTER: "refused, wrong object id in Exchange",
    proof.SIGNED_IN: "signed in, nothing sent",
    proof.PROTOCOL_OFF_MAILBOX: "switched off for the mailbox",
    proof.PROTOCOL_OFF_TENANT: "switched off for the organization",
    proof.THROTTLED: "busy, not tried",
    proof.NO_ROLE: "no consent in the token",
    proof.NO_MAILBOX: "no such mailbox",
    "ews_blocked": "blocked, EWS is closed",
}
"""Verdicts of a proof, as a sheet says them."""


_NEITHER = frozenset({proof.NO_MAILBOX, "ews_blocked"}) | proof.OFF
"""The mailbox or the protocol is not there for anybody: neither opened nor refused."""
_LET_IN = frozenset({proof.OPENED, proof.SIGNED_IN})
_KEPT_OUT = proof.REFUSALS | _NEITHER | {proof.SIGNED_IN}


def called(protocol: str) -> str:
    """A protocol's name for people."""
    return _CALLED.get(protocol, protocol.upper())


def seen(verdict: t.Any) -> str:
    """A proof's verdict in words."""
    return _SEEN.get(str(verdict), str(verdict).replace("_", " "))


def labels(accesses: t.Iterable[Json]) -> dict[str, str]:
    """Access id -> how it is called: by its protocol, and by its id as well where two speak the same."""
    found = list(accesses)
    protocols = [str(access["protocol"]) for access in found]
    return {
        str(access["id"]): called(protocol) + (f" ({access['id']})" if protocols.count(protocol) > 1 else "")
        for access, protocol in zip(found, protocols, strict=True)
    }


def proofs(row: Json) -> list[dict[str, t.Any]]:
    """What was tried on one mailbox, an entry for each access, with ``as_expected``: False for what makes the mailbox
    not as it has to be. A record of 0.1.0 tells of one, without its name."""
    found = [dict(one) for one in row.get("proofs") or [] if one.get("verdict")]
    if not found and row.get("probe"):
        found = [{"access": "", "verdict": row["probe"], "at": row.get("probe_at")}]
    good = _LET_IN if row.get("expected") == "granted" else _KEPT_OUT
    if row.get("as_expected") is False:
        # Where each by itself is right, it is Exchange's verdict that is not.
        right = [one["verdict"] in good for one in found]
        for one, is_right in zip(found, right, strict=True):
            one.setdefault("as_expected", is_right and not all(right))
    return found


def _listed(words: t.Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def limits(profile: Json, group: Json, accepted: str | None = None) -> list[tuple[str, str]]:
    """(ways in, what limits them) for each model of a resolved profile, in the order of its accesses.

    ``group`` has the scope group's ``name`` and ``address``, ``accepted`` the words with which somebody took it upon
    himself that nothing limits the application.
    """
    called_by = labels(profile["accesses"])
    told = []
    for model in dict.fromkeys(str(access["scoping"]) for access in profile["accesses"]):
        those = [access for access in profile["accesses"] if access["scoping"] == model]
        ways = _listed([called_by[str(access["id"])] for access in those])
        told.append((ways, _limit(model, those, group, accepted)))
    return told


def _limit(model: str, accesses: t.Sequence[Json], group: Json, accepted: str | None) -> str:
    permissions = _listed([name for access in accesses for name in access["permissions"]])
    members = f"the group {group.get('address') or group.get('name') or group.get('alias')}"
    if model == "application_access_policy":
        return f"{permissions} would open every mailbox; an access policy keeps it to the members of {members}."
    if model == "application_role":
        roles = _listed([name for access in accesses for name in access.get("roles") or []] or [permissions])
        word = "roles" if " and " in roles else "role"
        return f"Exchange's {word} {roles} for the direct members of {members}, and for no other mailbox."
    if model == "mailbox_permission":
        rights = "FullAccess" + (" and SendAs" if any(access["protocol"] == "smtp" for access in accesses) else "")
        return f"An entry of the application on each of these mailboxes: {rights}. Without one a mailbox stays shut."
    if model == "tenant_wide":
        words = f" Accepted with the words: {accepted}" if accepted else ""
        opens = "open" if " and " in permissions else "opens"
        return f"NOTHING limits it: {permissions} {opens} every mailbox of the tenant.{words}"
    return f"By the model {model.replace('_', ' ')}."


def unrefused(document: Json, accesses: t.Iterable[Json]) -> list[str]:
    """Sentences on what the proof could not show, each about the accesses that it is true of."""
    called_by = labels(accesses)
    tried: dict[str, list[str]] = {}
    for row in document.get("mailboxes") or []:
        for one in proofs(row) if row.get("expected") == "denied" else ():
            tried.setdefault(str(one.get("access") or ""), []).append(str(one["verdict"]))
    found: dict[str, list[str]] = {}
    for access, verdicts in tried.items():
        if any(verdict in proof.REFUSALS or verdict == proof.OPENED for verdict in verdicts):
            continue
        why = "signed" if proof.SIGNED_IN in verdicts else "none"
        if why == "signed" or set(verdicts) <= _NEITHER:
            found.setdefault(why, []).append(called_by.get(access, called(access)) if access else "")
    return [
        _SAID[why].format(ways=f"Over {_listed(names)}" if all(names) else "Here")
        for why, names in sorted(found.items())
    ]


_SAID = {
    "none": (
        "{ways} nothing was refused on the wire: every mailbox that must stay shut answered that it is not there or "
        "switched off, which is not a refusal. Exchange's own verdict stands alone."
    ),
    "signed": (
        "{ways} nothing was refused on the wire: Exchange lets the application sign in as any mailbox and refuses only "
        "after a whole mail, and no mail is sent as a mailbox that must stay shut. The rights were read back instead."
    ),
}
