#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     ansible-core 2.18.19, 2.19.14
# Seen:     Where the "when" of a meta task (end_host, end_role and their like) cannot be worked out for one host, ansible-playbook ends
#           at once for all of them: no rescue, no recap, exit code 1. The same condition on any other task fails that one host alone,
#           and its rescue runs.
# A guess:  Conditions of tasks are worked out in a host's worker, which turns an error into a result. A meta task has no worker: its
#           condition is worked out in the main process, where nothing catches the error.
# For us:   One tenant whose variables are odd would stop a whole fleet in the middle. A condition of a meta task must be one that cannot
#           fail: defaults for every name in it, and no look-up.
# Seen how: Three hosts, of which the second lacks a key; one play with a meta task and one with a command, on both versions.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cat >"$here/hosts.yml" <<'HOSTS'
all:
  hosts:
    one: {said: {so: false}}
    two: {said: {other: true}}
    three: {said: {so: false}}
HOSTS
cat >"$here/play.yml" <<'PLAY'
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - ACTION
          when: said.so
        - ansible.builtin.debug:
            msg: went on
      rescue:
        - ansible.builtin.debug:
            msg: was rescued
PLAY
sed 's/ACTION/ansible.builtin.meta: end_host/' "$here/play.yml" >"$here/meta.yml"
sed 's/ACTION/ansible.builtin.command: "true"/' "$here/play.yml" >"$here/command.yml"
export ANSIBLE_NOCOLOR=1 HOME="$here"
count() { grep -c "$1" "$here/out" || true; }
for version in 2.18.19 2.19.14; do
  python3 -m venv "$here/$version"
  "$here/$version/bin/pip" install -q --disable-pip-version-check ansible-core=="$version"
  for task in meta command; do
    code=0
    "$here/$version/bin/ansible-playbook" -i "$here/hosts.yml" -c local "$here/$task.yml" >"$here/out" 2>"$here/err" || code=$?
    seen="exit code $code, $(count 'went on') went on, $(count 'was rescued') rescued, recap of $(count ' : ok=')"
    echo "ansible-core $version, $task: $seen"
    case $task in
      meta) [ "$seen" = "exit code 1, 0 went on, 0 rescued, recap of 0" ] ;;
      command) [ "$seen" = "exit code 0, 2 went on, 1 rescued, recap of 3" ] ;;
    esac
  done
done
