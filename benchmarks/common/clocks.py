"""Seconds, peak memory, and runs of a benchmark in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a call, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def peak_mb() -> float:
    """The most memory that this process ever held, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def run_apart(file: str, *arguments: str) -> str:
    """Output of a benchmark's file, run with these arguments in a process of its own."""
    return subprocess.run([sys.executable, file, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
