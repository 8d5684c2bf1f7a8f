#!/bin/sh
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes tests/constraints.txt from what an empty environment gets for tests/requirements.txt.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

python=${PYTHON:-$(sh "$root/tests/tools/find-python.sh")}
"$python" -m venv "$scratch/venv"
mkdir "$scratch/tests"
cp "$root/tests/requirements.txt" "$scratch/tests/"
: >"$scratch/tests/constraints.txt"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$scratch/tests/requirements.txt"
{
    echo "# Written by 'make constraints': every package that tests/requirements.txt brings along, in the version that was tested."
    "$scratch/venv/bin/python" -m pip --disable-pip-version-check freeze
} >"$scratch/constraints.txt"
cp "$scratch/constraints.txt" "$root/tests/constraints.txt"
