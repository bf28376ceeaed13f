"""Numbers with their intervals and counts, and tables of them, as text, as JSON, and for pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "not resolvable"
"""Printed where too little is known for a number."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number.

    Args:
        value: NaN when not resolvable.
        low: lower end of its 95 % interval; NaN for none.
        high: upper end.
        num: people, faces or pairs it comes from; 0 where that makes no sense.
        style: format of the value and the interval, for `format`.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    num: int = 0
    style: str = ".2f"

    @property
    def known(self) -> bool:
        """Whether it is a number."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        if not self.known:
            return UNKNOWN
        if math.isinf(self.value):
            return "no change"
        text = format(self.value, self.style)
        if math.isfinite(self.low) and math.isfinite(self.high):
            text += f" [{self.low:{self.style}}, {self.high:{self.style}}]"
        return text

    def to_json(self) -> dict[str, Any]:
        """Value, interval and count; None for what is unknown or infinite."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {**{name: own if math.isfinite(own) else None for name, own in numbers.items()}, "num": self.num}


Cell = Figure | str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures under headers.

    Args:
        name: key in report.json.
        title: heading for readers.
        headers: one for each column of figures.
        rows: name -> one cell for each header.
        note: what to know when reading it, one paragraph.
        corner: header of the column of names.
    """

    name: str
    title: str
    headers: Sequence[str]
    rows: Mapping[str, Sequence[Cell]]
    note: str = ""
    corner: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.headers) for row in self.rows.values()), self.name

    def to_lines(self) -> list[list[str]]:
        """Headers and rows as text."""
        return [[self.corner, *self.headers], *([name, *map(str, row)] for name, row in self.rows.items())]

    def to_markdown(self) -> str:
        """The table as a section of a Markdown file."""
        head, *rows = self.to_lines()
        lines = [f"## {self.title}", "", _line(head), _line(["---"] * len(head)), *map(_line, rows)]
        return "\n".join([*lines, "", self.note, ""] if self.note else [*lines, ""])

    def to_json(self) -> dict[str, Any]:
        """The table as plain values: row -> header -> figure or text."""
        return {
            "title": self.title,
            "note": self.note,
            "rows": {
                name: {
                    header: cell.to_json() if isinstance(cell, Figure) else cell
                    for header, cell in zip(self.headers, row, strict=True)
                }
                for name, row in self.rows.items()
            },
        }


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
