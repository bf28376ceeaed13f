"""A picture in memory: its pixels, and all that is kept with them when it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.images.samples import to_eight_bits
from reage.types import Pixels, Samples


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture, with the metadata that is kept when it is saved.

    Args:
        pixels: (H, W, 3) RGB uint8, upright.
        deep: the same picture as uint16 or float32 where its file has more than 8 bits per channel, see
            `reage.images.samples`; None otherwise.
        alpha: (H, W) uint8, or uint16 with `deep`; None where the picture has none.
        exif: EXIF block with orientation 1, or None.
        icc: colour profile of the pixels, or None for sRGB.
        xmp: XMP packet, or None.
        iptc: IPTC records (IIM): caption, keywords and the like, or None.
        texts: keyword -> text; the comment of a file is called "Comment".
        dpi: resolution in pixels per inch, across and down, or None.
        grey: the file had one channel; it is saved with one again.
        source: the file it was read from, which is never overwritten.
        notes: what was left out or mended in reading, a sentence each.
        more: the following pages, or frames of an animation; their metadata, if any, are their own.
        duration_ms: how long a frame of an animation is shown; None for a page or a single picture.
        loop: how often an animation is played, 0 for ever; None where the file does not say.
    """

    pixels: Pixels
    deep: NDArray[np.uint16] | NDArray[np.float32] | None = None
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    grey: bool = False
    source: Path | None = None
    notes: tuple[str, ...] = ()
    more: tuple[Image, ...] = ()
    duration_ms: float | None = None
    loop: int | None = None

    def __post_init__(self) -> None:
        assert self.pixels.ndim == 3, self.pixels.shape
        assert self.pixels.shape[2] == 3, self.pixels.shape
        assert self.pixels.dtype == np.uint8, self.pixels.dtype
        assert self.alpha is None or self.alpha.shape == self.pixels.shape[:2], self.alpha.shape
        assert self.alpha is None or self.alpha.dtype in (np.uint8, np.uint16), self.alpha.dtype
        assert self.deep is None or self.deep.shape == self.pixels.shape, self.deep.shape

    @property
    def samples(self) -> Samples:
        """(H, W, 3) RGB in the bit depth of the file."""
        return self.pixels if self.deep is None else self.deep

    @property
    def see_through(self) -> bool:
        """Whether any pixel of any frame is not fully opaque."""
        own = self.alpha is not None and bool((self.alpha < np.iinfo(self.alpha.dtype).max).any())
        return own or any(frame.see_through for frame in self.more)

    @property
    def frames(self) -> tuple[Image, ...]:
        """All pages or frames, this one first and alone."""
        return (replace(self, more=()), *self.more)

    def with_pixels(self, samples: Samples) -> Image:
        """The same picture showing other pixels, (H, W, 3) RGB of the same size, uint8 or as `samples` are."""
        assert samples.shape == self.pixels.shape, (samples.shape, self.pixels.shape)
        assert samples.dtype in (np.uint8, self.samples.dtype), samples.dtype
        deep: Any = None if samples.dtype == np.uint8 else samples
        return replace(self, pixels=to_eight_bits(samples), deep=deep)

    def save(self, path: str | Path, *, altered: bool = True) -> tuple[str, ...]:
        """Writes the picture and returns what its format could not keep; see `reage.images.save_image`."""
        from reage.images.files import save_image

        return save_image(self, path, altered=altered)
