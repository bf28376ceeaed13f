"""Printing: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

Row = TypeVar("Row")


def print_json(values: Any) -> None:
    """Prints plain values as one JSON object on stdout."""
    typer.echo(json.dumps(values, indent=2))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table on stdout; nothing in it is read as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for header in headers:
        table.add_column(header)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def stderr_console() -> Console:
    """Rich's console on stderr, for progress."""
    from rich.console import Console

    return Console(stderr=True)


def track(rows: Iterable[Row], description: str = "pictures", total: int | None = None) -> Iterable[Row]:
    """The rows, with a progress bar on stderr while they are iterated over.

    Args:
        rows: of any kind.
        description: what they are.
        total: how many there are; their length by default.
    """
    from rich.progress import track as rich_track

    return rich_track(rows, description, total=total, console=stderr_console())
