# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX 24.6.1 does with a credential of a custom type when it starts a job, and how it writes a job's variables."""

from __future__ import annotations

import pathlib
import tempfile
import typing as t

import jinja2.sandbox
import yaml

Json = dict[str, t.Any]


class _Names:
    """``tower``, and ``tower.filename``."""


def inject(kind: Json, inputs: Json, folder: pathlib.Path) -> dict[str, str]:
    """The variables of the environment; files are written into ``folder``. Every injector is rendered, also for a field
    that nobody filled in: text is nothing, a box is False, a file is written."""
    space: Json = {name: value for name, value in inputs.items() if value or isinstance(value, bool)}
    for field in kind["inputs"]["fields"]:
        if field["type"] == "boolean":
            space.setdefault(field["id"], False)
    tower, files = _Names(), _Names()
    tower.filename = files  # type: ignore[attr-defined]
    space["tower"] = tower
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment()
    for label, template in kind["injectors"].get("file", {}).items():
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            file.write(environment.from_string(template).render(**space))
        setattr(files, label.split(".")[1], file.name)
    return {
        name: environment.from_string(template).render(**space)
        for name, template in kind["injectors"].get("env", {}).items()
    }


class _Unsafe(str):
    pass


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, data: dumper.represent_scalar("!unsafe", str(data), style="'"))


def extra_variables(answers: Json, job: int) -> str:
    """The file of extra variables: every answer of a survey, and every artifact, is text with a tag."""

    def marked(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {_Unsafe(key): marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value]
        return _Unsafe(value) if isinstance(value, str) else value

    lines = {name: marked(value) for name, value in answers.items()}
    return str(yaml.dump({**lines, "awx_job_id": job, "tower_job_id": job}, Dumper=_Dumper))
