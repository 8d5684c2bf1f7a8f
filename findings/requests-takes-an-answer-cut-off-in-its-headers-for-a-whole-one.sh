#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     Python's http.client (3.11 to 3.13), and with it requests 2.34.2 and urllib3; httpx 0.28.1 to compare.
# Seen:     A connection that ends in the middle of the header lines is no error. The caller gets the status of the first
#           line, the headers that had arrived (the last one cut short) and an empty body. It is noticed only from the moment
#           on that a whole Content-Length has come.
# A guess:  An answer without the blank line behind its headers is not an answer: ConnectionError, as httpx says it.
# For us:   A proxy or load balancer that goes away while Graph answers "201 Created" makes a success without an id: a tool
#           writes down an application with no appId, or makes it again. A shortened Retry-After ("1" of "120") is obeyed.
#           Ansible's uri module has the same client. Check that the document is there before the status is believed.
# Seen how: A server on loopback sends the first N bytes of one and the same complete answer and closes the connection.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check requests==2.34.2 httpx==0.28.1
"$here/env/bin/python" - <<'PYTHON'
import socket
import threading
import urllib.request

import httpx
import requests

BODY = b'{"appId":"0000"}'
HEAD = b"HTTP/1.1 201 Created\r\nRetry-After: 120\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
WHOLE = HEAD + BODY


def served(answer):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _peer = listener.accept()
        with connection, listener:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def seen(call, answer):
    try:
        return call(served(answer))
    except Exception as error:
        return type(error).__name__


def with_requests(url):
    answer = requests.get(url, timeout=10)
    return answer.status_code, dict(answer.headers), answer.text


def with_urllib(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, dict(answer.headers), answer.read().decode()


cut = {
    "in the first header's value": WHOLE[: WHOLE.index(b"20\r\n")],
    "after the first header": WHOLE[: WHOLE.index(b"Content-Type")],
    "before the blank line": HEAD[:-2],
    "in the body": WHOLE[:-5],
}
table = {place: [seen(call, part) for call in (with_requests, with_urllib, httpx.get)] for place, part in cut.items()}
for place, (first, second, third) in table.items():
    print(f"cut {place}:\n  requests: {first}\n  urllib:   {second}\n  httpx:    {third}")

short = (201, {"Retry-After": "1"}, "")
assert table["in the first header's value"][:2] == [short, short]
assert table["after the first header"][:2] == [(201, {"Retry-After": "120"}, "")] * 2
assert table["in the body"][:2] == ["ChunkedEncodingError", "IncompleteRead"]
assert {row[2] for row in table.values()} == {"RemoteProtocolError"}
PYTHON
