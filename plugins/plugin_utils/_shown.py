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

SHAPES = ("auto", "text", "lines")


def shaped(lines: t.Sequence[str], shape: str) -> str | list[str]:
    """One string or a list; ``auto`` asks the configuration. Raises ValueError for a shape that is none."""
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}, not {', '.join(SHAPES[:-1])} or {SHAPES[-1]}")
    if shape == "text" or (shape == "auto" and _yaml_is_shown()):
        return "\n".join(lines)
    return list(lines)


def _yaml_is_shown() -> bool:
    try:
        found = constants.config.get_config_value("result_format", plugin_type="callback", plugin_name="default")
    except AnsibleError:
        # Another callback shows the results.
        return False
    return str(found) == "yaml"
