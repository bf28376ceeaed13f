"""The worker processes that a test has started."""

from __future__ import annotations

import os


def find_children() -> list[int]:
    """Numbers of the worker processes of this one."""
    found = []
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()  # noqa: SIM115
            command = open(f"/proc/{entry}/cmdline").read()  # noqa: SIM115
        except (OSError, ValueError):
            continue
        if int(stat[1]) == os.getpid() and "spawn_main" in command:
            found.append(int(entry))
    return found
