"""Folders of any file system that fsspec knows: this computer's, or a store such as s3://bucket/photos.

Convention:
    a name is the path of a file below a place, with / between folders, as in "2001/summer/me.jpg".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from reage.errors import ImageError, ReageError
from reage.files import OWN_PREFIX, replace_file

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_WHOLE_OR_NOTHING = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"})
"""Protocols of stores in which a file appears when all of it has arrived, and a new name would be a copy."""

_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems say of a file that changes with its content, the surest first."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file below a place.

    Args:
        name: of it.
        num_bytes: its size.
        stamp: a text that differs when the file has changed, as far as the file system tells.
    """

    name: str
    num_bytes: int
    stamp: str


class Place:
    """A folder of any file system; it can be pickled.

    Args:
        address: a path of this computer, or an address such as s3://bucket/photos.

    Raises:
        ReageError: when no installed package knows such addresses.

    Example:
        >>> Place("s3://bucket/aged").write("me.jpg", content)  # doctest: +SKIP
    """

    def __init__(self, address: str) -> None:
        from fsspec.core import split_protocol

        protocol, _ = split_protocol(address)
        is_local = protocol in (None, "file", "local")
        given = address.partition("://")[2] if is_local and protocol else address
        self.address = str(Path(given).absolute()) if is_local else address.rstrip("/")
        self.is_local = is_local
        self._is_whole_or_nothing = protocol in _WHOLE_OR_NOTHING
        _ = self._opened

    @cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        """The file system, and the path of the place in it."""
        from fsspec.core import url_to_fs

        try:
            system, root = url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise ReageError(
                f"'{self.address}' cannot be opened ({_one_line(error)}); install the package that fsspec names for it."
            ) from error
        return system, root.rstrip("/")

    def address_of(self, name: str) -> str:
        """The address of a file."""
        return f"{self.address}/{name}"

    def contains(self, other: Place) -> bool:
        """Whether another place is this one or lies below it."""
        return f"{other.address}/".startswith(f"{self.address}/")

    def list_files(self) -> list[StoredFile]:
        """All files below the place, sorted by name; empty when there is no such place.

        Raises:
            ImageError: when it cannot be read.
        """
        system, root = self._opened
        with self._reporting("read"):
            system.invalidate_cache()
            found = system.find(root, detail=True)
        files = [(path[len(root) + 1 :], about) for path, about in found.items()]
        return [
            StoredFile(name=name, num_bytes=int(about.get("size") or 0), stamp=_stamp_of(about))
            for name, about in sorted(files, key=lambda file: file[0])
            if name
        ]

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            ImageError: when it cannot be read.
        """
        system, _ = self._opened
        with self._reporting("read", name):
            content: bytes = system.cat_file(self._path(name))
        return content

    def read_several(self, names: Sequence[str]) -> list[bytes]:
        """The contents of files, read at the same time where the file system can.

        Raises:
            ImageError: when one cannot be read.
        """
        system, _ = self._opened
        paths = [self._path(name) for name in names]
        with self._reporting("read"):
            found = system.cat(paths) if paths else {}
        return [found[system._strip_protocol(path)] for path in paths]

    def write(self, name: str, content: bytes) -> None:
        """Writes a file: under a temporary name that is replaced at the end; at once in a store that has no half files.

        Raises:
            ImageError: when it cannot be written.
        """
        if self.is_local:
            path = Path(self._path(name))
            with self._reporting("written", name):
                path.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(path, ImageError) as unfinished:
                unfinished.write_bytes(content)
            return
        system, _ = self._opened
        path_there = self._path(name)
        with self._reporting("written", name):
            if self._is_whole_or_nothing:  # it has no folders either, and making one may make a bucket
                system.pipe_file(path_there, content)
                return
            system.makedirs(str(PurePosixPath(path_there).parent), exist_ok=True)
            unfinished_there = str(PurePosixPath(path_there).with_name(f"{OWN_PREFIX}{secrets.token_hex(8)}"))
            try:
                system.pipe_file(unfinished_there, content)
                system.mv(unfinished_there, path_there)
            except Exception:
                with suppress(Exception):
                    system.rm_file(unfinished_there)
                raise

    def holds(self, name: str) -> bool:
        """Whether there is such a file.

        Raises:
            ImageError: when the file system does not say.
        """
        system, _ = self._opened
        with self._reporting("read", name):
            return bool(system.exists(self._path(name)))

    def remove(self, names: Sequence[str]) -> None:
        """Deletes files, and the folder of the first where that leaves it empty.

        Raises:
            ImageError: when they cannot be deleted.
        """
        system, _ = self._opened
        with self._reporting("written"):
            if names:
                system.rm([self._path(name) for name in names])
        if names and not self._is_whole_or_nothing:
            with suppress(Exception):  # of a folder that holds others
                system.rmdir(str(PurePosixPath(self._path(names[0])).parent))

    def check_writable(self) -> None:
        """Checks that a file can really be made here: a small one is, and deleted.

        Raises:
            ImageError: when the file system refuses.
        """
        name = f"{OWN_PREFIX}{secrets.token_hex(8)}"
        self.write(name, b"reage")
        self.remove([name])

    def _path(self, name: str) -> str:
        return f"{self._opened[1]}/{name}"

    @contextmanager
    def _reporting(self, done: str, name: str = "") -> Iterator[None]:
        """Makes one sentence of whatever a file system raises; each has errors of its own."""
        try:
            yield
        except ReageError:
            raise
        except Exception as error:
            address = self.address_of(name) if name else self.address
            raise ImageError(
                f"'{address}' could not be {done} ({_one_line(error)}); check the address and your rights to it."
            ) from error


def _stamp_of(about: Mapping[str, Any]) -> str:
    changes = next((about[key] for key in _STAMPS if about.get(key)), "")
    return f"{about.get('size') or 0}-{changes}".replace('"', "")


def _one_line(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return " ".join(reason.split()).rstrip(".")[:200] or type(error).__name__
