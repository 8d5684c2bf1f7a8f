# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Surveys: what somebody may want to say of one job. Every question is a text that may be left empty.

* An answer is an extra variable, and wins over what the inventory says. So there is no question for what is a tenant's
  own, for what an inventory says for good, or for a secret.
* A question with a default is answered in every job, by schedule too. So none has one.
* A choice without a default cannot be edited in AWX, and its first line is the answer of whoever says nothing. A number
  that is left empty is refused. So these are texts as well; the first task of a playbook tells what is wrong with one.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import Variable, variables

Json = dict[str, t.Any]
LONGEST = 1024


def questions(playbook: str) -> list[Json]:
    return [_question(row) for row in variables().values() if playbook in row.survey]


def survey(playbook: str) -> Json | None:
    """What AWX takes as ``survey_spec``; None where there is nothing to ask."""
    spec = questions(playbook)
    return (
        {"name": f"Mail2Fax {playbook}", "description": "Everything may be left empty.", "spec": spec} if spec else None
    )


def _question(row: Variable) -> Json:
    return {
        "question_name": row.name.removeprefix("mail2fax_").replace("_", " ").capitalize(),
        "question_description": _described(row),
        "required": False,
        "type": "text",
        "variable": row.name,
        "min": 0,
        "max": LONGEST,
    }


def _described(row: Variable) -> str:
    """Without the guide's markup."""
    words = [row.meaning.replace("``", "")]
    if row.choices:
        words.append(f"One of: {', '.join(row.choices)}.")
    elif row.type == "bool":
        words.append("true or false.")
    elif row.type == "str" and row.digits:
        # What AWX writes is given a type by ansible-core, in spite of its quotes.
        words.append("Put a word before what is digits only.")
    return " ".join(words)
