"""Writes files atomically: complete or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from reage.errors import ReageError


@contextmanager
def replace_file(path: str | Path, error: type[ReageError] = ReageError) -> Iterator[Path]:
    """A context that gives a temporary path in the same folder: renamed to `path` at the end, deleted on any failure.

    The temporary name starts with a dot and has the suffix of `path`. A half-written file is never visible.

    Args:
        path: of the file; an existing one is kept until the new one is complete.
        error: type that is raised when the system refuses to write or to rename.

    Raises:
        ReageError: or the type given as `error`; exceptions other than OSError pass through.

    Example:
        >>> with replace_file(Path("faces.csv")) as unfinished:  # doctest: +SKIP
        ...     unfinished.write_text("age")
    """
    path = Path(path)
    unfinished = path.with_name(f".reage-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as refusal:
        raise error(f"'{path}' could not be written ({_reason(refusal)}); choose another place.") from refusal
    finally:
        with suppress(OSError):  # such as a file where the folder should be: the refusal above is reported
            unfinished.unlink()


@contextmanager
def replace_files(paths: Sequence[Path], error: type[ReageError] = ReageError) -> Iterator[Mapping[Path, Path]]:
    """A context that gives a temporary path for each of several files: all are renamed at the end, or none.

    Args:
        paths: of the files, all in one folder; existing ones are kept until all new ones are complete.
        error: type that is raised when the system refuses to write or to rename.

    Raises:
        ReageError: or the type given as `error`; exceptions other than OSError pass through.
    """
    folder = paths[0].parent
    try:
        with tempfile.TemporaryDirectory(prefix=".reage-", dir=folder) as temporary:
            unfinished = {path: Path(temporary) / path.name for path in paths}
            yield unfinished
            for path, written in unfinished.items():
                os.replace(written, path)
    except OSError as refusal:
        raise error(f"'{folder}' cannot be written to ({refusal.strerror}); choose another folder.") from refusal


def _reason(refusal: OSError) -> str:
    words = str(refusal.strerror or refusal).split()
    return " ".join(words).rstrip(".") or "the system gives no reason"
