"""Writing a file whole or not at all, whatever it holds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reage.errors import ReageError


@contextmanager
def replace_file(path: str | Path, error: type[ReageError] = ReageError) -> Iterator[Path]:
    """Gives a name to write to in the folder of `path`; it becomes `path` at the end, or vanishes on any failure.

    The name has the suffix of `path` and starts with a dot. No one ever sees half a file.

    Args:
        path: of the file; another one there stays whole until the new one is complete.
        error: what is raised when the system refuses to write or to rename.

    Raises:
        ReageError: or the kind given as `error`; what else goes wrong while writing goes on as it is.

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
        with suppress(OSError):  # such as a file for a folder, where the refusal above is what counts
            unfinished.unlink()


def _reason(refusal: OSError) -> str:
    words = str(refusal.strerror or refusal).split()
    return " ".join(words).rstrip(".") or "the system gives no reason"
