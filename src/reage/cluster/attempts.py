"""What workers have begun and finished of the blocks that are not complete, so that a lost worker loses nothing.

It is held by one process for all workers of a run. A photo that a worker has begun and not finished when the worker
ended is begun again by another, and after `MAX_ATTEMPTS` of them by none: it may be what ends them.
"""

from __future__ import annotations

MAX_ATTEMPTS = 3
"""Workers that may end while they work on a photo."""


class Attempts:
    """The photos of the blocks that are worked on."""

    def __init__(self) -> None:
        self._starts: dict[int, dict[str, int]] = {}
        self._records: dict[int, dict[str, str]] = {}

    def begin(self, block: int) -> dict[str, str]:
        """The records of the photos of a block that other workers have finished, by their names."""
        return dict(self._records.get(block, {}))

    def start(self, block: int, name: str) -> int:
        """Notes that a worker begins a photo; how often that has happened, this time included."""
        starts = self._starts.setdefault(block, {})
        starts[name] = starts.get(name, 0) + 1
        return starts[name]

    def finish(self, block: int, name: str, record: str) -> None:
        """Notes what became of a photo."""
        self._records.setdefault(block, {})[name] = record

    def forget(self, block: int) -> None:
        """Drops a block whose records have arrived where they are counted."""
        self._starts.pop(block, None)
        self._records.pop(block, None)
