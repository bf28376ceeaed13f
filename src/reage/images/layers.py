"""Writes the layers of an aged picture into a folder, for a compositor.

Convention: all pictures have the size of the photo, upright; float channels are RGB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from reage.errors import ImageError
from reage.files import replace_files
from reage.images.codec import encode_float_tiff, encode_png_of_sixteen_bit, to_sixteen_bit
from reage.images.samples import to_sixteen_bits
from reage.types import GAIN_FLOOR, Layers, Plane

_README = f"""Layers of an aged photo, made by reage. All have the size of the photo as it is seen upright.

moved.png   RGB, 16 bit: the photo after the change of shape
gain.tiff   RGB, 32-bit float: natural logarithm of the factor; 0 changes nothing
added.tiff  RGB, 32-bit float: added levels, of 255; 0 changes nothing
skin.png    grey, 16 bit: matte of the skin of the aged faces, with eyes, lips and glasses, where it has moved to
hair.png    grey, 16 bit: matte of their hair, as far as it lies in the aligned crop of the face
mask.png    grey, 16 bit: where the photo may change (white)

In levels from 0 to 255, where a 16-bit value is divided by 257, with floor = {255 * GAIN_FLOOR:g}:

    aged   = round((moved + floor) * exp(gain) - floor + added), clipped to 0 to 255
    result = round(photo + (aged - photo) * mask), with mask from 0 to 1

In values from 0 to 1, as compositors have them:

    aged   = (moved + {GAIN_FLOOR:g}) * exp(gain) - {GAIN_FLOOR:g} + added / 255
    result = photo + (aged - photo) * mask

Read all files as raw data, without a colour transform: the values are encoded as in the photo, in its colour profile.
In 32-bit floats the first formula gives the aged photo bit for bit, if that was saved without loss (PNG, TIFF, BMP).
To weaken the change of colour, multiply gain and added by a factor below 1.
Several faces share the layers. Where their changes overlap, added.tiff holds what the sum of their gains does not give.
"""

_NAMES = ("moved.png", "gain.tiff", "added.tiff", "skin.png", "hair.png", "mask.png", "README.txt")


def check_layers(folder: str | Path, kept: Sequence[Path]) -> Path:
    """The folder, after a check that layers can be written into it, before minutes of work are spent on them.

    Args:
        folder: it is made when it is missing; the folder around it must be there.
        kept: files that may not be overwritten: the photo, its masks, the result.

    Raises:
        ImageError: when the layers cannot be written, or would overwrite one of these files.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ImageError(f"'{folder}' is a file; give a folder for the layers.")
    if not folder.exists() and not folder.parent.is_dir():
        raise ImageError(f"The folder '{folder.parent}' is not there; make it first, or choose another for the layers.")
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise ImageError(f"The folder '{folder}' cannot be written to; choose another for the layers.")
    resolved = {path.resolve() for path in kept}
    for name in _NAMES:
        if (folder / name).is_dir():
            raise ImageError(f"'{folder / name}' is a folder, where a layer is written; choose another for the layers.")
        if (folder / name).resolve() in resolved:
            raise ImageError(
                f"'{folder / name}' would be overwritten by a layer; choose another folder for the layers."
            )
    return folder


@contextmanager
def replace_layers(folder: Path, layers: Layers, mask: Plane | None = None) -> Iterator[None]:
    """A context around further work: at its end the layers and a README.txt appear in the folder, or, on failure, none.

    Args:
        folder: it is made when it is missing.
        layers: of the picture.
        mask: (H, W) in [0, 1], where the picture may change; everywhere by default.

    Raises:
        ImageError: when the disk refuses the files.
    """
    whole = np.ones(layers.moved.shape[:2], np.float32)
    is_new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        with replace_files([folder / name for name in _NAMES], ImageError) as unfinished:
            path = {name: unfinished[folder / name] for name in _NAMES}
            path["moved.png"].write_bytes(encode_png_of_sixteen_bit(to_sixteen_bits(layers.moved)))
            path["gain.tiff"].write_bytes(encode_float_tiff(layers.gain))
            path["added.tiff"].write_bytes(encode_float_tiff(layers.added))
            mattes = {"skin.png": layers.skin, "hair.png": layers.hair, "mask.png": whole if mask is None else mask}
            for name, matte in mattes.items():
                path[name].write_bytes(encode_png_of_sixteen_bit(to_sixteen_bit(matte)))
            path["README.txt"].write_text(_README, encoding="utf-8")
            yield
    except BaseException as failure:
        if is_new:
            with suppress(OSError):  # not empty, or never made
                folder.rmdir()
        if isinstance(failure, OSError):
            raise ImageError(f"The folder '{folder}' cannot be made ({failure.strerror}); choose another.") from failure
        raise
