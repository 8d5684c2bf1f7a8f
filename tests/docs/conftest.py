# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of pages share."""

from __future__ import annotations

import typing as t

import pytest

from tests.docs import browser


@pytest.fixture(scope="module")
def chromium() -> t.Iterator[browser.Browser]:
    with browser.Browser() as running:
        yield running
