# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX 24.6.1 refuses in the things that somebody writes in its own languages: types, surveys, rules, messages.

Each function returns complaints. The checks are those of AWX's own source, and some that it lacks: where it takes
something and does another thing with it, it is refused here.
"""

from __future__ import annotations

import re
import typing as t

import jinja2
import jinja2.sandbox

Json = dict[str, t.Any]
NAME = r"[a-zA-Z_]+[a-zA-Z0-9_]*"
FIELD_KEYS = {"type", "format", "choices", "id", "label", "help_text", "multiline", "secret", "default"}
EVENTS = ("started", "success", "error", "workflow_approval")
APPROVALS = ("running", "approved", "timed_out", "denied")

# By type: every field, its kind, and whether AWX has a value for it where it is left out.
NOTIFICATIONS: dict[str, dict[str, tuple[type, bool]]] = {
    "awssns": dict.fromkeys(
        ("aws_region", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "sns_topic_arn"), (str, True)
    ),
    "email": {
        "host": (str, False),
        "port": (int, False),
        "username": (str, False),
        "password": (str, False),
        "use_tls": (bool, False),
        "use_ssl": (bool, False),
        "sender": (str, False),
        "recipients": (list, False),
        "timeout": (int, True),
    },
    "grafana": {"grafana_url": (str, False), "grafana_key": (str, False)},
    "irc": {
        "server": (str, False),
        "port": (int, False),
        "nickname": (str, False),
        "password": (str, False),
        "use_ssl": (bool, False),
        "targets": (list, False),
    },
    "mattermost": {"mattermost_url": (str, False), "mattermost_no_verify_ssl": (bool, False)},
    "pagerduty": dict.fromkeys(("subdomain", "token", "service_key", "client_name"), (str, False)),
    "rocketchat": {"rocketchat_url": (str, False), "rocketchat_no_verify_ssl": (bool, False)},
    "slack": {"token": (str, False), "channels": (list, False)},
    "twilio": {
        "account_sid": (str, False),
        "account_token": (str, False),
        "from_number": (str, False),
        "to_numbers": (list, False),
    },
    "webhook": {
        "url": (str, False),
        "http_method": (str, True),
        "disable_ssl_verification": (bool, True),
        "username": (str, True),
        "password": (str, True),
        "headers": (dict, False),
    },
}
HIDDEN = frozenset({"password", "token", "aws_secret_access_key", "aws_session_token", "grafana_key", "account_token"})


def credential_type(body: Json) -> t.Iterator[str]:
    inputs, injectors = body.get("inputs") or {}, body.get("injectors") or {}
    if body.get("kind") not in ("cloud", "net"):
        yield "kind must be cloud or net"
    if set(inputs) - {"fields", "required"} or set(injectors) - {"env", "file", "extra_vars"}:
        yield "inputs or injectors have another key"
    ids = [field.get("id", "") for field in inputs.get("fields", [])]
    if len(set(ids)) != len(ids) or "tower" in ids:
        yield "ids of fields must be unique, and none is tower"
    for field in inputs.get("fields", []):
        if set(field) - FIELD_KEYS or not {"id", "label"} <= set(field):
            yield f"a field has other keys than it may have, or lacks some: {field}"
        elif not re.fullmatch(NAME, field["id"]) or field.get("type") not in ("string", "boolean"):
            yield f"{field['id']} is no name, or of no type"
        elif field["type"] == "boolean" and set(field) & {"choices", "multiline", "format", "secret"}:
            yield f"{field['id']} is a box, and cannot be that"
        elif "choices" in field and (not field["choices"] or not all(isinstance(c, str) for c in field["choices"])):
            yield f"{field['id']} has no choices"
    if set(inputs.get("required", [])) - set(ids):
        yield "what is required is no field"
    yield from _injectors(ids, injectors)


class _Files:
    """``tower.filename``."""


def _injectors(ids: list[str], injectors: Json) -> t.Iterator[str]:
    files = injectors.get("file", {})
    names = _Files()
    for label in files:
        if not re.fullmatch(rf"template(\.{NAME})?", label):
            yield f"{label} is no label of a template"
        elif "." in label:
            setattr(names, label.split(".")[1], "EXAMPLE_FILENAME")
    if "template" in files and len(files) > 1:
        yield "several files need a label each"
    space = {**dict.fromkeys(ids, "EXAMPLE"), "tower": {"filename": names}}
    for label, text in [*files.items(), *injectors.get("env", {}).items()]:
        yield from _rendered(str(text), space, label)
    for name, text in injectors.get("env", {}).items():
        if not re.fullmatch(NAME, name) or name.startswith("ANSIBLE_") or not str(text).isascii():
            yield f"{name} may not be set"


def _rendered(text: str, space: Json, where: str) -> t.Iterator[str]:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        environment.from_string(text).render(space)
    except jinja2.TemplateError as error:
        yield f"{where}: {error}"


def survey(body: Json) -> t.Iterator[str]:
    if set(body) != {"name", "description", "spec"} or not body["spec"]:
        yield "a survey has a name, a description and questions"
        return
    seen: set[str] = set()
    for question in body["spec"]:
        known = {"question_name", "question_description", "required", "type", "variable", "min", "max"}
        unknown = set(question) - known - {"default", "choices", "new_question"}
        if unknown or not {"question_name", "required", "type", "variable"} <= set(question):
            yield f"a question has {sorted(unknown)} or lacks something"
            continue
        if question["variable"] in seen or not isinstance(question["required"], bool):
            yield f"{question['variable']} twice, or required is no boolean"
        seen.add(question["variable"])
        if question["type"] not in (
            "text",
            "textarea",
            "password",
            "integer",
            "float",
            "multiplechoice",
            "multiselect",
        ):
            yield f"{question['type']} is no type of a question"
        if question["type"].startswith("multi"):
            choices = question.get("choices") or ""
            if isinstance(choices, str) and choices != "\n".join(line for line in choices.splitlines() if line.strip()):
                yield "choices would come back otherwise"
            if not choices:
                yield "no choices"
        for limit in ("min", "max"):
            if not isinstance(question.get(limit, 0), int):
                yield f"{limit} is no number"


def rule(text: str) -> t.Iterator[str]:
    begins = re.findall(r"DTSTART(?:;TZID=[A-Za-z0-9_+/-]+:[0-9]{8}T[0-9]{6}|:[0-9]{8}T[0-9]{6}Z)(?= )", text)
    if len(begins) != 1 or text.count("DTSTART") != 1:
        yield "exactly one DTSTART with a time zone is needed"
    rules = re.findall(r"RULE:(\S*)", text)
    if not rules or "EXDATE" in text or "RDATE:" in text:
        yield "a rule is needed, and neither EXDATE nor RDATE"
    for one in rules:
        parts = dict(part.split("=", 1) for part in one.split(";"))
        known = {"FREQ", "INTERVAL", "BYDAY", "BYHOUR", "BYMINUTE", "BYMONTHDAY", "COUNT", "UNTIL"}
        if "INTERVAL" not in parts or parts.get("FREQ") not in (
            "MINUTELY",
            "HOURLY",
            "DAILY",
            "WEEKLY",
            "MONTHLY",
            "YEARLY",
        ):
            yield "FREQ and INTERVAL are needed"
        if set(parts) - known or re.search(r"[0-9][A-Z]{2}", parts.get("BYDAY", "")):
            yield "a part that is not taken"


def notification(body: Json) -> t.Iterator[str]:
    fields = NOTIFICATIONS.get(str(body.get("notification_type")))
    if fields is None:
        yield "no such type"
        return
    configuration = body.get("notification_configuration") or {}
    for name in set(configuration) - set(fields):
        yield f"{name} is no field of the configuration"
    for name, (kind, has_default) in fields.items():
        if name not in configuration:
            if not has_default:
                yield f"Missing required fields for Notification Configuration: {name}"
        elif not _is(configuration[name], kind) or (kind is list and not configuration[name]):
            yield f"Configuration field {name} incorrect type"
    yield from _messages(body.get("messages") or {})


def _is(value: t.Any, kind: type) -> bool:
    """Python takes a boolean for a number, and AWX does not."""
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def _messages(messages: Json) -> t.Iterator[str]:
    if set(messages) - set(EVENTS):
        yield "no such event"
    flat = [messages.get(event) for event in EVENTS[:3]]
    approvals = messages.get("workflow_approval") or {}
    if set(approvals) - set(APPROVALS):
        yield "no such event of an approval"
    stub = {
        "job": {"id": 42, "name": "Stub", "status": "running", "artifacts": {}},
        "job_friendly_name": "Job",
        "url": "https://awx/#/jobs/playbook/13",
        "job_metadata": "{}",
        "approval_node_name": "Approve Me",
        "approval_status": "approved",
        "workflow_url": "https://awx/#/jobs/workflow/1010",
    }
    for message in [*flat, *approvals.values()]:
        if message is None:
            continue
        if set(message) - {"message", "body"} or "\n" in (message.get("message") or ""):
            yield "a message has a line and a body"
        for text in message.values():
            if text is not None:
                yield from _rendered(text, stub, "message")
