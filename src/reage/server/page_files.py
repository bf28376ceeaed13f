"""The files of the page: uploads that are read, and results that are kept for some minutes."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from reage.server.config import Limits
from reage.server.guard import Refused
from reage.server.tasks import list_names

DELETE_AFTER_SECONDS = 600


class PageFiles:
    """The files of the page.

    Args:
        folder: of the server, which is deleted when it stops.
        limits: of uploads.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits

    def read(self, path: str) -> bytes:
        """The bytes of an uploaded photo.

        Raises:
            Refused: when it is too large.
        """
        if Path(path).stat().st_size > self._limits.megabytes * 1e6:
            raise Refused(413, "bytes", f"A photo may have {self._limits.megabytes:g} MB; give a smaller one.")
        return Path(path).read_bytes()

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Name -> bytes of uploaded photos.

        Raises:
            Refused: when they are too many, or one is too large.
        """
        most = self._limits.num_photos
        if len(paths) > most:
            raise Refused(422, "photos", f"These are {len(paths)} photos, and {most} are allowed; give fewer.")
        names = list_names([Path(path).name for path in paths])
        return {name: self.read(path) for name, path in zip(names, paths, strict=True)}

    def make_place(self, name: str) -> Path:
        """Where a file may be written, in a folder that nobody can guess and that is deleted as uploads are."""
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir()
        asyncio.get_running_loop().call_later(DELETE_AFTER_SECONDS, shutil.rmtree, folder, True)
        return folder / name
