#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     ansible-core 2.18.19, 2.19.14
# Seen:     With hosts named on the command line (-i host,) the variable inventory_dir is the text "None": four letters, defined,
#           true, not equal to none. default() does not help, nor does default(x, true).
# A guess:  No folder, no variable; or null.
# For us:   "{{ inventory_dir | default(playbook_dir) }}/secrets" makes a folder named None beside wherever the play was started,
#           with the fax server's secrets in it, and the next run from an inventory file does not find them. Ask
#           `inventory_dir != 'None'`, or look whether inventory_file has a comma at its end.
# Seen how: The same play on both versions, once with a list of hosts and once with an inventory file.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
echo fax >"$here/hosts"
cat >"$here/play.yml" <<'PLAY'
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "SEEN {{ inventory_dir is none }} {{ inventory_dir is string }} {{ inventory_dir | default('other', true) }} END"
PLAY
export ANSIBLE_NOCOLOR=1 HOME="$here"
for version in 2.18.19 2.19.14; do
  python3 -m venv "$here/$version"
  "$here/$version/bin/pip" install -q --disable-pip-version-check ansible-core=="$version"
  seen() { "$here/$version/bin/ansible-playbook" -i "$1" -c local "$here/play.yml" | sed -n 's/.*SEEN \(.*\) END.*/\1/p'; }
  listed=$(seen fax,)
  filed=$(seen "$here/hosts")
  echo "ansible-core $version, is none, is string, default(): -i fax, -> $listed; -i FILE -> ${filed% *} its folder"
  [ "$listed" = "False True None" ]
  [ "$filed" = "False True $here" ]
done
