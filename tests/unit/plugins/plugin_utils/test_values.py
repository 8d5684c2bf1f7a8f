# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables looked at by name: what Ansible would make of them, without a template where none is needed."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places, _values
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._values import Values

try:
    from ansible.template import trust_as_template
except ImportError:  # up to ansible-core 2.18
    TYPED = False
    """Whether what a template comes to keeps its type: a number was text before, and nothing was empty text."""

    def trust_as_template(value: str) -> str:
        return value
else:
    TYPED = True


def written(value: t.Any) -> t.Any:
    """As it stands in YAML, where every text may be a template."""
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [written(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


VARIABLES = {
    "host": "contoso",
    "odd": "Møller GmbH",
    "blank": "  ",
    "days": "45",
    "nothing": None,
    "boxes": "a@x.example, b@x.example",
    "result": {"changed": True, "tenant": {"id": "1", "name": None}, "items": [1], "lines": ["x", "{{ host }}"]},
    "alias": "{{ result.tenant }}",
    "worked_out": "{{ [1, 2] | sum }}",
    "deep": {"on": "{{ worked_out }}", "list": ["{{ host }}", "{{ missing | default({}) }}"]},
    "definition": "{{ {'names': {'group': 'Fax'}} }}",
    "of_ours": "{{ blank | default(none) | mail2fax.m365.said(definition.names.group) }}",
}


class Counted:
    """A templar that tells what it was asked."""

    def __init__(self, variables: dict[str, t.Any]) -> None:
        self._templar = Templar(loader=DataLoader(), variables=variables)
        self.asked: list[str] = []

    def template(self, value: t.Any) -> t.Any:
        self.asked.append(str(value))
        return self._templar.template(value)


def looked_at(**variables: t.Any) -> tuple[Values, Counted]:
    known = written({**VARIABLES, **variables})
    templar = Counted(known)
    return Values(templar, known), templar


RESULT = {"changed": True, "tenant": {"id": "1", "name": None}, "items": [1], "lines": ["x", "contoso"]}
SIMPLE: dict[str, t.Any] = {
    "{{ host }}": "contoso",
    "{{ days | mail2fax.m365.said(30) }}": 45,
    "{{ days | mail2fax.m365.said('') }}": "45",
    "{{ missing | default(none) | mail2fax.m365.said(30) }}": 30,
    "{{ blank | default(none) | mail2fax.m365.said({}) }}": {},
    "{{ blank | default(none) | mail2fax.m365.said(definition.names.group) }}": "Fax",
    "{{ nothing | default(none) | mail2fax.m365.said }}": None,
    "{{ boxes | default(none) | mail2fax.m365.said([]) }}": ["a@x.example", "b@x.example"],
    "{{ days\n   | default(none) | mail2fax.m365.said(-1) }}": 45,
    "{{ odd | mail2fax.m365.file_name }}": _places.file_name("Møller GmbH"),
    "{{ result.tenant.id }}": "1",
    "{{ result.tenant.none_such | default({}) }}": {},
    "{{ result.tenant.name.deeper | default('') }}": "",
    "{{ missing.deeper | default([]) }}": [],
    "{{ host.deeper | default(none) }}": None,
    "{{ result }}": RESULT,
    "{{ alias.id }}": "1",
    "{{ missing | default(host) }}": "contoso",
    "{{ missing.key | default(missing) | default({}) }}": {},
    "{{ blank | default(missing, true) }}": "  ",
    "{{ result.tenant.name | default(host, true) }}": "contoso",
    "{{ result.tenant.id | default(nothing, true) if host is defined else missing }}": "1",
    "{{ result.tenant.id if missing is defined\n   else missing | default(host, true) }}": "contoso",
    "{{ deep.list }}": ["contoso", {}],
}


def by_ansible(template: str) -> t.Any:
    """Without the collection's filters, which Ansible finds in a run alone."""
    return plain(Templar(loader=DataLoader(), variables=written(VARIABLES)).template(written(template)))


@pytest.mark.parametrize("template", SIMPLE)
def test_what_says_no_more_than_a_name_is_what_ansible_makes_of_it(template: str) -> None:
    values, templar = looked_at(asked=template)
    assert values.value("asked") == SIMPLE[template]
    assert {*templar.asked} <= {VARIABLES["definition"]}
    if "mail2fax" not in template:
        assert by_ansible(template) == (SIMPLE[template] if TYPED or SIMPLE[template] is not None else "")


@pytest.mark.parametrize(
    "template",
    [
        "{{ host }} ",
        "{{ host ~ '' }}",
        '{{ host | default("it\'s") }}',
        "{{ result['tenant'] }}",
        "{{ host | upper }}",
        "{{ missing_too | default(broken) if host is undefined else days }}",
        "{{ (result | default({})).tenant }}",
        "{% if true %}x{% endif %}",
        "{{host}}",
    ],
)
def test_what_says_more_is_rendered_by_ansible(template: str) -> None:
    values, templar = looked_at(asked=template)
    assert values.value("asked") == by_ansible(template)
    assert templar.asked == [template]


def test_what_a_variable_refers_to_is_worked_out_once() -> None:
    values, templar = looked_at(asked=["{{ deep.on }}", "{{ worked_out }}", "{{ of_ours }}", "{{ definition.names }}"])
    three = 3 if TYPED else "3"
    assert values.value("asked") == [three, three, "Fax", {"group": "Fax"}]
    assert values.value("worked_out") == three
    assert sorted(set(templar.asked)) == sorted(templar.asked)


def test_what_is_not_there_is_the_default() -> None:
    values, _templar = looked_at()
    assert values.value("missing") is None
    assert values.value("missing", {}) == {}


@pytest.mark.parametrize(
    "raw",
    ["{{ missing }}", "{{ asked }}", "{{ missing | mail2fax.m365.said(1) }}", "{{ [1] | nonesuch }}", "{{ alias }}"],
)
def test_an_error_names_the_variable_and_quotes_nothing(raw: str) -> None:
    values, _templar = looked_at(asked=raw, alias="{{ missing.key }}")
    with pytest.raises(InvalidInput, match="the variable asked cannot be rendered") as caught:
        values.value("asked")
    assert "missing" not in str(caught.value)


def test_what_our_own_plugins_say_is_told() -> None:
    class Refusing:
        def template(self, value: t.Any) -> t.Any:
            raise ValueError(
                "Error rendering template: mail2fax.m365.document: it cannot be read. What to do: mend it."
            )

    with pytest.raises(InvalidInput) as caught:
        Values(Refusing(), {"asked": written("{{ lookup('x') }}")}).value("asked")
    assert str(caught.value) == "it cannot be read. What to do: mend it."


def test_what_a_tenant_has_sent_is_no_template() -> None:
    evil = wrap_var({"name": "{{ host }}", "names": ["{{ worked_out | default(none) | mail2fax.m365.said('') }}"]})
    known = {**written(VARIABLES), "result": evil, "asked": written("{{ result.name }}")}
    templar = Counted(known)
    values = Values(templar, known)
    assert values.value("asked") == "{{ host }}"
    assert values.value("result") == {"name": "{{ host }}", "names": [evil["names"][0]]}
    assert templar.asked == []


def test_names_that_are_no_variables_are_left_to_ansible() -> None:
    told = [
        "omit",
        "x if vars is undefined else y",
        "x | default(omit) | mail2fax.m365.said(1)",
        "hostvars.other",
        "x | mail2fax.m365.said(omit)",
        "x | mail2fax.m365.said(y | default(1))",
        "x.items",
    ]
    assert [_values._read(f"{{{{ {one} }}}}") for one in told] == [None] * len(told)
