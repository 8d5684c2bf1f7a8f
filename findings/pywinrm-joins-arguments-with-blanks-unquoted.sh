#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     pywinrm 0.5.0
# Seen:     run_cmd(command, args) takes a list of arguments and joins it with blanks, without a quote: ["a b", "c"], ["a", "b c"]
#           and ["a", "b", "c"] are the same request, byte for byte, and an empty argument is gone. cmd.exe stands behind it.
# A guess:  A list is what subprocess makes of it on Windows: each element arrives as one argument (list2cmdline).
# For us:   Paths with blanks ("C:\Program Files\Fax Server\..."), display names and empty passwords of a fax server's own
#           command line tools arrive as other arguments, and the tool says that it was called wrongly, or does something
#           else. Hand in subprocess.list2cmdline(args) as one argument, or use run_ps().
# Seen how: The transport is replaced by a recorder; what would be sent is read from the SOAP message.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check pywinrm==0.5.0
"$here/env/bin/python" - <<'PYTHON'
import subprocess
import xml.etree.ElementTree as ET

import winrm


def sent(arguments):
    protocol = winrm.Session("fax.example", auth=("user", "word")).protocol
    messages = []

    def record(message):
        messages.append(message)
        return "<answer><CommandId>1</CommandId></answer>"

    protocol.send_message = record
    protocol.run_command("shell", "faxtool.exe", arguments)
    (line,) = [node for node in ET.fromstring(messages[0]).iter() if node.tag.endswith("}CommandLine")]
    return {node.tag.rpartition("}")[2]: node.text for node in line}["Arguments"]


lists = [["Fax Server", "in"], ["Fax", "Server in"], ["Fax", "Server", "in"]]
for arguments in lists:
    print(f"{arguments}: pywinrm {sent(arguments)!r}, subprocess {subprocess.list2cmdline(arguments)!r}")
assert {sent(arguments) for arguments in lists} == {"Fax Server in"}
print(f"['/password', '', '/go']: pywinrm {sent(['/password', '', '/go'])!r}")
assert sent(["/password", "", "/go"]).split() == ["/password", "/go"]
PYTHON
