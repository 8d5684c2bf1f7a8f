# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Libraries that see tokens must not write them anywhere: MSAL logs an answer that it cannot read, token and all."""

from __future__ import annotations

import logging

SILENT = logging.CRITICAL + 1
LOGGERS = (
    *("azure", "charset_normalizer", "credssp", "hvac", "imapclient", "jwt", "msal", "msrest", "ntlm_auth", "oauthlib"),
    *("requests", "requests_kerberos", "requests_credssp", "requests_ntlm", "requests_oauthlib", "spnego", "urllib3"),
    *("winrm",),
)


def loggers() -> None:
    """Whatever they say ends here: it reaches no file, no terminal and no handler of the root logger."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        if logger.level != SILENT:
            # It makes every logger of the process forget what it knows of its level.
            logger.setLevel(SILENT)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
