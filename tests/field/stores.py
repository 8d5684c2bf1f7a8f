# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real OpenBao does with secrets: ``tests/field/stores.py``. The guide "Field notes" has it as a table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.openbao import Bao, openbao


def looks(bao: Bao) -> dict[str, object]:
    """Each look by the words of the table's first column."""

    def put(path: str, data: dict[str, object], **options: object) -> tuple[int, str]:
        answer = bao.ask("POST", path, {"data": data, "options": options} if options else {"data": data})
        return answer.status_code, answer.text.strip()[:160]

    found: dict[str, object] = {}
    lengths = {
        count: put("secret/data/many", {f"k{number}": "v" for number in range(count)})[0] for count in (490, 510)
    }
    found["JSON strings in one request"] = {f"{count} keys and values": code for count, code in lengths.items()}
    bao.mount("first", version=1)
    body = {"data": {"value": "x"}, "options": {"cas": 0}}
    found["a mount of version 1"] = [bao.ask("POST", "first/data/a", body).status_code for _twice in range(2)]
    bao.do("POST", "secret/metadata/short", {"delete_version_after": "3600s"})
    written = bao.do("POST", "secret/data/short", {"data": {"value": "x"}})["data"]
    found["delete_version_after"] = {key: written[key] for key in ("created_time", "deletion_time")}
    bao.do("POST", "secret/data/number", {"data": {"long": 12345678901234567890, "whole": 1.0}})
    found["numbers in a secret"] = bao.do("GET", "secret/data/number")["data"]["data"]
    bao.do("POST", "secret/data/a/b", {"data": {"value": "once"}})
    found["a path that is spelled in other ways"] = (
        bao.ask("GET", "secret/data/a//b").json().get("data", {}).get("data")
    )
    role = bao.role("looked-at")
    token = bao.do("POST", "auth/approle/login", dict(role))["auth"]
    found["tokens left behind by AppRole"] = {"hours": token["lease_duration"] / 3600}
    return found


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="field-") as folder, openbao(Path(folder)) as bao:
        version = bao.do("GET", "sys/health").get("version")
        print(f"OpenBao {version}")
        for what, seen in looks(bao).items():
            print(f"  {what}: {seen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
