# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What is thrown away with a job: places of records and secrets that AWX, or ansible-runner, made for this job alone.

Pure, but for links of the file system that are followed.
"""

from __future__ import annotations

import os
import tempfile
import typing as t
from dataclasses import dataclass

AWX_JOB = ("awx_job_id", "tower_job_id")
FOLDER_OF_THE_JOB = "AWX_PRIVATE_DATA_DIR"
VARIABLE = "mail2fax_allow_volatile"
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there


@dataclass(frozen=True)
class Place:
    """A file or folder that a variable names: ``written`` as it stands there, empty where nothing is said; ``path``
    as it is used. ``what`` is kept there, in words."""

    what: str
    variable: str
    written: str
    path: str


def is_a_job(names: t.Container[str], environment: t.Mapping[str, str]) -> bool:
    """Whether the run may have been given folders that go with it."""
    return any(name in names for name in AWX_JOB) or bool((environment.get(FOLDER_OF_THE_JOB) or "").strip())


def folders_of_the_job(environment: t.Mapping[str, str], *others: t.Any) -> list[str]:
    """What goes with the job: its own folder, the temporary ones, and those named: of project and inventory."""
    try:
        current = os.getcwd()
    except OSError:
        current = ""
    named = [environment.get(FOLDER_OF_THE_JOB), tempfile.gettempdir(), *TEMPORARY, current, *others]
    found = {os.path.realpath(str(folder)) for folder in named if os.path.isabs(str(folder or ""))}
    # Of a run that was started in / nothing follows.
    return sorted(found - {os.sep})


def complaints(places: t.Iterable[Place], folders: t.Collection[str]) -> list[str]:
    """A sentence for each place that does not last."""
    found = []
    for place in places:
        why = _why(place, folders)
        if why:
            found.append(
                f"{place.what} would be kept in {place.path}, which is thrown away with the job: {why}. The next run "
                f"would not know what this one found and made. What to do: {_CURES[place.variable]}; or set "
                f"{VARIABLE}: true where that is really meant."
            )
    return found


_CURES = {
    "mail2fax_handover_dir": "set mail2fax_record_store to the KV of a HashiCorp Vault or an OpenBao, or "
    "mail2fax_handover_dir to an absolute path on a volume that stays",
    "mail2fax_record_store": "name the KV of a HashiCorp Vault or an OpenBao there, or an absolute path on a volume "
    "that stays",
    "mail2fax_secret_store": "use the back end hashi_vault or azure_key_vault, or an absolute path on a volume that "
    "stays",
}


def _why(place: Place, folders: t.Collection[str]) -> str:
    if not place.written:
        return f"{place.variable} is not set"
    if not os.path.isabs(place.written):
        return f"the path in {place.variable} is relative"
    real = os.path.realpath(place.path)
    for folder in folders:
        if real == folder or real.startswith(folder.rstrip(os.sep) + os.sep):
            return f"{place.variable} leads into {folder}"
    return ""
