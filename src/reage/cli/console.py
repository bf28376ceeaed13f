"""Printing: tables and JSON on stdout, everything else on stderr; in every encoding and width of a terminal."""

from __future__ import annotations

import codecs
import io
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

Row = TypeVar("Row")


NARROW_COLUMNS = 70
"""Below this width help is printed without boxes, because they would cut the names of options."""

_PLAIN = {
    "±": "+/-",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "→": "->",
    "•": "*",
    "“": '"',
    "”": '"',
    "’": "'",
}
_ENCODE_ERRORS = "reage.plain"
_ASCII = "reage_ascii"


def adapt_streams() -> None:
    """Lets stdout and stderr print any text: what their encoding lacks is spelled with ASCII instead of an error."""
    codecs.register_error(_ENCODE_ERRORS, _spell)
    codecs.register(_find_codec)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_ENCODE_ERRORS)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: where typer sees the usual one, it takes it for a mistake and prints UTF-8."""
    if name != _ASCII:
        return None
    found = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=_ASCII,
        encode=found.encode,
        decode=found.decode,
        incrementalencoder=found.incrementalencoder,
        incrementaldecoder=found.incrementaldecoder,
    )


def _spell(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    spelled = (_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in missing)
    return "".join(spelled), error.end


def is_narrow() -> bool:
    """Whether the terminal is too narrow for help in boxes."""
    return shutil.get_terminal_size().columns < NARROW_COLUMNS


def print_json(values: Any, *, in_one_line: bool = False) -> None:
    """Prints plain values as one JSON object on stdout, which is then flushed."""
    typer.echo(json.dumps(values, indent=None if in_one_line else 2))


def print_notes(notes: Iterable[str]) -> None:
    """A line on stderr for each thing that the user should know about a result."""
    for note in notes:
        typer.echo(f"Note: {note}", err=True)


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
