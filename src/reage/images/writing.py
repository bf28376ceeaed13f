"""Writes pictures, with all their frames, in the format of a file name's suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from reage.images import deep, tiff
from reage.images.formats import Format
from reage.images.metadata import save_options, writes_grey
from reage.images.picture import Image
from reage.images.samples import to_eight_bits, to_sixteen_bits

# The fast presets of HEIC and AVIF write 6 to 9 times sooner, at the same error and 2 to 5 % more bytes.
_LOSSY_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95, "exact": True},
    "HEIF": {"quality": 95, "subsampling": "4:4:4", "enc_params": {"preset": "ultrafast"}},
    "AVIF": {"quality": 95, "subsampling": "4:4:4", "speed": 9},
}
_PLAYED_ONCE = {"GIF": None, "WEBP": 1, "PNG": 1}
"""What a writer is told where an animation is played once; None: nothing."""


def write_picture(image: Image, target: Path | IO[bytes], file_format: Format, *, altered: bool) -> None:
    """Writes a picture that the format can hold; any exception of the encoders passes through.

    Args:
        image: with its frames.
        target: path of the file, or a stream.
        file_format: of the file.
        altered: whether the XMP is to say so.
    """
    name = file_format.name
    options = save_options(image, file_format, altered=altered)
    if name == "TIFF":
        pages = [
            (_page(page), options if number == 0 else save_options(page, file_format, altered=altered))
            for number, page in enumerate(image.frames)
        ]
        tiff.write_pages(target, pages)
    elif image.deep is not None and name == "PNG" and not image.more:
        deep.write_png(
            target, to_sixteen_bits(_samples_with_alpha(image, grey=writes_grey(image, file_format))), options
        )
    elif image.deep is not None and name == "HEIF":
        deep.write_heif(target, to_sixteen_bits(_samples_with_alpha(image, grey=False)), _LOSSY_OPTIONS[name] | options)
    else:
        pictures = _pictures(image.frames, file_format)
        options = _LOSSY_OPTIONS.get(name, {}) | options
        if pictures[0].mode in ("L", "LA"):
            options.pop("subsampling", None)
        pictures[0].save(target, format=name, **options, **_animation_options(image, pictures, name))


def _page(image: Image) -> PIL.Image.Image | NDArray[Any]:
    """A page of a TIFF, as a picture of 8 bits or as samples."""
    if image.deep is None:
        return _picture(image, with_alpha=image.alpha is not None, grey=image.grey)
    return _samples_with_alpha(image, grey=image.grey)


def _samples_with_alpha(image: Image, *, grey: bool) -> NDArray[Any]:
    """(H, W) or (H, W, 2 to 4) samples of a picture of more than 8 bits, in their own bit depth."""
    assert image.deep is not None
    colour = image.deep[..., :1] if grey else image.deep
    if image.alpha is None:
        return colour[..., 0] if grey else colour
    alpha = to_sixteen_bits(image.alpha)
    stored = alpha if image.deep.dtype == np.uint16 else alpha.astype(np.float32) / np.float32(65535)
    return np.concatenate([colour, stored[..., None]], axis=-1)


def _pictures(frames: Sequence[Image], file_format: Format) -> list[PIL.Image.Image]:
    """The frames with the channels that are written, the same in all of them."""
    with_alpha = "alpha" in file_format.keeps and any(frame.alpha is not None for frame in frames)
    grey = all(frame.grey for frame in frames) and ("grey_alpha" if with_alpha else "grey") in file_format.keeps
    return [_picture(frame, with_alpha=with_alpha, grey=grey) for frame in frames]


def _picture(image: Image, *, with_alpha: bool, grey: bool) -> PIL.Image.Image:
    picture = PIL.Image.fromarray(image.pixels[..., 0].copy() if grey else image.pixels)
    if with_alpha:
        opaque = np.full(image.pixels.shape[:2], 255, np.uint8)
        picture.putalpha(PIL.Image.fromarray(opaque if image.alpha is None else to_eight_bits(image.alpha)))
    return picture


def _animation_options(image: Image, pictures: Sequence[PIL.Image.Image], name: str) -> dict[str, Any]:
    if len(pictures) == 1:
        return {}
    durations = [frame.duration_ms or 0 for frame in image.frames]
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": pictures[1:],
        "duration": durations if name == "PNG" else [round(duration) for duration in durations],
    }
    loop = image.loop if image.loop is not None else _PLAYED_ONCE.get(name)
    if loop is not None and name in _PLAYED_ONCE:
        options["loop"] = loop
    if name == "GIF" and any(frame.alpha is not None for frame in image.frames):
        options["disposal"] = 2  # clears each frame, so that none shows through the next
    return options
