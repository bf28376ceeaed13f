"""Log colour, detail bands and covariates: what the pixelwise linear models of skin are made of.

They follow the prototypes of Tiddeman, Burt and Perrett (2001), with a robust fit and covariates instead of means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.engines.prototype.frame import UNIT_PX
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Pixels, Plane

LOG_FLOOR = 0.04
"""Added to intensities in [0, 1] before the logarithm, so that noise in dark areas is not amplified."""
BAND_SIGMAS_PX = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the blurs that separate the detail bands, px of the mean frame."""
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

AGE_CENTRE_YEARS, AGE_SPREAD_YEARS, OLD_AGE_YEARS = 58.0, 15.0, 58.0
NUM_COVARIATES = 9
_SKIN_RANGE = (-1.6, 1.3)
"""Standardised skin tones are clipped to this: the training set has too few people beyond."""


def to_log(pixels: Pixels) -> Plane:
    """RGB uint8 (H, W, 3) -> log intensity (H, W, 3)."""
    return np.log(pixels.astype(np.float32) / 255 + np.float32(LOG_FLOOR))


def from_log(values: Plane) -> Pixels:
    """Log intensity (H, W, 3) -> RGB uint8."""
    return to_pixels((np.exp(values) - LOG_FLOOR) * 255)


def log_luminance(pixels: Pixels) -> Plane:
    """RGB uint8 (H, W, 3) -> log luminance (H, W)."""
    return np.log((pixels.astype(np.float32) @ LUMINANCE) / 255 + np.float32(LOG_FLOOR))


def split_bands(values: Plane, unit_px: float) -> list[Plane]:
    """Detail bands (H, W), finest first, of a plane with `unit_px` px to a face unit; their sum is not the plane."""
    bands, rest = [], values
    for sigma_px in BAND_SIGMAS_PX:
        smooth = geometry.blur(values, sigma_px * unit_px / UNIT_PX)
        bands.append(rest - smooth)
        rest = smooth
    return bands


def skin_colour(mean_pixels: Pixels) -> NDArray[np.float32]:
    """Median RGB in [0, 1] of cheeks and nose, from a face in the mean frame."""
    areas = (mean_pixels[126:150, 78:98], mean_pixels[126:150, 158:178], mean_pixels[108:132, 118:138])
    colours = np.concatenate([area.reshape(-1, 3) for area in areas])
    return (np.median(colours, 0) / 255).astype(np.float32)


def covariates(age_years: float, masculinity: float, skin: NDArray[np.float32]) -> NDArray[np.float64]:
    """(NUM_COVARIATES,) terms of the linear models.

    They are 1, age, old age, sex, sex x age, lightness, lightness x age, warmth and squared lightness.
    Without the skin terms older faces would become lighter, because the oldest people of the training set are.
    """
    age = (age_years - AGE_CENTRE_YEARS) / AGE_SPREAD_YEARS
    old = max(0.0, age_years - OLD_AGE_YEARS) / AGE_SPREAD_YEARS
    light = float(np.clip((float(skin @ LUMINANCE) - 0.6) / 0.12, *_SKIN_RANGE))
    warm = float(np.clip((float(skin[0] - skin[2]) - 0.15) / 0.08, *_SKIN_RANGE))
    sex = masculinity - 0.7
    return np.array([1.0, age, old, sex, sex * age, light, light * age, warm, light * light])
