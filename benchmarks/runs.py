"""What the benchmarks share: clocks, memory, tables, and runs of a benchmark in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its seconds."""
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


def peak_mb() -> float:
    """The most memory that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def run_apart(file: str, *arguments: str) -> str:
    """What a benchmark's file prints, run with these arguments in a process of its own."""
    return subprocess.run([sys.executable, file, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def to_markdown(title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A page with one table, each row of as many cells as there are columns."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([f"# {title}", "", note, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def show(page: str, path: Path | None) -> None:
    """Prints a page, and writes it where that is asked for."""
    print(page)
    if path:
        path.write_text(page)
