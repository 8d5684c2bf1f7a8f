# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""AWX as code: everything that AWX is to have, as data in its own words (24.6.1), and nothing that talks to it.

``wish`` reads what somebody wants, ``objects`` makes the lists of it, ``aap`` says the same in the variables of the
collection infra.aap_configuration.
"""

from __future__ import annotations
