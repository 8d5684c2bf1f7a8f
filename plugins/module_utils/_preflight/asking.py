# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Everything that the topics want to read, in one batch of Graph and one of Exchange; what each answer may mean.

What only helps to tell more is *spare*: it travels where a batch has room for it, and costs no request of its own.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _graph
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, HostNotReady, Throttled
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import rest
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class Read:
    """One thing to read. ``what`` it is in words, as ``unreadable`` names it where the operator may not.

    ``spare``: one for which no further request is worth while, the least first where there is not room for all.
    None: one that always travels.
    """

    request: Call | Cmdlet
    what: str
    spare: int | None = None


Reads = t.Mapping[str, Read]


@dataclass
class Answers:
    """The answers to one topic's reads, by the topic's own names.

    Each reader gives None where the operator may not read it, and where it was not asked for; another error raises.
    ``unreadable`` collects, in words, what was refused.
    """

    reads: Reads
    answers: t.Mapping[str, Part | Output]
    unreadable: list[str] = field(default_factory=list)

    def asked(self, name: str) -> bool:
        return name in self.answers

    def part(self, name: str) -> Part | None:
        """The answer as it came from Graph."""
        answer = self.answers.get(name)
        return answer if isinstance(answer, Part) else None

    def output(self, name: str) -> Output | None:
        """The answer as it came from Exchange."""
        answer = self.answers.get(name)
        return answer if isinstance(answer, Output) else None

    def refused(self, name: str) -> bool:
        """Whether the operator may not read it, which is noted."""
        if not isinstance(self.answers[name].error, Forbidden):
            return False
        self.unreadable.append(self.reads[name].what)
        return True

    def useless(self, name: str) -> bool:
        """Whether it holds an error that no waiting would mend: for what only helps to tell more."""
        error = self.answers[name].error
        return error is not None and not isinstance(error, Throttled)

    def document(self, name: str) -> Json | None:
        """One document of Graph, empty where there is none."""
        part = self.part(name)
        return None if part is None or self.refused(name) else part.found() or {}

    def rows(self, name: str) -> list[Json] | None:
        """A page of Graph, or the objects of a cmdlet; none where there are none."""
        answer = self.answers.get(name)
        if answer is None or self.refused(name):
            return None
        if isinstance(answer, Output):
            return answer.listed()
        return list((answer.found() or {}).get("value") or [])


_Request = t.TypeVar("_Request", bound="Call | Cmdlet")


def _with_room(
    rows: list[tuple[str, str, _Request]], spare_of: t.Callable[[str, str], int | None], limit: int
) -> list[tuple[str, str, _Request]]:
    """All that always travel, and of the spare ones as many as the last batch has room for."""
    always: list[tuple[str, str, _Request]] = []
    spare: list[tuple[int, tuple[str, str, _Request]]] = []
    for row in rows:
        rank = spare_of(*row[:2])
        if rank is None:
            always.append(row)
        else:
            spare.append((rank, row))
    room = -len(always) % limit if always else limit
    return [*always, *(row for _rank, row in sorted(spare, key=lambda item: item[0])[:room])]


class Ask:
    """Asks a tenant. ``refusal`` and ``host_problem`` say why Exchange answered nothing at all."""

    def __init__(self, tenant: Tenant, *, graph: bool, exchange: bool) -> None:
        self.tenant = tenant
        self.refusal: Forbidden | None = None
        self.host_problem: HostNotReady | None = None
        self.unreadable: list[str] = []
        self._graph = graph
        self._exchange = exchange

    def topics(self, wanted: t.Mapping[str, Reads]) -> dict[str, Answers]:
        """By topic what it wanted to read: one batch of each service, whatever the number of topics."""
        rows = [(topic, name, read.request) for topic, reads in wanted.items() for name, read in reads.items()]
        found: dict[str, dict[str, Part | Output]] = {topic: {} for topic in wanted}

        def spare_of(topic: str, name: str) -> int | None:
            return wanted[topic][name].spare

        calls = [(topic, name, request) for topic, name, request in rows if isinstance(request, Call)]
        calls = _with_room(calls, spare_of, _graph.BATCH_LIMIT)
        for (topic, name, _call), part in zip(calls, self._parts([call for *_names, call in calls]), strict=False):
            found[topic][name] = part
        cmdlets = [(topic, name, request) for topic, name, request in rows if isinstance(request, Cmdlet)]
        cmdlets = _with_room(cmdlets, spare_of, rest.BATCH_LIMIT)
        outputs = self._outputs([cmdlet for *_names, cmdlet in cmdlets])
        for (topic, name, _cmdlet), output in zip(cmdlets, outputs, strict=False):
            found[topic][name] = output
        return {topic: Answers(reads, found[topic], self.unreadable) for topic, reads in wanted.items()}

    def further(self, reads: Reads) -> Answers:
        """What only something wrong makes worth a request."""
        refusal = self.refusal
        answers = self.topics({"": reads})[""]
        self.refusal = refusal
        return answers

    def _parts(self, calls: list[Call]) -> list[Part]:
        if not calls:
            return []
        if not self._graph:
            self.unreadable.append("Microsoft Graph")
            return []
        return self.tenant.graph.batch(calls, purpose="look at the tenant")

    def _outputs(self, cmdlets: list[Cmdlet]) -> list[Output]:
        """None where Exchange answers nothing at all; why is kept."""
        if not cmdlets:
            return []
        if not self._exchange:
            self.unreadable.append("Exchange Online")
            return []
        try:
            outputs = self.tenant.exchange.invoke_many(cmdlets)
        except Forbidden as exc:
            self.refusal = exc
        except HostNotReady as exc:
            self.host_problem = exc
        else:
            refusals = [output.error for output in outputs if isinstance(output.error, Forbidden)]
            if len(refusals) == len(outputs):
                self.refusal = refusals[0]
            return outputs
        self._exchange = False
        self.unreadable.append("Exchange Online")
        return []
