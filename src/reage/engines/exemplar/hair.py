"""Greying of hair, brows and beard with age, strand by strand, and the return of colour when a face grows younger.

Convention: intensity RGB in [0, 1]; changes are log ratios, see `reage.types.Gain`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.faces.geometry import smoothstep, smoothstep_of
from reage.faces.skin_detail import LOG_FLOOR, LUMINANCE, beard_region, brow_region, skin_region
from reage.images import geometry
from reage.types import Plane

FIRST_GREY_YEARS, ALL_GREY_YEARS = 36.0, 78.0
SILVER = 0.56
"""Luminance of grey hair in even light."""
_MAX_LIFT = 1.55
_SHADOW_CONTRAST = 0.85
"""Contrast of the darker half of grey hair, relative to that of the hair as it is."""
_UNEVEN = 1.6
"""How much earlier light strands turn grey than dark ones; once nearly all are grey, none is left dark."""
_WHITE = 0.03
"""Log luminance of white."""
_MIN_HAIR_AREA = 0.05
"""Square face units of hair below which none is seen."""
_LIGHT_QUANTILE, _DARK_QUANTILE = 0.8, 0.33
_GREY_CHROMA = 0.22
"""Saturation below which light hair counts as grey."""


def greyness(age_years: float) -> float:
    """Share of grey hair at an age: 0 until `FIRST_GREY_YEARS`, 1 from `ALL_GREY_YEARS`."""
    t = float(np.clip((age_years - FIRST_GREY_YEARS) / (ALL_GREY_YEARS - FIRST_GREY_YEARS), 0, 1))
    return t * t * (3 - 2 * t)


@dataclass(frozen=True, kw_only=True)
class HairLight:
    """The light and colour of the hair of a picture.

    Args:
        area_px: how many px are surely hair.
        typical: median luminance.
        saturation: median saturation.
        dark: log luminance of the darkest third.
        middle: median log luminance.
    """

    area_px: int
    typical: float
    saturation: float
    dark: float
    middle: float


def measure_hair(intensity: Plane, hair: Plane) -> HairLight:
    """The light of the hair in a picture (H, W, 3) with the share of hair (H, W)."""
    sure = hair > 0.6
    if not sure.any():
        return HairLight(area_px=0, typical=0.0, saturation=0.0, dark=0.0, middle=0.0)
    light = intensity[sure] @ LUMINANCE
    log_light = np.log(light + LOG_FLOOR)
    return HairLight(
        area_px=int(sure.sum()),
        typical=float(np.median(light)),
        saturation=float(np.median(np.ptp(intensity[sure], -1) / (intensity[sure].max(-1) + 0.05))),
        dark=float(np.quantile(log_light, _DARK_QUANTILE)),
        middle=float(np.median(log_light)),
    )


def hair_change(
    intensity: Plane,
    hair: Plane,
    unit_px: float,
    old_years: float,
    new_years: float,
    silver: float = SILVER,
    known: HairLight | None = None,
) -> Plane:
    """Log ratio (H, W, 3) of hair between two ages.

    Args:
        intensity: (H, W, 3).
        hair: (H, W) share of hair.
        unit_px: px to a face unit, for the width of strands.
        old_years: age of the person.
        new_years: target age.
        silver: luminance of grey hair in this light.
        known: the light of the hair; measured in this picture by default.
    """
    before, after = greyness(old_years), greyness(new_years)
    if before == after:
        return np.zeros_like(intensity)
    own = known or measure_hair(intensity, hair)
    if own.area_px < _MIN_HAIR_AREA * unit_px**2:
        return np.zeros_like(intensity)
    light = intensity @ LUMINANCE
    if after > before:
        share = (after - before) / (1 - before + 1e-6)
        return _grey(intensity, light, own.typical, share, unit_px, silver) * hair[..., None]
    is_grey = smoothstep_of(own.saturation, 0.32, _GREY_CHROMA) * smoothstep_of(own.typical, 0.16, 0.3)
    if is_grey == 0:
        return np.zeros_like(intensity)
    share = is_grey * (before - after) / (before + 1e-6)
    return _darken(light, own, share) * hair[..., None]


def _grey(intensity: Plane, light: Plane, typical: float, share: float, unit_px: float, silver: float) -> Plane:
    """Colour fades and hair gets lighter, dark strands more than light ones; single strands go before others."""
    log_light = np.log(light + LOG_FLOOR)
    strand = log_light - geometry.blur(log_light, 0.08 * unit_px)
    uneven = _UNEVEN * (1 - share)
    local = np.clip(share * (1 + uneven * np.clip(strand, -0.5, 0.5)), 0, 1)
    before = float(np.log(typical + LOG_FLOOR))
    lift = float(np.clip(np.log(silver + LOG_FLOOR) - before, 0, _MAX_LIFT))
    away = log_light - before
    lighter = lift * np.clip(1 - away / (_WHITE - before), 0, 1)  # white stays white
    lifted = np.where(away > 0, lighter, lift - (1 - _SHADOW_CONTRAST) * away)
    faded = 0.9 * (log_light[..., None] - np.log(intensity + LOG_FLOOR))
    change: Plane = local[..., None] * (faded + lifted[..., None])
    return change.astype(np.float32)


def _darken(light: Plane, own: HairLight, share: float) -> Plane:
    """Grey hair gets the colour of its darkest third, warmer, and evenly."""
    log_light = np.log(light + LOG_FLOOR)
    target = min(own.dark, np.log(0.22 + LOG_FLOOR))
    compress = 0.75
    wanted = target + compress * (log_light - own.middle)
    balance = np.log(np.array([1.15, 0.99, 0.82], np.float32))
    change: Plane = share * ((wanted - log_light)[..., None] + balance)
    return np.clip(change, -1.6, 0.2).astype(np.float32)


def brows_and_stubble(light: Plane, skin_light: float, unit_px: float, masculinity: float) -> tuple[Plane, Plane]:
    """Shares (N, N) of brows and of stubble in the common face: darker than the skin, and stubble rough as well.

    Args:
        light: (N, N) log luminance.
        skin_light: that of the cheeks.
        unit_px: px to a face unit.
        masculinity: 0 to 1; women have none.
    """
    side = len(light)
    dark = skin_light - geometry.blur(light, 0.012 * unit_px)
    brows = smoothstep(dark, 0.2, 0.6) * brow_region(side)
    if masculinity < 0.5:
        return brows, np.zeros_like(brows)
    fine = np.abs(light - geometry.blur(light, 0.02 * unit_px))
    rough = geometry.blur(fine, 0.06 * unit_px)
    bare = float(np.median(rough[skin_region(side) * (1 - beard_region(side)) > 0.9]))
    broad = skin_light - geometry.blur(light, 0.05 * unit_px)
    darker = smoothstep(skin_light - geometry.blur(light, 0.006 * unit_px), 0.08, 0.3)
    stubble = smoothstep(broad, 0.12, 0.35) * smoothstep(rough / max(bare, 1e-4), 1.5, 2.5) * darker
    stubble = geometry.blur((stubble * beard_region(side)).astype(np.float32), 0.1 * unit_px) * darker
    grown = smoothstep_of(float(stubble.sum() / beard_region(side).sum()), 0.06, 0.2)
    return brows, stubble * np.float32(grown)
