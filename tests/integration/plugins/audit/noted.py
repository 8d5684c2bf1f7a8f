# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An extension of Jinja's (ANSIBLE_JINJA2_EXTENSIONS=noted.Compiled): every template that is compiled is noted, a line
of JSON each, in the file NOTED_PATH: the process and the template."""

from __future__ import annotations

import json
import os

from jinja2.ext import Extension


class Compiled(Extension):
    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        with open(os.environ["NOTED_PATH"], "a", encoding="utf-8") as file:
            file.write(json.dumps([os.getpid(), str(source)]) + "\n")
        return source
