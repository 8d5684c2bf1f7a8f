# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib
import typing as t

from ansible import constants

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Nobody
from ansible_collections.mail2fax.m365.plugins.module_utils._module import refusal, without_secrets
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.tenant_info import DOOR
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import AtHand, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ahead, _arguments, _held, _planned, _together
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]
Look = t.Callable[[Json, Json], Json]

_OF_THE_SECRET = {
    "secret_name": "display_name",
    "secret_lifetime_days": "lifetime",
    "secret_renew_before_days": "renew_before",
    "secret_overlap_days": "overlap",
    "store": "store",
}
"""Options of the look, by which those of entra_application_secret are meant."""

_ASK = frozenset({"exchange_mailbox_permission", "exchange_mailbox_protocols"})
"""What may ask even so: rights are read mailbox by mailbox, and switches beside them, which the look does not do."""

_MODULES = "ansible_collections.mail2fax.m365.plugins.modules"

_KNOWN = ("stored_key_ids", "stored_in", "stored_intent")
"""What the store tells, in the words of entra_application_secret."""


class ActionModule(LaneAction):
    """The module of the same name, without a process of its own. Only from here a secret store can be opened."""

    door = DOOR
    _read: AtHand | None = None

    def _run(self, variables: Json) -> Json:
        """In a playbook of ours two hosts that turn out to mean one application are both stopped here, or at their next
        task."""
        result = super()._run(variables)
        asked = self._task.args.get("application")
        if variables.get(_held.PLAYBOOK) is None or result.get("failed") or not isinstance(asked, t.Mapping):
            return result
        application = _together.meant(result, asked)
        if application is None:
            return result
        _together.note(constants.DEFAULT_LOCAL_TMP, self._inventory_name, application)
        met = _together.met(constants.DEFAULT_LOCAL_TMP, self._inventory_name)
        return result if met is None else refusal(met)

    def _in_process(self, args: Json, variables: Json) -> Json:
        # A store is opened here even where the look has a process of its own.
        if args.get("store") and not self._switched_on(variables):
            return self._after_all_else(args, variables, super()._as_module)
        result = self._after_all_else(args, variables, super()._in_process)
        ahead = self._asked_ahead(plain(args), variables, result)
        return {**result, _ahead.RESULT: ahead} if ahead else result

    def _as_module(self, args: Json, variables: Json) -> Json:
        return self._after_all_else(args, variables, super()._as_module)

    def _reads(self, params: Json, variables: Json) -> Reads:
        """What is read here goes to the tasks after this one, and to what is asked ahead of them."""
        reads = super()._reads(params, variables)
        if reads.gives and reads.shelf is not None:
            self._read = AtHand(reads.shelf)
            reads = Reads(self._read, gives=True)
        return reads

    def _asked_ahead(self, args: Json, variables: Json, look: Json) -> Json:
        """What the tasks after this one have come to, by the names of their results, where they have nothing to do."""
        steps = _ahead.steps(str(variables.get(_held.PLAYBOOK)))
        if steps is None or look.get("outcome") != "ok" or (read := self._read) is None:
            return {}
        connection = {name: args[name] for name in CONNECTION.options if name in args}

        def asked(module: str, options: Json) -> Json:
            if module in _ASK and options.get("scan") == "all":
                # Of a look at every mailbox there is to be one.
                return {}
            if "store" in options:
                options = {**options, "store": self._resolved(options["store"])}
            door: Door = importlib.import_module(f"{_MODULES}.{module}").DOOR
            return self._through(
                door,
                {**connection, **options},
                variables,
                services=self.receiver,
                check_mode=True,
                known=Reads(read, takes=door.takes),
                nobody=None if module in _ASK else Nobody(),
            )

        with _arguments.of_an_action(self._templar, constants.DEFAULT_LOCAL_TMP) as arguments:
            try:
                return _ahead.results(steps, self._templar, variables, look, arguments, asked)
            except _ahead.NotPlain:
                return {}

    def _after_all_else(self, args: Json, variables: Json, look: Look) -> Json:
        """What is refused, then what the store says, then the look, with what the store knows."""
        args = plain(args)
        planned, store = args.pop("planned", None), args.get("store")
        if planned is not None:
            self._refuse(planned, args)
        if store is None:
            return look(args, variables)
        opened = self._open(args, variables)
        if opened.get("failed"):
            # Nothing else is told of the step, so that the cure belongs to its outcome.
            return {**opened, "summary": opened["msg"]}
        known = {name: opened[name] for name in _KNOWN}
        result = {**look(_knowing(args, known), variables), **known}
        warnings = [*opened.get("warnings", []), *result.get("warnings", [])]
        return {**result, "warnings": warnings} if warnings else result

    def _refuse(self, planned: t.Any, args: Json) -> None:
        if not isinstance(planned, dict):
            raise InvalidInput("planned is not a mapping", cure="give it steps and options", options=("planned",))
        try:
            refused = _planned.refused(planned, args)
        except ValueError as exc:
            raise InvalidInput(
                f"planned.options: {exc}", cure="give options by the module's name", options=("planned",)
            ) from None
        if refused:
            raise InvalidInput(without_secrets(" ".join(refused), self.door, args))

    def _open(self, args: Json, variables: Json) -> Json:
        """What entra_application_secret says while there is no application yet, and so nothing to ask the tenant."""
        asked = {name: args[name] for name in secret.DOOR.base.options if name in args}
        asked |= {meant: args[name] for name, meant in _OF_THE_SECRET.items() if args.get(name) is not None}
        asked = {"app_id": _names.ZERO_GUID, "display_name": "client secret", **asked}
        return self._through(
            secret.DOOR,
            asked,
            variables,
            services=self.receiver,
            check_mode=True,
        )


def _knowing(args: Json, known: Json) -> Json:
    """The options of the look, with what the store knows in the place of the store."""
    found = {name: value for name, value in args.items() if name not in ("store", *_KNOWN)}
    found |= {name: known[name] for name in ("stored_key_ids", "stored_in") if known[name] is not None}
    application = args.get("application")
    if isinstance(application, dict):
        keys = [*(application.get("known_key_ids") or []), *known["stored_key_ids"]]
        intent = application.get("stored_intent") or known["stored_intent"]
        found["application"] = {**application, "known_key_ids": keys, **({"stored_intent": intent} if intent else {})}
    return found
