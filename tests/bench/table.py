# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of figures side by side: medians, and medians of the ratios of each pair."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """What was measured, a figure of each contender for each pair; ``floor`` is empty where it has none.

    Targets are the most that it may be: its ratio to the base, its ratio to the floor, itself. None: none.
    """

    title: str
    own: t.Sequence[float]
    base: t.Sequence[float]
    floor: t.Sequence[float] = ()
    of_base: float | None = None
    of_floor: float | None = None
    itself: float | None = None
    digits: int = 2
    ratios: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", ratios(self.own, self.base))

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def floor_ratio(self) -> float | None:
        found = ratios(self.own, self.floor)
        return statistics.median(found) if found else None

    @property
    def met(self) -> bool | None:
        """Whether every target is met; None where there is none, or nothing to tell it by."""
        told = self._told()
        return all(told) if told else None

    def target(self) -> str:
        return ", ".join(f"{most:g}{of}" for _value, most, of in self._targets()) or "-"

    def verdict(self) -> str:
        """Of each target where they differ, in their order."""
        told = ["met" if met else "not met" for met in self._told()]
        return (told[0] if len({*told}) == 1 else ", ".join(told)) if told else "-"

    def _told(self) -> list[bool]:
        """Whether each target is met; empty where there is nothing to tell one of them by."""
        found = [(value, most) for value, most, _of in self._targets()]
        return (
            []
            if any(value is None for value, _most in found)
            else [round(value or 0.0, 2) <= most for value, most in found]
        )

    def _targets(self) -> list[tuple[float | None, float, str]]:
        """What was measured, the most that it may be, and of what."""
        all_of_them = (
            (self.ratio, self.of_base, " of the base"),
            (self.floor_ratio, self.of_floor, " of the floor"),
            (statistics.median(self.own), self.itself, ""),
        )
        return [(value, most, of) for value, most, of in all_of_them if most is not None]

    def cells(self) -> tuple[str, ...]:
        spread = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}" if len(self.ratios) > 1 else "-"
        return (
            self.title,
            f"{statistics.median(self.own):.{self.digits}f}",
            f"{statistics.median(self.base):.{self.digits}f}" if self.base else "-",
            _number(self.ratio),
            spread,
            _number(self.floor_ratio),
            self.target(),
            self.verdict(),
        )


def ratios(own: t.Sequence[float], other: t.Sequence[float]) -> tuple[float, ...]:
    """Pair by pair; a pair in which the other came to nothing tells nothing."""
    return tuple(one / two for one, two in zip(own, other, strict=False) if two > 0)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def lines(base: str, rows: t.Iterable[Row]) -> list[str]:
    """The table, its head first."""
    head = ("", "THIS TREE", base, "RATIO", "FROM-TO", "OF FLOOR", "AT MOST", "")
    return columns([head, *(row.cells() for row in rows)])


def rst(base: str, rows: t.Iterable[Row]) -> list[str]:
    """The table as the guide has it."""
    told = [".. list-table::", "   :header-rows: 1", "   :widths: 34 12 12 10 12 20", "   :width: 100%", ""]
    shown = [("nothing to change, model A", "this version", base, "ratio", "of the floor", "at most")]
    for row in rows:
        # From which to which ratio the pairs went is for who measures.
        title, own, other, ratio, _spread, of_floor, most, met = row.cells()
        shown.append((title, own, other, ratio, of_floor, most if met == "-" else f"{most}: {met}"))
    for cells in shown:
        words = ("" if cell == "-" else cell for cell in cells)
        told += [f"   {'* ' if number == 0 else '  '}- {word}".rstrip() for number, word in enumerate(words)]
    return told


def columns(cells: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Text below text; the first column to the left."""
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]

    def line(row: t.Sequence[str]) -> str:
        first, *others = row
        return "  ".join(
            [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        ).rstrip()

    return [line(row) for row in cells]
