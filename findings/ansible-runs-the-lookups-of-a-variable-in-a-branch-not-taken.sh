#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     ansible-core 2.18.19, 2.19.14
# Seen:     "{{ one if true else other }}" renders the variable other, and so runs the look-ups in its value; "one or other" and
#           "when: true or other" do, too. A look-up that is written into the expression itself is not run.
# A guess:  The branch that is not taken is left alone, as in Python. But a template of Jinja's resolves all of its names where it
#           begins, and for Ansible to resolve a variable is to render it.
# For us:   A variable that asks a vault is asked wherever an expression only mentions it: a fleet's vault gets several times the
#           questions, and one that is down stops hosts that would not have needed it. Put the look-up into the branch, as
#           lookup('ansible.builtin.vars', 'other').
# Seen how: One play on both versions. The look-up leaves a line in a file for each time that it is run.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cat >"$here/play.yml" <<'PLAY'
- hosts: all
  gather_facts: false
  vars:
    other: "{{ lookup('ansible.builtin.pipe', 'echo by-' ~ way ~ ' >> ' ~ log) }}"
  tasks:
    - ansible.builtin.debug:
        msg: "{{ 'one' if true else other }}"
      vars: {way: if}
    - ansible.builtin.debug:
        msg: "{{ 'one' or other }}"
      vars: {way: or}
    - ansible.builtin.debug:
        msg: one
      when: true or other
      vars: {way: when}
    - ansible.builtin.debug:
        msg: "{{ 'one' if true else lookup('ansible.builtin.pipe', 'echo by-inline >> ' ~ log) }}"
    - ansible.builtin.debug:
        msg: "{{ 'one' if true else lookup('ansible.builtin.vars', 'other') }}"
      vars: {way: name}
PLAY
export ANSIBLE_NOCOLOR=1 HOME="$here"
for version in 2.18.19 2.19.14; do
  python3 -m venv "$here/$version"
  "$here/$version/bin/pip" install -q --disable-pip-version-check ansible-core=="$version"
  "$here/$version/bin/ansible-playbook" -i fax, -c local -e "log=$here/$version.log" "$here/play.yml" >"$here/out"
  seen=$(sort -u "$here/$version.log" | paste -sd' ')
  echo "ansible-core $version, look-ups that ran though their branch is not taken: $seen"
  [ "$seen" = "by-if by-or by-when" ]
done
