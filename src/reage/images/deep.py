"""Reads the samples of PNG, HEIC, AVIF and JPEG 2000 files with more than 8 bits, and writes 16-bit PNG and HEIC."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from reage.images.samples import swap_colours

_PNG_START = b"\x89PNG\r\n\x1a\n"
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


def write_png(path: Path, samples: NDArray[np.uint16], options: Mapping[str, Any]) -> None:
    """A 16-bit PNG: the pixels by OpenCV, the metadata by Pillow, from a file of one pixel with the same options.

    Args:
        path: of the file.
        samples: (H, W), (H, W, 3) or (H, W, 4); grey with alpha, (H, W, 2), is written as RGB with alpha.
        options: of Pillow's PNG writer.
    """
    if samples.shape[2:] == (2,):
        samples = samples[..., [0, 0, 0, 1]]
    stored = samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    done, encoded = cv2.imencode(".png", stored)
    assert done
    one_pixel = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(one_pixel, "PNG", **options)
    pixel_chunks = [
        (kind, chunk) for kind, chunk in _chunks(encoded.reshape(-1).data) if kind in (b"IHDR", b"IDAT", b"IEND")
    ]
    kept = [chunk for kind, chunk in _chunks(one_pixel.getbuffer()) if kind not in (b"IHDR", b"IDAT", b"IEND")]
    with open(path, "wb") as file:
        file.write(_PNG_START)
        file.write(pixel_chunks[0][1])
        file.writelines(kept)
        file.writelines(chunk for _, chunk in pixel_chunks[1:])


def _chunks(file: memoryview) -> list[tuple[bytes, memoryview]]:
    """The chunks of a PNG that was just made: the kind of each, and all of its bytes."""
    chunks, place = [], len(_PNG_START)
    while place < len(file):
        (length,) = struct.unpack(">I", file[place : place + 4])
        chunks.append((bytes(file[place + 4 : place + 8]), file[place : place + length + 12]))
        place += length + 12
    return chunks


def write_heif(path: Path, samples: NDArray[np.uint16], options: Mapping[str, Any]) -> None:
    """A HEIC picture of 10 bits, (H, W, 3) or (H, W, 4), with the options of pillow-heif's writer."""
    from pillow_heif import from_bytes

    height, width, channels = samples.shape
    made = from_bytes("RGB;16" if channels == 3 else "RGBA;16", (width, height), samples.tobytes())
    icc = options.get("icc_profile")
    if icc:
        made.info.update(icc_profile=icc, icc_profile_type="prof")
    made.save(path, **{name: value for name, value in options.items() if name != "icc_profile"})
