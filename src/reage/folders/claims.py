"""Claims on photos, so that several runs of the same command on one folder share its photos and make each once.

One lock file in the folder of the results stands for all runs with the same settings. Each run shares a lock on its
first byte for as long as it lives; a photo is claimed by a lock on the byte at the hash of its name. The system
releases the locks of a process that ends, however it ends, so that nothing has to be tidied up after a crash. Without
such locks (on Windows, or a network folder that has none), every run makes every photo.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from reage.files import OWN_PREFIX

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

_ALIVE = 0
"""The byte that is locked by every run that lives; photos have others."""


class Claims:
    """The claims of one process. A process must have one object only for each lock file, or it loses its locks.

    Args:
        folder: of the results; it is there.
        settings: a text that is the same for the same source, plan, engine and options.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self._folder = folder
        self._path = folder / f"{OWN_PREFIX}{hashlib.sha256(settings.encode()).hexdigest()[:16]}.lock"
        self._file: int | None = None
        self._started_ns = 0

    def __enter__(self) -> Self:
        try:
            self._join()
        except OSError:  # a place without locks
            self._close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            if self._lock(_ALIVE, alone=True):
                with suppress(OSError):
                    self._path.unlink()
            self._close()

    @contextmanager
    def claim(self, output: Path) -> Iterator[bool]:
        """Whether the result is this process's to make, until the context ends; False where another one makes it."""
        byte = 1 + int.from_bytes(hashlib.sha256(os.fsencode(output.relative_to(self._folder))).digest()[:7]) // 2
        if self._file is None:
            yield True
        elif not self._lock(byte, alone=True):
            yield False
        else:
            try:
                yield True
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def is_made(self, output: Path) -> bool:
        """Whether one of the runs that share the photos has made this result since the first of them started."""
        if self._file is None:
            return False
        try:
            return output.stat().st_mtime_ns > self._started_ns
        except OSError:
            return False

    def _join(self) -> None:
        """Opens the lock file and locks its first byte; the first of all runs that live notes the time in it."""
        while fcntl is not None and self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if self._lock(_ALIVE, alone=True):
                os.utime(self._file)
            fcntl.lockf(self._file, fcntl.LOCK_SH, 1, _ALIVE)
            opened = os.fstat(self._file)
            self._started_ns = opened.st_mtime_ns
            if not (self._path.exists() and os.path.samestat(opened, self._path.stat())):
                self._close()  # the last run before has just deleted it

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, byte: int, *, alone: bool) -> bool:
        assert self._file is not None
        try:
            fcntl.lockf(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True
