#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     ansible-core 2.18.19, 2.19.14
# Seen:     A task that uses one filter of a collection makes Ansible go through all of its filter files and call filters() of
#           each; a second filter of the collection in the same task goes through all of them again, and so does the next task.
# A guess:  The file of the filter's name is asked, once in a run.
# For us:   Filters cost by the number of files beside them, for each filter, task and host: one file with all filters (as
#           Ansible's own, with the documentation in YAML beside it) is cheaper than one for each.
# Seen how: A collection of twenty files, each of which leaves a line when it is asked; plays of one and two tasks.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
folder=$here/ansible_collections/some/filters
mkdir -p "$folder/plugins/filter"
printf 'namespace: some\nname: filters\nversion: 1.0.0\nreadme: README.md\nauthors: [me]\n' >"$folder/galaxy.yml"
for number in $(seq 10 29); do
  cat >"$folder/plugins/filter/f$number.py" <<PYTHON
import os


class FilterModule:
    def filters(self):
        with open(os.environ["ASKED"], "a") as stream:
            print("f$number", file=stream)
        return {"f$number": str}
PYTHON
done
play() { printf -- '- hosts: all\n  gather_facts: false\n  tasks:\n'; printf "    - ansible.builtin.debug: {msg: \"%s\"}\n" "$@"; }
export ANSIBLE_NOCOLOR=1 HOME="$here" ANSIBLE_COLLECTIONS_PATH="$here" ASKED="$here/asked"
asked() {
  play "$@" >"$here/play.yml"
  rm -f "$ASKED"
  "$here/$version/bin/ansible-playbook" -i fax, -c local "$here/play.yml" >"$here/out"
  wc -l <"$ASKED"
}
one="{{ 'x' | some.filters.f10 }}"
other="{{ 'x' | some.filters.f20 }}"
for version in 2.18.19 2.19.14; do
  python3 -m venv "$here/$version"
  "$here/$version/bin/pip" install -q --disable-pip-version-check ansible-core=="$version"
  seen="$(asked "$one") $(asked "$one $one") $(asked "$one $other") $(asked "$one" "$one")"
  echo "ansible-core $version, files asked: one filter, the same twice, two filters, one filter in two tasks -> $seen"
  [ "$seen" = "20 20 40 40" ]
done
