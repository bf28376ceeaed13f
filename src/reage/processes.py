"""What worker processes share: how many cores there are, the threads of each, and how one ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

MB_PER_WORKER = 2000
"""Memory that is counted on for each process that ages photos."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""Environment variables by which the libraries of a process choose their number of threads."""


def count_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def limit_threads(number: int) -> Iterator[None]:
    """The environment in which new processes compute with so many threads, unless it says a number already."""
    added = {name: str(number) for name in THREAD_VARIABLES if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def describe_end(process: BaseProcess) -> str:
    """How a process that has ended did so, in words such as "by signal 11"."""
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        return "by signal 9, as it does when memory is used up"
    return f"by signal {-code}" if code < 0 else f"with code {code}"
