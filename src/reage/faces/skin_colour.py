"""The colour of skin in the common face: dark spots and redness.

Both are contrasts within one face, so that they hardly depend on exposure and white balance.

Convention:
    planes (N, N) of the common face, see `reage.faces.common_face`; lengths in face units, of which one is about
    63 mm; log intensity as in `reage.faces.skin_detail`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import COMMON_UNITS, common_grid, common_points
from reage.faces.common_view import CommonView, shrink_skin, view_in_common_face
from reage.faces.geometry import FACE_PER_CROP, smoothstep
from reage.faces.skin_detail import (
    SIZES_KEPT,
    brow_region,
    fill_unusable,
    log_luminance,
    skin_region,
    to_log,
)
from reage.faces.window import cut_window, mesh_in_window
from reage.images import geometry, shapes
from reage.mesh_points import EYE_OUTLINES
from reage.types import Face, Pixels, Plane

VIEW_PX = 400
"""Side of the common face in which skin is measured, so that photos of all sizes have equal detail."""

SPOT_SIGMAS = (0.016, 0.024, 0.036)
"""Scales of spots: 2, 4 and 6 mm across."""
_LEAST_ROUNDNESS, _FULL_ROUNDNESS = 0.3, 0.5
"""Ratio of the curvatures across a spot: 0 on a line, 1 on a disc."""
_LEAST_BROWNNESS, _FULL_BROWNNESS = 1.0, 1.3
"""Contrast of a spot in blue by that in red: melanin has more than 1, hair and frames of glasses about 1."""
_BROWN_SIGMAS = (0.018, 0.06)
_LEAST_BROWN_CONTRAST = 0.004
_LINES_SIGMA = 0.1
_LEAST_CONTRAST, _MOST_CONTRAST = 0.008, 0.02
"""Below, it is texture of the skin; above, it does not count more, so that a mole does not outweigh many spots."""
_SPOT_BORDER = 0.09
"""Distance from hair, glasses and the border of the face, in which no spot is measured."""
_SPOT_FLOOR = 1e-6

REDNESS_PX = 100
"""Side of the common face in which redness is measured."""
_MIN_SPOT_SHARE, _MIN_RED_SHARE = 0.25, 0.15
"""Share of the region of a measure that must be usable: spots are counted, redness is a mean."""


def view_skin(face: Face) -> CommonView:
    """The view of a face that `measure_dark_spots` and `measure_redness` take."""
    side = round(VIEW_PX / COMMON_UNITS * FACE_PER_CROP)
    bare = np.minimum(face.bare, 1 - face.hair)
    return view_in_common_face(cut_window(face, side), mesh_in_window(face, side), shrink_skin(bare), VIEW_PX)


# Dark spots


def measure_dark_spots(view: CommonView) -> float:
    """Natural logarithm of the mean contrast of dark spots; NaN where too little skin is usable."""
    return average_spots(find_dark_spots(view), spot_weights(view.usable))


def average_spots(contrast: Plane, weights: Plane) -> float:
    """`measure_dark_spots` from the contrast (N, N) of spots and the weights (N, N) of the skin."""
    seen = float(weights.sum())
    if seen < _MIN_SPOT_SHARE * float(spot_weights(skin_region(len(weights))).sum()):
        return math.nan
    return math.log(float((np.minimum(contrast, _MOST_CONTRAST) * weights).sum()) / seen + _SPOT_FLOOR)


def spot_weights(usable: Plane) -> Plane:
    """(N, N) weight of usable skin (N, N) in the measure of spots."""
    return geometry.grow(usable, -_SPOT_BORDER * len(usable) / COMMON_UNITS) * spot_region(len(usable))


def find_dark_spots(view: CommonView) -> Plane:
    """(N, N) contrast of dark spots; 0 on lines, in the texture of the skin, and on what is not browner than the skin.

    The contrast is the smaller curvature of the log luminance, sigma squared times its second derivative, at the scale
    of `SPOT_SIGMAS` that has most of it. Where there are lines nearby, it has to be larger than theirs: wrinkles have
    pits where they cross.
    """
    unit = len(view.levels) / COMMON_UNITS
    light = fill_unusable(log_luminance(view.levels), view.usable)
    spots, lines = np.zeros_like(light), np.zeros_like(light)
    for sigma in SPOT_SIGMAS:
        least, most = _curvatures(light, sigma * unit)
        darker = np.maximum(least, 0)
        roundness = least / np.maximum(most, np.float32(1e-6))
        round_share = (roundness - _LEAST_ROUNDNESS) / np.float32(_FULL_ROUNDNESS - _LEAST_ROUNDNESS)
        spots = np.maximum(spots, darker * np.clip(round_share, 0, 1))
        lines = np.maximum(lines, most - darker)
    spots = spots * _brownness(view, unit)
    return np.maximum(spots - geometry.blur(lines, _LINES_SIGMA * unit) - np.float32(_LEAST_CONTRAST), 0)


def _curvatures(light: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """The smaller and the larger eigenvalue (N, N) of the Hessian at a scale, times sigma squared."""
    down, across = np.gradient(geometry.blur(light, sigma_px))
    yy, _ = np.gradient(down)
    xy, xx = np.gradient(across)
    mean, radius = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    squared = np.float32(sigma_px**2)
    return squared * (mean - radius), squared * (mean + radius)


def _brownness(view: CommonView, unit: float) -> Plane:
    """(N, N) 1 where the skin is darker in blue than in red, compared with its surround, to 0."""
    fine, coarse = (sigma * unit for sigma in _BROWN_SIGMAS)
    logs = to_log(view.levels)
    filled = [fill_unusable(np.ascontiguousarray(logs[..., channel]), view.usable) for channel in (0, 2)]
    red, blue = (geometry.blur(plane, coarse) - geometry.blur(plane, fine) for plane in filled)
    rise = (_FULL_BROWNNESS - _LEAST_BROWNNESS) * np.abs(red)
    return np.clip((blue - _LEAST_BROWNNESS * red) / np.maximum(rise, np.float32(_LEAST_BROWN_CONTRAST)), 0, 1)


@lru_cache(SIZES_KEPT)
def spot_region(side_px: int) -> Plane:
    """(N, N) 1 on forehead, temples and cheeks of the common face, where no beard grows and few shadows lie."""
    grid, unit = common_grid(side_px), side_px / COMMON_UNITS
    beside, y = np.abs(grid[..., 0]), grid[..., 1]
    points = (common_points() * side_px - 0.5).astype(np.float32)
    eyes = shapes.join([shapes.fill_polygon(points[list(one)], side_px, side_px) for one in EYE_OUTLINES])
    around_eyes = geometry.blur(geometry.grow((eyes > 0).astype(np.float32), 0.2 * unit), 0.03 * unit)
    around_brows = geometry.grow(brow_region(side_px), 0.05 * unit)
    nose = smoothstep(y, -0.02, 0.06) * smoothstep(beside, 0.5, 0.42)
    frown = smoothstep(beside, 0.42, 0.3) * smoothstep(y, -0.62, -0.54) * smoothstep(y, 0.0, -0.06)
    above_beard = smoothstep(y, 0.88, 0.78)
    return skin_region(side_px) * above_beard * (1 - around_eyes) * (1 - around_brows) * (1 - nose) * (1 - frown)


# Redness


def measure_redness(view: CommonView) -> float:
    """Redness of cheeks and nose less that of forehead and temples; NaN where too little of either is usable."""
    small, usable = small_view(view)
    return contrast_redness(redness_of(small), usable)


def small_view(view: CommonView) -> tuple[Pixels, Plane]:
    """The levels (M, M, 3) and the usable skin (M, M) of a view at `REDNESS_PX`."""
    side = (REDNESS_PX, REDNESS_PX)
    return geometry.resize(view.levels, *side), geometry.resize(view.usable, *side)


def redness_of(levels: Pixels | NDArray[np.floating]) -> Plane:
    """(..., 3) levels 0 to 255 -> (...) log(R) - 2 log(G) + log(B).

    It rises with haemoglobin, which takes green most, and changes little with melanin, whose optical density falls
    about evenly from blue to red, and not with shading, which changes all channels alike.
    """
    logs = to_log(levels)
    found: Plane = logs[..., 0] - 2 * logs[..., 1] + logs[..., 2]
    return found


def contrast_redness(redness: Plane, usable: Plane) -> float:
    """`measure_redness` from planes (M, M)."""
    means = []
    for region in redness_regions():
        weights = region * usable
        if weights.sum() < _MIN_RED_SHARE * region.sum():
            return math.nan
        means.append(float((redness * weights).sum() / weights.sum()))
    return means[0] - means[1]


@lru_cache(1)
def redness_regions() -> tuple[Plane, Plane]:
    """(M, M) cheeks and nose, and forehead and temples, of the common face, at `REDNESS_PX`."""
    grid, skin = common_grid(REDNESS_PX), skin_region(REDNESS_PX)
    beside, y = np.abs(grid[..., 0]), grid[..., 1]
    cheeks = (beside > 0.35) & (beside < 0.95) & (y > 0.3) & (y < 0.85)
    nose = (beside < 0.3) & (y > 0.15) & (y < 0.62)
    forehead = (beside < 0.8) & (y < -0.42)
    temples = (beside > 0.85) & (y > -0.6) & (y < 0.1)
    return (cheeks | nose) * skin, (forehead | temples) * skin
