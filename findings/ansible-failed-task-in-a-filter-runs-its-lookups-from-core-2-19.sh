#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     ansible-core 2.18.19, 2.19.14
# Seen:     In a rescue section `ansible_failed_task.name` is safe, but giving the whole of ansible_failed_task to a filter
#           renders all of the failed task's variables from 2.19 on: their lookups run, in the rescue, and a
#           variable that the task itself never used, undefined here, makes the rescue fail. 2.18 hands the text over as it stands.
# A guess:  ansible_failed_task is data about something that is over (2.10 and 2.11 were mended to make it so).
# For us:   A rescue that reports what failed (to_json into a log, a chat message or the record of a run) asks a store for
#           secrets or writes its own failure over the one that it was to report. Take the keys that you need by name.
# Seen how: One play under both versions. A lookup of the failed task writes a line into a file each time that it runs.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cat >"$here/play.yml" <<'PLAY'
- hosts: localhost
  gather_facts: false
  tasks:
    - block:
        - name: Store the secret
          ansible.builtin.fail:
            msg: The store refuses it
          vars:
            token: "{{ lookup('ansible.builtin.pipe', 'echo run >>' ~ counter) }}"
            unused: "{{ defined_elsewhere }}"
      rescue:
        - name: By name
          ansible.builtin.debug:
            msg: "{{ ansible_failed_task.name }}"
        - name: Whole
          ansible.builtin.debug:
            msg: "{{ (ansible_failed_task | to_json | length) > 0 }}"
          register: whole
          ignore_errors: true
        - name: What came of it
          ansible.builtin.debug:
            msg: "SEEN the rescue {{ 'failed' if whole is failed else 'went well' }}"
PLAY
export ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=false HOME="$here"
for version in 2.18.19 2.19.14; do
  python3 -m venv "$here/$version"
  "$here/$version/bin/pip" install -q --disable-pip-version-check ansible-core=="$version"
  : >"$here/runs"
  "$here/$version/bin/ansible-playbook" -i localhost, -c local -e counter="$here/runs" "$here/play.yml" >"$here/out" 2>&1
  said=$(grep -o "SEEN [a-z ]*" "$here/out")
  seen="${said#SEEN }, lookups run: $(wc -l <"$here/runs")"
  echo "ansible-core $version: $seen"
  case $version in
    2.18.19) [ "$seen" = "the rescue went well, lookups run: 0" ] ;;
    2.19.14) [ "$seen" = "the rescue failed, lookups run: 1" ] ;;
  esac
done
