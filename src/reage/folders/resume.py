"""The resume file of a folder run: which photos are finished, so that a run that was stopped can be continued.

Convention:
    JSON, one object a line: first the settings, then each finished photo, noted when its result is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from reage.errors import ImageError
from reage.files import check_place
from reage.folders.listing import FolderPhoto


class ResumeFile:
    """Which photos are finished, by the file that lists them. Several runs may share one.

    Args:
        path: of the file; it is made when the first photo is finished.
        settings: a text that is the same for the same source, plan, engine and options.

    Raises:
        ImageError: when the file cannot be read or written, is no resume file, or is one of a run with other settings.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self._path = path
        self._settings = hashlib.sha256(settings.encode()).hexdigest()[:16]
        self._lines = self._read()
        self._finished = {line["output"]: line for line in self._lines if "output" in line}

    def holds(self, photo: FolderPhoto) -> bool:
        """Whether a photo is finished: its file is the one that was aged, and its result is there."""
        line = self._finished.get(str(photo.output))
        try:
            return line is not None and line == _describe(photo) and photo.output.is_file()
        except OSError:
            return False

    def add(self, photo: FolderPhoto) -> None:
        """Notes that a photo is finished.

        Raises:
            ImageError: when the file cannot be written.
        """
        try:
            lines = [_describe(photo)] if self._lines else [self._head, _describe(photo)]
            self._lines += lines
            with self._path.open("ab") as file:
                file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        except OSError as error:
            raise ImageError(f"The resume file '{self._path}' cannot be written: {error.strerror or error}.") from error

    @property
    def _head(self) -> dict[str, Any]:
        return {"reage_resume": 1, "settings": self._settings}

    def _read(self) -> list[dict[str, Any]]:
        if not os.path.exists(self._path):
            check_place(self._path, ImageError)
            return []
        try:
            lines = self._parse(content := self._path.read_bytes())
            with self._path.open("ab") as file:  # which also tells whether it can be written
                file.write(b"" if content.endswith(b"\n") else b"\n")  # ends a line that a killed run could not end
        except OSError as error:
            raise ImageError(
                f"The resume file '{self._path}' cannot be read and written: {error.strerror or error}; choose another."
            ) from error
        return lines

    def _parse(self, content: bytes) -> list[dict[str, Any]]:
        lines = [line for line in map(_parse_line, content.splitlines()) if line]
        if not lines or "reage_resume" not in lines[0]:
            raise ImageError(f"'{self._path}' is not a resume file of reage; give another name.")
        if lines[0] != self._head:
            raise ImageError(
                f"The resume file '{self._path}' belongs to a run with other options or another folder; repeat its "
                "command, or give another name."
            )
        return lines


def _parse_line(line: bytes) -> dict[str, Any]:
    """The object of a line; empty for a line that is not complete."""
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _describe(photo: FolderPhoto) -> dict[str, Any]:
    stamp = os.stat(photo.source)
    return {
        "input": str(photo.source),
        "output": str(photo.output),
        "bytes": stamp.st_size,
        "modified_ns": stamp.st_mtime_ns,
    }
