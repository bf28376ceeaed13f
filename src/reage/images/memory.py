"""How large a picture may be: the limit that was set, and the memory that its work needs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from reage.errors import ImageError

MAX_MEGAPIXELS = 200.0
"""Default size of the largest picture that is opened, all its frames together."""

MIN_SIDE_PX = 16
"""Smallest side of a picture that is opened; no face can be found in less."""

_BYTES_PER_PIXEL = 19  # measured on 100 megapixels: decoding, finding, compositing and saving of 8 bits
_BYTES_PER_DEEP_PIXEL = 27  # the same of 16 bits
_MILLION, _GIGABYTE = 1e6, 1e9


class Limit:
    """The largest picture that may be opened.

    Args:
        max_megapixels: all frames together, in millions of pixels.
    """

    def __init__(self, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self._max_megapixels = max_megapixels
        self._need = ""

    def check(self, sizes: list[tuple[int, int]], path: Path, *, deep: bool = False) -> None:
        """Checks a picture before it is decoded.

        Args:
            sizes: width and height in px of each frame.
            path: named in errors.
            deep: whether it has more than 8 bits per channel.

        Raises:
            ImageError: when a frame is too small, all of them are too large, or the free memory is not enough.
        """
        width, height = sizes[0]
        num_pixels = sum(one[0] * one[1] for one in sizes)
        frames = f"{len(sizes)} frames of " if len(sizes) > 1 else ""
        if min(min(one) for one in sizes) < MIN_SIDE_PX:
            raise ImageError(f"'{path}' is {width} x {height} px; each side must have at least {MIN_SIDE_PX} px.")
        need = num_pixels * (_BYTES_PER_DEEP_PIXEL if deep else _BYTES_PER_PIXEL)
        self._need = f"{num_pixels / _MILLION:.3g} megapixels need {need / _GIGABYTE:.1f} GB of memory"
        advice = "one of them with --frame" if frames else "a smaller copy"
        if num_pixels > self._max_megapixels * _MILLION:
            raise ImageError(
                f"'{path}' is {frames}{width} x {height} px, more than the {self._max_megapixels:g} megapixels that are"
                f" allowed; {self._need}; give {advice}, or a higher --max-megapixels."
            )
        free = free_bytes()
        if free is not None and need > free:
            raise ImageError(f"'{path}': {self._need} and {free / _GIGABYTE:.1f} GB are free; give {advice}.")

    def describe_lack(self, path: Path) -> str:
        """The sentence for a `MemoryError`."""
        return f"'{path}' does not fit the memory: {self._need or 'it is too large'}; give a smaller copy."


def free_bytes() -> int | None:
    """Memory that this process may still take; None where the system does not say."""
    found = [_free_in_system(), _free_in_container(), _free_in_process()]
    return min((free for free in found if free is not None), default=None)


def _free_in_system() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _free_in_container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit = int((folder / "memory.max").read_text())  # "max" where there is none
        cached = sum(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text().splitlines()
            if line.startswith(("inactive_file ", "active_file "))
        )
        return limit - int((folder / "memory.current").read_text()) + cached
    return None


def _free_in_process() -> int | None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            return limit - used
    return None
