# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.emulator serve --tenants FILE.yml``"""

from __future__ import annotations

import argparse
import asyncio
import sys

from .model import PROFILES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emulator", description="Plays Microsoft 365 tenants.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve until told to stop; prints one JSON line when ready")
    serve.add_argument("--tenants", required=True, metavar="FILE.yml", help="the tenants to play")
    serve.add_argument("--state", metavar="FILE.sqlite", help="keep the state here over restarts")
    serve.add_argument("--port", type=int, default=0, help="port of the proxy; 0: any free one")
    serve.add_argument("--profile", choices=sorted(PROFILES), default="calm", help="delays and hiccups")
    serve.add_argument("--parent", type=int, metavar="PID", help="end when this process has ended")
    serve.add_argument("--stdin", action="store_true", help="end when standard input is closed")
    given = parser.parse_args()

    from .server import serve as run
    from .tenants import TenantsFileError

    try:
        asyncio.run(
            run(
                given.tenants,
                state=given.state,
                port=given.port,
                profile=given.profile,
                parent=given.parent,
                stdin=given.stdin,
            )
        )
    except (TenantsFileError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
