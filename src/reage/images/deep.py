"""Reads the samples of PNG, HEIC, AVIF and JPEG 2000 files with more than 8 bits, and writes 16-bit PNG and HEIC."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from reage.images.samples import swap_colours

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of a PNG, by the number of channels
_ROWS_AT_ONCE = 64
_HEAD = 4096
"""Bytes of the start of a file in which a format says how many bits it has."""


def num_bits(picture: PIL.Image.Image, head: bytes) -> int:
    """Bits per channel of an opened PNG, HEIC, AVIF or JPEG 2000 file; 8 for others, and where they are not known.

    Args:
        picture: not decoded yet.
        head: the first 4096 bytes of its file.
    """
    if picture.format == "PNG":
        return head[24]
    if picture.format == "HEIF":
        return int(picture.info.get("bit_depth", 8))
    if picture.format == "AVIF" and (place := head.find(b"av1C")) > 0:
        flags = head[place + 6]
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    if picture.format == "JPEG2000" and (place := head.find(b"ihdr")) > 0:
        return (head[place + 14] & 0x7F) + 1
    return 8


def read_samples(file: bytes, file_format: str, bits: int) -> NDArray[np.uint16] | None:
    """The samples (H, W) or (H, W, 3 or 4) of a file, scaled to 16 bits, not turned; None when they cannot be had."""
    if file_format == "HEIF":
        from pillow_heif import open_heif

        samples: NDArray[np.uint16] = np.asarray(open_heif(io.BytesIO(file), convert_hdr_to_8bit=False))
        return _widen(samples >> np.uint16(16 - bits), bits) if samples.dtype == np.uint16 else None
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION if file_format == "AVIF" else cv2.IMREAD_UNCHANGED
    decoded = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    if decoded is None or decoded.dtype != np.uint16:
        return None
    return _widen(swap_colours(decoded), bits)


def _widen(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples of 9 to 16 bits as 16-bit ones, their white at 65535."""
    up, down = np.uint16(16 - bits), np.uint16(2 * bits - 16)
    return samples if bits == 16 else (samples << up) | (samples >> down)


# Writing


def write_png(target: Path | IO[bytes], samples: NDArray[np.uint16], options: Mapping[str, Any]) -> None:
    """A 16-bit PNG: the pixels band by band, the metadata by Pillow, from a file of one pixel with the same options.

    Args:
        target: path of the file, or a stream.
        samples: (H, W) or (H, W, 2 to 4).
        options: of Pillow's PNG writer.
    """
    one_pixel = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(one_pixel, "PNG", **options)
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    head = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    with open(target, "wb") if isinstance(target, Path) else nullcontext(target) as file:
        file.write(_PNG_START + _chunk(b"IHDR", head))
        file.writelines(chunk for kind, chunk in _chunks(one_pixel.getbuffer()) if kind not in _PIXEL_CHUNKS)
        file.writelines(_chunk(b"IDAT", part) for part in _compress_rows(samples, 2 * channels) if part)
        file.write(_chunk(b"IEND", b""))


def _compress_rows(samples: NDArray[np.uint16], bytes_per_pixel: int) -> Iterator[bytes]:
    """The compressed rows, each as its difference from the pixel to the left (PNG's filter 1)."""
    compressor = zlib.compressobj(3)
    for first in range(0, len(samples), _ROWS_AT_ONCE):
        band = np.ascontiguousarray(samples[first : first + _ROWS_AT_ONCE], ">u2")
        rows = band.view(np.uint8).reshape(len(band), -1)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = 1
        filtered[:, 1 : 1 + bytes_per_pixel] = rows[:, :bytes_per_pixel]
        np.subtract(rows[:, bytes_per_pixel:], rows[:, :-bytes_per_pixel], out=filtered[:, 1 + bytes_per_pixel :])
        yield compressor.compress(filtered.data)
    yield compressor.flush()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(file: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG that was just made: the kind of each, and all of its bytes."""
    place = len(_PNG_START)
    while place < len(file):
        (length,) = struct.unpack(">I", file[place : place + 4])
        yield bytes(file[place + 4 : place + 8]), file[place : place + length + 12]
        place += length + 12


def write_heif(target: Path | IO[bytes], samples: NDArray[np.uint16], options: Mapping[str, Any]) -> None:
    """A HEIC picture of 10 bits, (H, W, 3) or (H, W, 4), with the options of pillow-heif's writer."""
    from pillow_heif import from_bytes

    height, width, channels = samples.shape
    made = from_bytes("RGB;16" if channels == 3 else "RGBA;16", (width, height), samples.tobytes())
    icc = options.get("icc_profile")
    if icc:
        made.info.update(icc_profile=icc, icc_profile_type="prof")
    made.save(target, **{name: value for name, value in options.items() if name != "icc_profile"})
