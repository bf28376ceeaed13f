"""TIFF files: their tags, the samples that Pillow cannot hold, and pages of 16 bits and floats."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.TiffImagePlugin import AppendingTiffWriter, ImageFileDirectory_v2
from PIL.TiffTags import TAGS_V2_GROUPS

from reage.errors import ImageError
from reage.images.samples import swap_colours

_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_OFFSETS, _CHANNELS, _ROWS_PER_STRIP, _BYTE_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_EXTRA, _FORMAT = 338, 339
_FLOAT = 3
_MAX_PAGES = 10_000

Tags = ImageFileDirectory_v2


def is_tiff(head: bytes) -> bool:
    """Whether a file with these first bytes is a TIFF or BigTIFF."""
    return head[:4] in _STARTS


def read_directories(file: IO[bytes]) -> list[Tags]:
    """The tags of every page, without thumbnails after the first; empty when they cannot be read."""
    pages: list[Tags] = []
    with warnings.catch_warnings(), suppress(Exception):  # the parser raises a dozen kinds on damaged files
        warnings.simplefilter("ignore")
        file.seek(0)
        head = file.read(8)
        head += file.read(8) if b"+" in head[2:4] else b""
        tags, seen = Tags(head), set[int]()
        while tags.next and tags.next not in seen and len(pages) < _MAX_PAGES:
            seen.add(tags.next)
            file.seek(tags.next)
            following = Tags(head)
            following.load(file)
            pages.append(following)
            tags = following
    return pages


def read_bytes(tags: Mapping[int, Any], tag: int) -> bytes:
    """The value of a tag as it is stored, whatever its type; empty where it is missing."""
    stored = tags._tagdata.get(tag, b"") if isinstance(tags, Tags) else b""  # Pillow cuts long values of some tags
    return bytes(stored)


def size_of(tags: Mapping[int, Any]) -> tuple[int, int]:
    """Width and height in px."""
    return int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0))


def is_thumbnail(tags: Mapping[int, Any]) -> bool:
    """Whether a page is a smaller copy of another."""
    return bool(int(tags.get(_SUBFILE, 0)) & 1)


def has_deep_samples(tags: Mapping[int, Any]) -> bool:
    """Whether a page has 16-bit or float samples, grey or RGB, that `read_samples` can read."""
    bits, kinds = set(_tuple(tags.get(_BITS, 1))), set(_tuple(tags.get(_FORMAT, 1)))
    deep = (bits == {16} and kinds == {1}) or (bits <= {32, 64} and kinds == {_FLOAT})
    stored_together = tags.get(_PLANAR, 1) == 1 or tags.get(_CHANNELS, 1) == 1
    return deep and stored_together and tags.get(_PHOTOMETRIC, 1) in (0, 1, 2) and tags.get(_CHANNELS, 1) in (1, 3, 4)


def read_samples(file: bytes, page: int, tags: Mapping[int, Any], path: Path) -> NDArray[Any]:
    """The samples (H, W) or (H, W, 3 or 4) of a page, uint16 or float32, white as the greatest number.

    They are upright, and colour that is stored multiplied by alpha is divided by it.

    Raises:
        ImageError: when the page is damaged, or has floats that are no picture with white 1.
    """
    done, pages = cv2.imdecodemulti(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED, range=(page, page + 1))
    if not done or sorted(pages[0].shape[:2]) != sorted(size_of(tags)) or pages[0].dtype.itemsize < 2:
        raise ImageError(f"'{path}' is damaged or cut short and cannot be decoded; give an intact file.")
    samples = swap_colours(pages[0])
    if samples.dtype != np.uint16:
        samples = _check_floats(samples.astype(np.float32, copy=False), path)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero
        samples = (65535 if samples.dtype == np.uint16 else np.float32(1)) - samples
    if samples.shape[2:] != (4,):
        return samples
    extra = _tuple(tags.get(_EXTRA, 0))[0]
    return _divide_by_alpha(samples) if extra == 1 else samples if extra == 2 else samples[..., :3].copy()


def _check_floats(samples: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    if not np.isfinite(samples).all():
        raise ImageError(f"'{path}' holds floats that are no numbers (NaN or infinite); save it without them.")
    middle = float(np.median(samples[:: max(1, len(samples) // 256)]))
    if middle > 1.5:
        raise ImageError(
            f"'{path}' holds floats around {middle:.3g}, and reage takes 0 as black and 1 as white; divide them, or "
            "save it with 16 bits."
        )
    return samples


def _divide_by_alpha(samples: NDArray[Any]) -> NDArray[Any]:
    white = np.float32(65535 if samples.dtype == np.uint16 else 1)
    alpha = samples[..., 3:].astype(np.float32)
    colour = samples[..., :3] * (white / np.maximum(alpha, white / 65535))
    if samples.dtype == np.uint16:
        colour = np.clip(np.rint(colour), 0, white)
    return np.concatenate([colour.astype(samples.dtype), samples[..., 3:]], axis=-1)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


# Writing


def write_pages(
    target: Path | IO[bytes], pages: Sequence[tuple[PIL.Image.Image | NDArray[Any], Mapping[str, Any]]]
) -> None:
    """A TIFF file of pages, without compression.

    Args:
        target: path of the file, or a stream.
        pages: of each page the picture, as one of Pillow or as samples (H, W) or (H, W, C) in uint16 or float32, and
            the options "exif" (a `PIL.Image.Exif`), "icc_profile" and "dpi".
    """
    with (
        open(target, "w+b") if isinstance(target, Path) else nullcontext(target) as file,
        AppendingTiffWriter(file, new=True) as writer,
    ):
        for picture, options in pages:
            if isinstance(picture, np.ndarray):
                _write_samples(writer, picture, options)
            else:
                picture.save(writer, format="TIFF", **options)
            writer.newFrame()


def _write_samples(file: IO[bytes], samples: NDArray[Any], options: Mapping[str, Any]) -> None:
    """One page of 16 bits or floats, its tags written by Pillow."""
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    if little.nbytes >= 2**32 - 2**20:
        raise ValueError("a page of more than 4 GB")
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    tags = Tags(prefix=b"II")
    exif = options.get("exif") or PIL.Image.Exif()
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TAGS_V2_GROUPS else exif.get(tag)
    if dpi := options.get("dpi"):
        tags[296], tags[282], tags[283] = 2, dpi[0], dpi[1]
    if icc := options.get("icc_profile"):
        tags[34675] = icc
    tags[_WIDTH], tags[_HEIGHT], tags[_CHANNELS] = width, height, channels
    tags[_BITS], tags[_FORMAT] = (
        (8 * samples.itemsize,) * channels,
        (_FLOAT if samples.dtype.kind == "f" else 1,) * channels,
    )
    tags[_COMPRESSION], tags[_PLANAR], tags[_PHOTOMETRIC] = 1, 1, 2 if channels >= 3 else 1
    if channels in (2, 4):
        tags[_EXTRA] = 2
    tags[_ROWS_PER_STRIP], tags[_BYTE_COUNTS], tags[_OFFSETS] = height, little.nbytes, 0
    for tag in (_BYTE_COUNTS, _OFFSETS):
        tags.tagtype[tag] = 4
    file.write(b"II" + struct.pack("<HL", 42, 8))
    file.write(tags.tobytes(8))
    file.write(np.ascontiguousarray(little).data.cast("B"))
