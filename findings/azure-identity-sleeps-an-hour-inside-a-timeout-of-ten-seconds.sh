#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     azure-identity 1.27.0, azure-core 1.41.0
# Seen:     A 429 of the token endpoint with "Retry-After: 3600" makes get_token() sleep one hour inside the call, although the
#           credential was made with timeout=10 and retry_backoff_max=5. Neither limits a wait that the server asked for, and
#           nothing says that it waits: the log has the 429 itself, at INFO, and no warning.
# A guess:  `timeout` is for the whole operation, its documentation says; a longer Retry-After ends in an error that names it.
# For us:   Sign-in to a throttled tenant hangs a play, an AWX job or a fax service without a line of output, until a time-out
#           from outside kills it. Who needs a bound sets it around the call, or hands in a transport whose sleep() refuses.
# Seen how: A transport of our own in place of the network: one 429, then a token; its sleep() writes down instead of sleeping.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check azure-identity==1.27.0 azure-core==1.41.0
"$here/env/bin/python" - <<'PYTHON'
import json
import logging

from azure.core.pipeline.transport import HttpResponse, HttpTransport
from azure.identity import ClientSecretCredential

logged, slept, sent = [], [], []


class Heard(logging.Handler):
    def emit(self, record):
        logged.append(f"{record.levelname} {record.getMessage()}")


class Answer(HttpResponse):
    def __init__(self, request, status, document, **headers):
        super().__init__(request, None)
        self.status_code, self.reason, self.content_type = status, "", "application/json"
        self.headers = {"Content-Type": self.content_type, **headers}
        self._text = json.dumps(document).encode()

    def body(self):
        return self._text


class Transport(HttpTransport):
    def __enter__(self):
        return self

    def __exit__(self, *_args):
        pass

    open = close = lambda self: None

    def sleep(self, duration):
        slept.append(duration)

    def send(self, request, **_settings):
        if request.method == "GET":
            base = "https://login.microsoftonline.com/contoso.example"
            ends = {"token_endpoint": f"{base}/token", "authorization_endpoint": f"{base}/authorize"}
            return Answer(request, 200, {**ends, "issuer": f"{base}/v2.0"})
        sent.append(request.url)
        if len(sent) == 1:
            return Answer(request, 429, {"error": "temporarily_unavailable"}, **{"Retry-After": "3600"})
        return Answer(request, 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 3600})


logging.getLogger("azure").addHandler(Heard(logging.INFO))
logging.getLogger("azure").setLevel(logging.INFO)
credential = ClientSecretCredential(
    "contoso.example",
    "00000000-0000-0000-0000-000000000001",
    "a-secret",
    transport=Transport(),
    disable_instance_discovery=True,
    timeout=10,
    retry_backoff_max=5,
)
token = credential.get_token("https://graph.microsoft.com/.default")
warned = [line for line in logged if not line.startswith("INFO")]
print(f"token requests: {len(sent)}, seconds asleep: {slept}, token in the end: {bool(token.token)}, warnings: {warned}")
assert slept == [3600.0] and len(sent) == 2 and token.token and not warned
PYTHON
