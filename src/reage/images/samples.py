"""Samples of 8 bits, 16 bits and 32-bit floats, and the levels from 0 to 255 that all of them are computed in.

Convention:
    black is 0; white is 255 for uint8, 65535 for uint16 and 1 for float32, which may go beyond both.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.images.regions import to_pixels
from reage.types import Pixels, Plane, Samples

_LEVELS_PER_WHITE = np.float32(255)
_SIXTEEN_BIT_PER_LEVEL = np.float32(257)


def to_levels(samples: NDArray[Any]) -> NDArray[Any]:
    """The samples as levels: uint8 as it is, the others in float32, without rounding."""
    if samples.dtype == np.uint16:
        return samples.astype(np.float32) / _SIXTEEN_BIT_PER_LEVEL
    return samples if samples.dtype == np.uint8 else samples * _LEVELS_PER_WHITE


def from_levels(levels: NDArray[Any], kind: np.dtype[Any]) -> Samples:
    """Levels as samples of a kind: uint8 and uint16 rounded and clipped, float32 as they are."""
    if kind == np.uint16:
        return np.clip(np.rint(levels * _SIXTEEN_BIT_PER_LEVEL), 0, 65535).astype(np.uint16)
    if kind == np.uint8:
        return to_pixels(levels)
    shares: Plane = np.asarray(levels, np.float32) / _LEVELS_PER_WHITE
    return shares


def to_eight_bits(samples: Samples) -> Pixels:
    """The nearest 8-bit samples; floats beyond black and white are clipped."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    scale = 1 / 257 if samples.dtype == np.uint16 else 255
    clipped = samples if samples.dtype == np.uint16 else np.clip(samples, 0, 1)
    return np.asarray(cv2.convertScaleAbs(clipped, alpha=scale), np.uint8).reshape(samples.shape)


def to_sixteen_bits(samples: NDArray[Any]) -> NDArray[np.uint16]:
    """The nearest 16-bit samples; floats beyond black and white are clipped."""
    if samples.dtype == np.uint16:
        return samples.astype(np.uint16, copy=False)
    if samples.dtype == np.uint8:
        return samples * np.uint16(257)
    return np.rint(np.clip(samples, 0, 1) * np.float32(65535)).astype(np.uint16)


def swap_colours(samples: NDArray[Any]) -> NDArray[Any]:
    """BGR samples (H, W, 3 or 4), changed into RGB in place; those of one channel (H, W) stay."""
    if samples.ndim == 3:
        cv2.cvtColor(samples, cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=samples)
    return samples
