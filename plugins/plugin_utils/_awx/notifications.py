# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Notification templates: who is told that a job is red, and in which words."""

from __future__ import annotations

import copy
import typing as t

Json = dict[str, t.Any]

# What AWX wants of each kind beside what only a person can say. It adds some of these itself, and a configuration that
# is shorter than what it keeps would be sent anew in every run.
DEFAULTS: dict[str, Json] = {
    "awssns": {
        "aws_region": "",
        "aws_access_key_id": "",
        "aws_secret_access_key": "",
        "aws_session_token": "",
        "sns_topic_arn": "",
    },
    "email": {
        "host": "localhost",
        "port": 25,
        "username": "",
        "password": "",
        "use_tls": False,
        "use_ssl": False,
        "sender": "awx@localhost",
        "recipients": ["root@localhost"],
        "timeout": 30,
    },
    "grafana": {"grafana_key": ""},
    "irc": {"use_ssl": False, "password": ""},
    "mattermost": {"mattermost_no_verify_ssl": False},
    "pagerduty": {"client_name": "Mail2Fax"},
    "rocketchat": {"rocketchat_no_verify_ssl": False},
    "slack": {},
    "twilio": {},
    "webhook": {
        "http_method": "POST",
        "disable_ssl_verification": False,
        "username": "",
        "password": "",
        "headers": {},
    },
}

SECRET = frozenset({"password", "token", "aws_secret_access_key", "aws_session_token", "grafana_key", "account_token"})
"""Fields that AWX keeps and does not show again."""

# Slack and its kin need one line, mail a text. All that is in these is there for jobs of every kind, whoever starts
# them.
LINE = "{{ job_friendly_name }} {{ job.name }} (#{{ job.id }}) {{ job.status }}"


def default() -> Json:
    return {"type": "email", "configuration": copy.deepcopy(DEFAULTS["email"])}


def of(said: t.Any) -> tuple[Json, str]:
    """``type`` and a whole ``configuration``, and what is wrong with what was said."""
    like = "What to do: write {type: email, configuration: {host: …, sender: …, recipients: […]}}."
    if not isinstance(said, t.Mapping) or set(said) - {"type", "configuration"}:
        return default(), f"is not a mapping of type and configuration. {like}"
    kind = str(said.get("type") or "email")
    configuration = said.get("configuration") or {}
    if kind not in DEFAULTS:
        return default(), f"has the type {kind!r}. What to do: choose one of {', '.join(sorted(DEFAULTS))}."
    if not isinstance(configuration, t.Mapping):
        return default(), f"has a configuration that is not a mapping. {like}"
    return {"type": kind, "configuration": {**copy.deepcopy(DEFAULTS[kind]), **configuration}}, ""


def keeps_a_secret(notification: Json) -> bool:
    """Whether AWX would not show all of it again: it is then made once, and left as it is."""
    return any(notification["configuration"].get(name) for name in SECRET)


def template(name: str, description: str, told: str, notification: Json, organization: str) -> Json:
    """In the API's words. Every event is there, because AWX keeps what an update leaves out."""
    # What is sent as JSON keeps AWX's own body.
    body = f"{LINE}\n{told}\n{{{{ url }}}}\n\n{{{{ job_metadata }}}}" if notification["type"] == "email" else None
    waits = "{{ approval_node_name }} waits for an approval: {{ workflow_url }}"
    return {
        "name": name,
        "description": description,
        "organization": organization,
        "notification_type": notification["type"],
        "notification_configuration": notification["configuration"],
        "messages": {
            "started": None,
            "success": None,
            "error": {"message": f"{LINE}: {told} {{{{ url }}}}", "body": body},
            "workflow_approval": {
                "running": {"message": waits, "body": None},
                "approved": None,
                "timed_out": {
                    "message": "{{ approval_node_name }}: nobody answered in time. {{ workflow_url }}",
                    "body": None,
                },
                "denied": {"message": "{{ approval_node_name }} was denied. {{ workflow_url }}", "body": None},
            },
        },
    }
