# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instants as the services and people write them."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._time import http_date, instant, iso

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T12:00:00Z",
        "2026-11-21T12:00:00.0000000Z",
        "2026-11-21t12:00:00z",
        "2026-11-21 12:00:00",
        "2026-11-21T13:00:00+01:00",
        "2026-11-21T12:00:00.0+0000",
        "2026-11-21T12:00Z",
        " 2026-11-21T12:00:00 ",
        NOON,
        NOON.replace(tzinfo=None),
    ],
)
def test_every_notation_is_the_same_instant(text):
    found = instant(text)
    assert found == NOON
    assert found is not None
    assert iso(found) == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize("text", [None, "", "soon", "2026-13-21T12:00:00Z", 5, "2026-11-21T12", "12:00"])
def test_what_is_no_instant_is_none(text):
    assert instant(text) is None


def test_a_date_alone_begins_at_midnight_and_decimals_are_kept():
    assert instant("2026-11-21") == dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    found = instant("2026-11-21T12:00:00.1234567Z")
    assert found is not None
    assert found.microsecond == 123456


@pytest.mark.parametrize("text", ["", None, "soon", "99999999999999999999"])
def test_what_is_no_date_of_http_is_none(text):
    assert http_date(text) is None


def test_a_date_of_http():
    assert http_date("Sat, 21 Nov 2026 12:00:00 GMT") == NOON
