# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What no cmdlet may be sent without: an empty value, or a missing scope, would mean the whole tenant."""

from __future__ import annotations

import typing as t

_NEVER_EMPTY = frozenset(
    name.casefold()
    for name in (
        *("Identity", "Member", "AppId", "PolicyScopeGroupId"),
        *("User", "Trustee", "App", "Role", "ObjectId", "ServiceId"),
        *("CustomResourceScope", "CustomRecipientWriteScope", "RecipientGroupScope"),
        *("RecipientAdministrativeUnitScope", "RoleAssignee"),
        *("RecipientRestrictionFilter", "Filter"),
    )
)
"""An empty one makes some cmdlets return, or change, every object of the tenant, or limit nothing."""

_NEVER = frozenset({"resetdefault", "clearautomapping"})
"""They wipe what others have on a mailbox."""

_SCOPES = ("CustomResourceScope",)
"""What limits an application's role. Administrative units and groups could, too, and do not read back as they are
given."""
_Needs: t.TypeAlias = "tuple[tuple[str | None, tuple[str, ...]], ...]"


def _all_of(*names: str) -> _Needs:
    return tuple((None, (name,)) for name in names)


_NEEDS: t.Mapping[str, _Needs] = {
    name.casefold(): needs
    for name, needs in {
        # Without a scope the role would reach every mailbox of the tenant.
        "New-ManagementRoleAssignment": (*_all_of("Role", "Name"), ("App", _SCOPES)),
        "New-ManagementScope": _all_of("Name", "RecipientRestrictionFilter"),
        "New-ServicePrincipal": _all_of("AppId", "ObjectId"),
        "New-ApplicationAccessPolicy": _all_of("AppId", "PolicyScopeGroupId", "AccessRight"),
        "Test-ApplicationAccessPolicy": _all_of("AppId", "Identity"),
        **dict.fromkeys(
            ("Add-MailboxPermission", "Remove-MailboxPermission"), _all_of("Identity", "User", "AccessRights")
        ),
        **dict.fromkeys(
            ("Add-RecipientPermission", "Remove-RecipientPermission"), _all_of("Identity", "Trustee", "AccessRights")
        ),
        **dict.fromkeys(
            (
                *("Remove-ApplicationAccessPolicy", "Set-ApplicationAccessPolicy", "Remove-DistributionGroup"),
                *("Set-DistributionGroup", "Add-DistributionGroupMember", "Remove-DistributionGroupMember"),
                *("Remove-ManagementScope", "Set-ManagementScope", "Remove-ManagementRoleAssignment"),
                *("Set-ManagementRoleAssignment", "Remove-ServicePrincipal", "Set-CASMailbox"),
            ),
            _all_of("Identity"),
        ),
    }.items()
}
"""By cmdlet: (with this parameter, or always, one of these has to be there and say something)."""


def _is_empty(value: t.Any) -> bool:
    if isinstance(value, (list, tuple)):
        return not value or any(_is_empty(item) for item in value)
    return value is None or (isinstance(value, str) and not value.strip())


def check(cmdlet: str, parameters: t.Mapping[str, t.Any]) -> None:
    """Raises ValueError, which is a defect here and nobody's input. Exchange takes names in any case."""
    for name, value in parameters.items():
        if name.casefold() in _NEVER:
            raise ValueError(f"{cmdlet}: {name} is never sent")
        if name.casefold() in _NEVER_EMPTY and _is_empty(value):
            raise ValueError(f"{cmdlet}: {name} must not be empty")
    given = {name.casefold() for name, value in parameters.items() if not _is_empty(value)}
    for key, any_of in _NEEDS.get(cmdlet.casefold(), ()):
        if (key is None or key.casefold() in given) and not given & {name.casefold() for name in any_of}:
            raise ValueError(f"{cmdlet}{f' with {key}' if key else ''} needs {' or '.join(any_of)}")
