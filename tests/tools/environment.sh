#!/bin/sh
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes or completes the virtual environment: environment.sh FOLDER STAMP. The stamp is written last, so an environment
# that was left half made is completed the next time.
set -eu
folder=$1
stamp=$2
root=$(cd "$(dirname "$0")/../.." && pwd)

if ! "$folder/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=${PYTHON:-$(sh "$root/tests/tools/find-python.sh")}
    echo "Making $folder with $python (about a minute) ..."
    rm -rf "$folder"
    "$python" -m venv "$folder"
else
    echo "Completing $folder ..."
fi
# Compiling the 15 000 generated files of msgraph-sdk, of which the tests read a few, would take longer than all the rest.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    --requirement "$root/tests/requirements.txt"
"$folder/bin/python" -m compileall -q -j 2 -x '/(msgraph|pip)/' "$folder/lib" >/dev/null || :
"$folder/bin/python" "$root/tests/tools/layout.py"
rm -f "$folder"/.made-from-*
: >"$stamp"
