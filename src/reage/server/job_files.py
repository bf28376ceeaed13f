"""Files that are given to jobs: what they are by their first bytes, and the photos in a zip.

A video is known by the containers below alone, because FFmpeg would also open lists that name other files.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from reage.server.guard import Refused
from reage.server.tasks import list_names

_HEAD_BYTES = 400
_PACKET_BYTES = (188, 192)
"""Length of the packets of MPEG transport streams; those of 192 bytes start with a time of 4."""

_CONTAINERS = (
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"FLV\x01"),
    (0, b"OggS"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # ASF
    (8, b"AVI LIST"),
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # MP4, QuickTime
)
_ZIP_START, _ZIP_END, _ZIP_END_BYTES, _ZIP64_LOCATOR = b"PK\x03\x04", b"PK\x05\x06", 22, b"PK\x06\x07"
_MAX_ZIP_COMMENT = 2**16
_MAX_DIRECTORY_BYTES = 2_000_000
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def find_kind(file: BinaryIO) -> Literal["video", "photos"]:
    """What a file is: a video, or a zip of photos.

    Raises:
        Refused: when it is neither.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_ZIP_START):
        return "photos"
    if any(head[at:].startswith(sign) for at, sign in _CONTAINERS) or _is_transport_stream(head):
        return "video"
    raise Refused(422, "file", "This is neither a video nor a zip of photos; send one photo to /v1/age.")


def _is_transport_stream(head: bytes) -> bool:
    return any(
        head[size - 188 : size - 187] == b"G" and head[2 * size - 188 : 2 * size - 187] == b"G"
        for size in _PACKET_BYTES
    )


def list_photos(path: Path, most: int) -> list[tuple[str, zipfile.ZipInfo]]:
    """Name and entry of each photo of a zip, without what systems add to zips; no name says anything of a folder.

    Args:
        path: of the zip.
        most: photos that are allowed.

    Raises:
        Refused: when it cannot be read, or has none or too many.
    """
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not _is_added_by_systems(one)]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise _unreadable() from error
    if not 0 < len(entries) <= most:
        raise Refused(422, "photos", f"The zip has {len(entries)} files, and 1 to {most} are allowed; give others.")
    return list(zip(list_names([one.filename for one in entries]), entries, strict=True))


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, megabytes: float) -> bytes:
    """The bytes of a photo of a zip, whatever size the zip states.

    Raises:
        Refused: when it cannot be read, or is too large.
    """
    most = round(megabytes * 1e6)
    if entry.compress_type not in _COMPRESSIONS:
        raise Refused(422, "file", "It is packed in a way that is not read; use a plain zip.")
    try:
        with archive.open(entry) as file:
            content = file.read(most + 1)
    except RuntimeError:
        raise Refused(422, "file", "It is locked by a password; give a zip without one.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, struct.error):
        raise Refused(422, "file", "It is damaged in the zip; pack it again.") from None
    if len(content) > most:
        raise Refused(413, "bytes", f"It has more than {megabytes:g} MB; give a smaller photo.")
    return content


def _check_directory(path: Path) -> None:
    """Refuses zips whose list of contents would not fit the memory, before it is read."""
    size = path.stat().st_size
    tail = min(size, _MAX_ZIP_COMMENT + _ZIP_END_BYTES)
    with path.open("rb") as file:
        file.seek(size - tail)
        end = file.read()
        at = end.rfind(_ZIP_END)
        if at < 0 or len(end) - at < _ZIP_END_BYTES:
            raise _unreadable()
        file.seek(max(0, size - tail + at - 20))
        is_large = file.read(4) == _ZIP64_LOCATOR
    (directory_bytes,) = struct.unpack_from("<I", end, at + 12)
    if is_large or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise Refused(422, "photos", "The zip has too many files; give fewer photos.")


def _is_added_by_systems(entry: zipfile.ZipInfo) -> bool:
    parts = entry.filename.split("/")
    return entry.is_dir() or parts[0] == "__MACOSX" or parts[-1].startswith(".")


def _unreadable() -> Refused:
    return Refused(422, "file", "The zip cannot be read; pack the photos again, as a plain zip.")
