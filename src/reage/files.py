"""Writes files atomically: complete or not at all; reads pipes whole; checks and shortens names.

Convention:
    a file that is not complete yet is called `.reage-HOST-PROCESS-RANDOM.SUFFIX`, in the folder of the complete one.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from reage.errors import ReageError

STANDARD_STREAM = Path("-")
"""The path that stands for standard input, and for standard output."""

MAX_NAME_BYTES = 255
"""Longest name of a file, in bytes of UTF-8, that common file systems store."""

OWN_PREFIX = ".reage-"
"""How the names of files start that reage makes for itself while it works."""

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".3gp", ".ogv"),
)
"""Suffixes of files that are taken for videos."""

_ADDRESS = re.compile(r"(https?|ftps?|sftp|s3|gs|data):/?/?", re.IGNORECASE)


@contextmanager
def replace_file(path: str | Path, error: type[ReageError] = ReageError) -> Iterator[Path]:
    """A context that gives a temporary path in the same folder: renamed to `path` at the end, deleted on any failure.

    The temporary name starts with a dot and has the suffix of `path`. A half-written file is never visible; one that is
    left behind by a process that was killed is deleted by `remove_abandoned`.

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
    unfinished = path.with_name(f"{_own_prefix()}{secrets.token_hex(8)}{path.suffix}")
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


def remove_abandoned(folder: Path) -> None:
    """Deletes the unfinished files in a folder whose process, on this computer, does not run any more."""
    own = re.compile(re.escape(OWN_PREFIX) + _host() + r"-(\d+)-[0-9a-f]{16}(\.\w+)?")
    with suppress(OSError):
        for path in folder.iterdir():
            found = own.fullmatch(path.name)
            if found and not _is_running(int(found[1])):
                with suppress(OSError):
                    path.unlink()


def check_place(path: str | Path, error: type[ReageError] = ReageError) -> None:
    """Checks that a new file can really be made at `path`: an empty one is, under another name, and deleted.

    Raises:
        ReageError: or the type given as `error`: the name is too long, or the system refuses the file.
    """
    path = Path(path)
    num_bytes = len(os.fsencode(path.name))
    if num_bytes > MAX_NAME_BYTES:
        raise error(f"'{path.name}' has {num_bytes} bytes, and a name at most {MAX_NAME_BYTES}; choose a shorter one.")
    trial = path.with_name(f"{_own_prefix()}{secrets.token_hex(8)}")
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as refusal:
        raise error(f"'{path}' could not be written ({_reason(refusal)}); choose another place.") from refusal


def shorten_name(stem: str, ending: str) -> str:
    """A file name of at most `MAX_NAME_BYTES`: the stem and the ending, where they fit.

    A stem that is too long is cut at a whole character and gets the first digits of its hash, so that two long names
    stay different.

    Args:
        stem: of the name.
        ending: is kept, as in "-70.jpg".
    """
    if len(os.fsencode(stem + ending)) <= MAX_NAME_BYTES:
        return stem + ending
    ending = f"~{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}{ending}"
    kept = os.fsencode(stem)[: MAX_NAME_BYTES - len(os.fsencode(ending))]
    return kept.decode(sys.getfilesystemencoding(), errors="ignore") + ending


def open_whole(path: Path, error: type[ReageError] = ReageError) -> BinaryIO:
    """A file opened for reading; a pipe, a device or standard input ("-") is read to its end first.

    Raises:
        ReageError: or the type given as `error`, when `path` is an address of the web.
        OSError: when it cannot be opened; also ValueError.
    """
    if path == STANDARD_STREAM:
        return io.BytesIO(sys.stdin.buffer.read())
    if is_address(path):
        raise error(f"'{path}' is an address, and reage reads files; fetch it first, as in curl -L -o photo.jpg URL.")
    file = path.open("rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    with file:
        return io.BytesIO(file.read())


def is_video(path: str | Path) -> bool:
    """Whether a file is a video by its suffix; it need not exist."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def is_address(path: Path) -> bool:
    """Whether a path that does not exist was meant as an address, such as https://example.org/me.jpg."""
    return _ADDRESS.match(str(path)) is not None and not os.path.exists(path)


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a device or standard input, which can be read once only."""
    if path == STANDARD_STREAM:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _own_prefix() -> str:
    return f"{OWN_PREFIX}{_host()}-{os.getpid()}-"


def _host() -> str:
    """Eight hex digits for this computer, because a process number means nothing on another."""
    return hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:8]


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # there is no harmless way to ask
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _reason(refusal: OSError) -> str:
    words = str(refusal.strerror or refusal).split()
    return " ".join(words).rstrip(".") or "the system gives no reason"
