"""Results as a Markdown page, on the screen and in a file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from reage.evaluation.metrics.statistics import bootstrap_interval


def to_markdown(title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A page with a note in lines of 120 characters and one table, each row of as many cells as there are columns."""
    lines = [columns, ["---"] * len(columns), *rows]
    wrapped = textwrap.fill(note, 120, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"# {title}", "", wrapped, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def show_interval(values: ArrayLike, people: list[str], style: str = ".1%") -> str:
    """Mean of values (N,) and its 95 % interval over people (N,)."""
    own = np.asarray(values, float)
    low, high = bootstrap_interval(own, people)
    return f"{own.mean():{style}} [{low:{style}}, {high:{style}}]"


def show(page: str, path: Path | None) -> None:
    """Prints a page, and writes it to a file if one is given."""
    print(page)
    if path:
        path.write_text(page)
