"""Results as a Markdown page, on the screen and in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def to_markdown(title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A page with one table, each row of as many cells as there are columns."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([f"# {title}", "", note, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def show(page: str, path: Path | None) -> None:
    """Prints a page, and writes it to a file if one is given."""
    print(page)
    if path:
        path.write_text(page)
