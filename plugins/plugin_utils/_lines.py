# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Lines of text in the shape in which the run's callback shows them best."""

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.utils.display import Display

SHAPES = ("auto", "text", "lines", "verdict")
_told: set[str] = set()
"""What this worker has said on standard error: Ansible may render a text more than once."""


def laid_out(lines: t.Sequence[str], shape: str) -> str | list[str]:
    """One string or a list; ``auto`` asks the configuration. Raises ValueError for a shape that is none.

    ``verdict`` is ``auto``, and where results that are ok are hidden the lines go to standard error as well.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}, not {', '.join(SHAPES[:-1])} or {SHAPES[-1]}")
    text = "\n".join(lines)
    if shape == "verdict" and not _setting("display_ok_hosts", True) and text not in _told:
        _told.add(text)
        Display().display(text, stderr=True)
    if shape == "text" or (shape != "lines" and str(_setting("result_format", "json")) == "yaml"):
        return text
    return list(lines)


def _setting(name: str, otherwise: t.Any) -> t.Any:
    try:
        return constants.config.get_config_value(name, plugin_type="callback", plugin_name="default")
    except AnsibleError:
        # Another callback shows the results.
        return otherwise
