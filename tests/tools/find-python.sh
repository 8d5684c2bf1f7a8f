#!/bin/sh
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints the path of a Python that can hold the tests' environment: it runs (a version manager's shim may not),
# it is 3.11 or newer, and it can make virtual environments. Versions that ansible-core supports come first.

probe='import ensurepip, ssl, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14)); '

for candidate in python3.11 python3.12 python3.13 python3 /usr/bin/python3 python; do
    found=$(command -v "$candidate") || continue
    if "$found" -c "$probe" 2>/dev/null; then
        exec "$found" -c 'import sys; print(sys.executable)'
    fi
done
echo "No Python between 3.11 and 3.13 with venv and pip was found (on Debian: apt install python3-venv)." >&2
echo "Name one yourself: make PYTHON=/path/to/python3" >&2
exit 1
