"""Greying of hair with age, light strands first, and its reversal when the face grows younger."""

from __future__ import annotations

import numpy as np

from reage.engines.prototype.texture import LOG_FLOOR, LUMINANCE
from reage.faces.geometry import FACE_PER_CROP
from reage.images import geometry
from reage.types import Plane

FIRST_GREY_YEARS, ALL_GREY_YEARS = 38.0, 80.0
SILVER, BROWN = 0.60, 0.28
"""Luminance in [0, 1] of fully grey hair, and of grey hair that was made young again."""
_BROWN_BALANCE = np.log(np.array([1.12, 0.99, 0.86], np.float32))
_MIN_HAIR_SHARE = 0.004
_GREY_SATURATION = 0.28


def greyness(age_years: float) -> float:
    """Share of grey hair at an age: 0 until `FIRST_GREY_YEARS`, 1 from `ALL_GREY_YEARS`."""
    t = float(np.clip((age_years - FIRST_GREY_YEARS) / (ALL_GREY_YEARS - FIRST_GREY_YEARS), 0, 1))
    return t * t * (3 - 2 * t)


def hair_change(intensity: Plane, hair: Plane, old_years: float, new_years: float) -> Plane:
    """Change of the log intensity (S, S, 3) of hair between two ages.

    Args:
        intensity: (S, S, 3) RGB in [0, 1].
        hair: (S, S) share of hair.
        old_years: age of the person.
        new_years: target age.
    """
    light = intensity @ LUMINANCE
    sure = hair > 0.6
    if sure.mean() < _MIN_HAIR_SHARE:
        return np.zeros_like(intensity)
    typical = float(np.median(light[sure]))
    before, after = greyness(old_years), greyness(new_years)
    if after > before:
        share = (after - before) / (1 - before + 1e-6)
        return _grey(intensity, light, typical, share) * hair[..., None]
    saturation = np.ptp(intensity, -1)[sure] / (intensity.max(-1)[sure] + 0.05)
    if typical < BROWN + 0.05 or float(np.median(saturation)) > _GREY_SATURATION:
        return np.zeros_like(intensity)
    share = (before - after) / (before + 1e-6)
    return share * (np.log((BROWN + LOG_FLOOR) / (typical + LOG_FLOOR)) + _BROWN_BALANCE) * hair[..., None]


def _grey(intensity: Plane, light: Plane, typical: float, share: float) -> Plane:
    """Change of log intensity (S, S, 3): colour fades and dark hair gets lighter, light strands more than others."""
    unit = light.shape[0] / FACE_PER_CROP
    strand = (light - geometry.blur(light, 0.06 * unit)) / (0.25 * typical + 0.02)
    local = np.clip(share * (1 + 0.4 * np.clip(strand, -1, 1)), 0, 1)[..., None]
    log_light = np.log(light + LOG_FLOOR)[..., None]
    log_typical = np.log(typical + LOG_FLOOR)
    lift = 0.75 * float(np.clip(np.log(SILVER + LOG_FLOOR) - log_typical, 0, 1.1))
    silver = log_typical + lift + 0.7 * (log_light - log_typical)
    brightest = np.maximum(log_light, log_typical + lift + 0.45)  # keeps skin at the hairline from being lightened
    faded = 0.8 * (log_light - np.log(intensity + LOG_FLOOR))
    return (local * (faded + np.minimum(silver, brightest) - log_light)).astype(np.float32)
