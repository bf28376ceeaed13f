"""What the benchmarks share: clocks, the memory of a process, and runs of a benchmark in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
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
