"""Converts every colour mode that a file can have to 8 bits of grey or sRGB per channel."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray

from reage.errors import ImageError

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262


def to_eight_bit(picture: PIL.Image.Image, path: Path, *, tiff_tags: Mapping[int, Any]) -> PIL.Image.Image:
    """The picture in mode L, LA, RGB or RGBA, of the same size.

    Args:
        picture: decoded, in any mode of Pillow.
        path: its file, named in errors.
        tiff_tags: tag -> value of a TIFF; empty for other formats.

    Raises:
        ImageError: when the numbers have no known white (float, 32 bit, signed).
    """
    mode = picture.mode
    if mode == "F":
        raise ImageError(f"'{path}' holds float numbers without a known white; save it with 8 or 16 bits per channel.")
    if mode.startswith("I"):
        return _scale_grey(np.asarray(picture), path, tiff_tags)
    if mode in ("CMYK", "LAB"):
        return _to_srgb(picture)
    grey = mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        return picture.convert("LA" if grey else "RGBA")
    return picture.convert("L" if grey else "RGB")


def _scale_grey(levels: NDArray[Any], path: Path, tiff_tags: Mapping[int, Any]) -> PIL.Image.Image:
    """16-bit grey (12-bit in some TIFFs) scaled from its whole range to 8 bit."""
    bits = tiff_tags.get(_BITS_PER_SAMPLE, (16,))[0]
    white = 2 ** min(bits, 16) - 1
    if levels.min() < 0 or levels.max() > white:
        raise ImageError(f"'{path}' holds {bits}-bit numbers without a known white; save it with 8 or 16 bits.")
    scaled = (levels.astype(np.uint32) * 255 + white // 2) // white
    if tiff_tags.get(_PHOTOMETRIC) == 0:  # white is zero
        scaled = 255 - scaled
    return PIL.Image.fromarray(scaled.astype(np.uint8))


def _to_srgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """CMYK or LAB converted by its profile; CMYK without a usable profile by Pillow's formula."""
    try:
        if picture.mode == "LAB":
            profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("LAB"))
        else:
            profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        srgb = PIL.ImageCms.createProfile("sRGB")
        converted = PIL.ImageCms.profileToProfile(picture, profile, srgb, outputMode="RGB")
    except (KeyError, OSError, PIL.ImageCms.PyCMSError):
        return picture.convert("RGB")
    assert converted is not None
    return converted
