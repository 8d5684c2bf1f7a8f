# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What stands in the way of a run: one file for each topic, each with its own slice of what was read.

A topic has ``calls`` (what it wants to read; all topics travel in one batch of Graph and one of Exchange), ``take``
(its facts, from the answers), ``explain`` where something wrong deserves a further request, and ``judge``, which is
pure. Where a step has a rule about what stops it, ``judge`` asks the step's own ``plan``, so that the preflight and
the step never disagree.
"""
