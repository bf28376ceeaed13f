"""The detail of skin in the common face: frequency bands of log luminance, and their energy patch by patch.

Convention:
    planes (N, N) of the common face, see `reage.faces.common_face`; lengths in face units; log luminance is the
    natural logarithm of linear weights of RGB in [0, 1] plus `LOG_FLOOR`. Patches are the zones of `reage.zones`,
    followed by the rest of the face in `REST`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import COMMON_UNITS, common_grid, common_points, fit_common_face, mean_mesh
from reage.faces.geometry import ellipse_mask, smoothstep
from reage.images import geometry, shapes
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, LIP_OUTLINE
from reage.types import GAIN_FLOOR, Plane
from reage.zones import ZONE_SHAPES, ZONES

LOG_FLOOR = GAIN_FLOOR
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
BAND_SIGMAS = (0.0058, 0.0116, 0.0242, 0.0483, 0.0966, 0.193)
"""Sigmas of the blurs between the bands, finest first, face units."""
NUM_BANDS = len(BAND_SIGMAS)

_REST_CENTRES = {
    "temple.left": (-1.15, -0.45),
    "temple.right": (1.15, -0.45),
    "nose": (0.0, 0.5),
    "cheek.left": (-0.95, 0.65),
    "cheek.right": (0.95, 0.65),
    "jaw.left": (-0.95, 1.35),
    "jaw.right": (0.95, 1.35),
    "chin": (0.0, 1.65),
}
REST = tuple(_REST_CENTRES)
PATCHES = (*ZONES, *REST)
_REST_SPREAD = 0.3
SOFT_PX = 2.0
"""Blur of the borders of patches, px of the plane of `patch_weights`."""
MIN_USABLE = 0.3
"""Share of a patch that must be usable to measure it."""
SIZES_KEPT = 6
"""How many sizes of a plane are kept: every face of a folder may have another."""
_SMALL_SIGMA_PX = 4.0
_PATCH_PX = 96
_NOSTRILS = (79, 309)
_FOREHEAD_UNITS, _NECK_UNITS = 0.55, 0.12
"""How far the skin goes beyond the outline of the mesh, above and below."""


def to_log(pixels: NDArray[np.floating] | NDArray[np.uint8]) -> Plane:
    """Levels 0 to 255 (H, W, 3) -> log intensity."""
    return np.log(pixels.astype(np.float32) * np.float32(1 / 255) + np.float32(LOG_FLOOR))


def log_luminance(pixels: NDArray[np.floating] | NDArray[np.uint8]) -> Plane:
    """Levels 0 to 255 (H, W, 3) -> log luminance (H, W)."""
    return np.log(pixels.astype(np.float32) @ (LUMINANCE / np.float32(255)) + np.float32(LOG_FLOOR))


def split_bands(light: Plane) -> list[Plane]:
    """The bands of a log luminance (N, N), finest first; what is coarser than all is left out."""
    unit = len(light) / COMMON_UNITS
    bands, finer = [], light
    for sigma in BAND_SIGMAS:
        coarser = _blur(light, sigma * unit)
        bands.append(finer - coarser)
        finer = coarser
    return bands


def _blur(light: Plane, sigma_px: float) -> Plane:
    """Gaussian blur; a wide one is made on a smaller plane."""
    if sigma_px < 2 * _SMALL_SIGMA_PX:
        return geometry.blur(light, sigma_px)
    side = max(8, round(len(light) * _SMALL_SIGMA_PX / sigma_px))
    small = geometry.blur(geometry.resize(light, side, side), sigma_px * side / len(light))
    return geometry.resize(small, *light.shape)


def coarser_than(plane: Plane, parts_per_face: int) -> Plane:
    """What of a plane (N, N) is coarser than the common face divided by so many."""
    small = geometry.resize(plane, parts_per_face, parts_per_face)
    return geometry.resize_linear(small, *plane.shape)


def fill_unusable(light: Plane, usable: Plane) -> Plane:
    """Log luminance with what is not usable skin replaced by its surroundings, so that no edge rings in the bands."""
    unit = len(light) / COMMON_UNITS
    filled = np.full_like(light, np.average(light, weights=usable + 1e-6))
    for sigma in (0.25, 0.08):
        small = max(32, round(len(light) * 0.02 / sigma))
        weight = geometry.resize(usable, small, small)
        value = geometry.resize(light * usable, small, small)
        blurred_weight = geometry.blur(weight, sigma * small / COMMON_UNITS)
        total = geometry.blur(value, sigma * small / COMMON_UNITS)
        mean: Plane = np.divide(total, np.maximum(blurred_weight, 1e-4), dtype=np.float32)
        sure = geometry.resize(smoothstep(blurred_weight, 0.01, 0.15), *light.shape)
        filled += sure * (geometry.resize(mean, *light.shape) - filled)
    soft = geometry.blur(usable, 0.01 * unit)
    return (filled + soft * (light - filled)).astype(np.float32)


@cache
def patch_weights() -> Plane:
    """(Q, 96, 96) weight of each of `PATCHES` in the common face; they add up to 1 everywhere."""
    grid = flat_grid()
    zones = np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES])
    zones = zones / np.maximum(zones.sum(0), 1)
    centres = np.array(list(_REST_CENTRES.values()), np.float32)
    squared = ((grid[None] - centres[:, None, None]) ** 2).sum(-1)
    rest = np.exp(-(squared - squared.min(0)) / (2 * _REST_SPREAD**2))
    rest = rest / rest.sum(0) * np.maximum(1 - zones.sum(0), 0)
    return np.concatenate([zones, rest]).astype(np.float32)


@cache
def flat_grid() -> Plane:
    """(96, 96, 2) face units, as zones are given, of the common face: what is unrolled lies closer to the middle."""
    px = 512.0
    mesh = np.hstack([mean_mesh()[:, :2] * 100 + px / 2, mean_mesh()[:, 2:] * 100]).astype(np.float32)
    flat = fit_common_face(mesh).straighten(_PATCH_PX)
    return ((flat - px / 2) / 100).astype(np.float32)


@lru_cache(SIZES_KEPT)
def skin_region(side_px: int) -> Plane:
    """(N, N) 1 on the skin of the common face; 0, with a soft border, on eyes, brows, lips, nostrils and beyond it."""
    unit = side_px / COMMON_UNITS
    points = (common_points() * side_px - 0.5).astype(np.float32)
    outline = points[list(FACE_OUTLINE)].copy()
    middle = outline[:, 1].mean()
    outline[:, 1] += np.where(outline[:, 1] < middle - 0.6 * unit, -_FOREHEAD_UNITS, 0) * unit
    outline[:, 1] += np.where(outline[:, 1] > middle + 0.9 * unit, _NECK_UNITS, 0) * unit
    region = geometry.grow(_fill(outline, side_px), -0.1 * unit)
    holes = geometry.grow(_fill(points[list(LIP_OUTLINE)], side_px), 0.035 * unit)
    for group, margin in ((EYE_OUTLINES, 0.05), (BROW_OUTLINES, 0.07)):
        for own in group:
            holes = np.maximum(holes, geometry.grow(_fill(points[list(own)], side_px), margin * unit))
    for nostril in _NOSTRILS:
        away = np.hypot(*np.moveaxis(geometry.pixel_grid(side_px, side_px) - points[nostril], -1, 0)) / unit
        holes = np.maximum(holes, (away < 0.1).astype(np.float32))
    return geometry.blur(region * (1 - holes), 0.035 * unit)


def patch_map(values: NDArray[np.float64], side_px: int, blur_px: float = 0.0) -> Plane:
    """(N, N) a value of each patch (Q,), blurred by so many px of the plane of `patch_weights`."""
    small = np.einsum("q,qhw->hw", values, patch_weights()).astype(np.float32)
    return geometry.resize(geometry.blur(small, blur_px) if blur_px else small, side_px, side_px)


def named_map(values: Mapping[str, float], side_px: int, elsewhere: float = 0.0) -> Plane:
    """(N, N) the values of some of `PATCHES` by their names, and another in the rest, soft between them."""
    return patch_map(np.array([values.get(name, elsewhere) for name in PATCHES]), side_px, SOFT_PX)


def hold_within(change: Plane, least: Plane | float, most: Plane | float) -> Plane:
    """A change smoothly held within bounds of the same size or single ones, below and above 0."""
    bounds = np.where(change < 0, least, most)
    held: Plane = (bounds * np.tanh(change / bounds)).astype(np.float32)
    return held


def measure_sharpness(light: Plane) -> NDArray[np.float64]:
    """(B,) mean absolute value of each band on eyes, brows and lips, which tells how sharp a photo is."""
    region = feature_region(len(light))
    return np.array([float(np.average(np.abs(band), weights=region)) for band in split_bands(light)])


@lru_cache(SIZES_KEPT)
def feature_region(side_px: int) -> Plane:
    """(N, N) 1 on eyes, brows and lips of the common face."""
    points = (common_points() * side_px - 0.5).astype(np.float32)
    outlines = (*EYE_OUTLINES, *BROW_OUTLINES, LIP_OUTLINE)
    return np.maximum.reduce([_fill(points[list(outline)], side_px) for outline in outlines])


@lru_cache(SIZES_KEPT)
def brow_region(side_px: int) -> Plane:
    """(N, N) 1 on and around the brows of the common face, soft at the border."""
    unit = side_px / COMMON_UNITS
    points = (common_points() * side_px - 0.5).astype(np.float32)
    brows = np.maximum.reduce([_fill(points[list(outline)], side_px) for outline in BROW_OUTLINES])
    return geometry.blur(geometry.grow(brows, 0.05 * unit), 0.025 * unit)


@lru_cache(SIZES_KEPT)
def beard_region(side_px: int) -> Plane:
    """(N, N) 1 where beard and moustache grow in the common face, soft at the border."""
    unit = side_px / COMMON_UNITS
    points = (common_points() * side_px - 0.5).astype(np.float32)
    grid = common_grid(side_px)
    lips = geometry.grow(_fill(points[list(LIP_OUTLINE)], side_px), 0.03 * unit)
    face = geometry.grow(_fill(points[list(FACE_OUTLINE)], side_px), -0.1 * unit)
    below_nose = smoothstep(grid[..., 1], 0.78, 0.9) * smoothstep(np.abs(grid[..., 0]) - 0.6 * grid[..., 1], 0.95, 0.65)
    return geometry.blur(face * (1 - lips), 0.04 * unit) * below_nose


def _fill(points: Plane, side_px: int) -> Plane:
    return (shapes.fill_polygon(points, side_px, side_px) > 0).astype(np.float32)


def measure_energy(bands: list[Plane], usable: Plane) -> NDArray[np.float64]:
    """(Q, B) mean absolute value of each band in each patch; NaN where too little of a patch is usable.

    Args:
        bands: see `split_bands`.
        usable: (N, N) share of visible skin.
    """
    weights = patch_weights() * geometry.resize(skin_region(4 * _PATCH_PX), _PATCH_PX, _PATCH_PX)
    share = geometry.resize(usable, _PATCH_PX, _PATCH_PX)
    seen = (weights * share).sum((1, 2))
    energy = np.empty((len(PATCHES), len(bands)))
    for index, band in enumerate(bands):
        small = geometry.resize(np.abs(band) * usable, _PATCH_PX, _PATCH_PX)
        energy[:, index] = (weights * small).sum((1, 2)) / np.maximum(seen, 1e-6)
    energy[seen < MIN_USABLE * weights.sum((1, 2))] = np.nan
    return energy
