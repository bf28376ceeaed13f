"""Skin features: numbers for the wrinkles, texture and colour of each zone, from which the zone scorers predict.

There are two families without a common formula, so that a scorer of one family can evaluate what was trained with a
scorer of the other: ridges and frequency bands of the luminance ("a"), and top-hats, gradient directions and the layout
of light and shade ("b").

Convention:
    crops (S, S, 3) RGB uint8 aligned as `Face.crop`, resampled to `VIEW_PX`; features (Z, F) with the Z zones in the
    order of `ZONES`. Column 0 is the wrinkle feature, the logarithm of the strength of dark lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, ellipse_mask, face_grid
from reage.images import geometry, regions
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONE_SHAPES, ZONES, Ellipse

VIEW_PX = 384
DETAIL_PX = 208
"""Crops are first reduced to this side, the resolution of most training portraits, so that all have equal detail."""
RIDGE_SIGMAS_PX = (0.8, 1.3, 2.1)
"""Scales in the view, where the eyes are 91 px apart."""

NUM_COLOUR_FEATURES = 6
"""Number of colour features, the last columns of family "a"."""

WINDOW = (slice(60, 348), slice(64, VIEW_PX - 64))
"""Rows and columns of the resampled crop that contain all zones."""

FOLD_SIGMAS_PX = (4.0, 8.0)
MIN_WEIGHT = 0.2
"""Share of a pixel that must be visible skin of a zone for its lines to count."""
LINE_QUANTILES, CLIP_QUANTILE = (0.5, 0.9, 0.97), 0.99
BAND_SIGMAS_PX = (0.7, 1.4, 2.8, 5.6, 11.2)
COARSE_SIGMAS_PX = (5.6, 11.2)
_TOP_HAT_RADII_PX = (4.0, 2.0)
_SMOOTHING_SIGMA_PX = 1.0
_NUM_DIRECTIONS = 6
_LAYOUT_POINTS = 8
LUMINANCE_FLOOR, FEATURE_FLOOR, MIN_CONTRAST = 0.04, 3e-3, 3e-3


@dataclass(frozen=True, kw_only=True)
class SkinView:
    """The part of a crop that contains the zones, prepared for the features.

    Args:
        light: (H, W) logarithm of the luminance, divided by the coarse contrast of the face, so that the features do
            not depend on hard or soft light or the camera.
        lab: (H, W, 3) CIE L*a*b*.
        weights: (Z, H, W) share of each pixel that is visible skin of the zone.
        visible: (Z,) share of each zone that is visible.
        grey: whether the crop is without colour.
    """

    light: Plane
    lab: Plane
    weights: Plane
    visible: NDArray[np.float32]
    grey: bool


def make_skin_view(crop: Pixels, landmarks: Plane, bare: Plane, hair: Plane) -> SkinView:
    """The view from which the features of a face are computed.

    Args:
        crop: (S, S, 3) the face, or an aged version of it.
        landmarks: (5, 2) crop px.
        bare: (S', S') bare skin of the original photo, see `reage.faces.segmentation.bare_skin`, which could
            take wrinkles of an aged version for glasses.
        hair: (S', S') hair of the original photo.
    """
    side = crop.shape[0]
    bare, hair = (np.clip(geometry.resize(mask, VIEW_PX, VIEW_PX), 0, 1) for mask in (bare, hair))
    crop = geometry.resize(geometry.resize(crop, DETAIL_PX, DETAIL_PX), VIEW_PX, VIEW_PX)
    points = geometry.move_points(landmarks, geometry.resize_matrix(side, VIEW_PX))
    grid, uncovered = face_grid(VIEW_PX, points)[WINDOW], (bare * (1 - hair))[WINDOW]
    crop = np.ascontiguousarray(crop[WINDOW])
    lab = regions.to_lab(crop)
    zones = np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES]).astype(np.float32)
    weights = zones * uncovered
    return SkinView(
        light=normalize_light(crop.astype(np.float32).mean(-1) / 255, weights),
        lab=lab,
        weights=weights,
        visible=weights.sum((1, 2)) / zones.sum((1, 2)),
        grey=bool(np.abs(lab[..., 1:]).max() < 2),
    )


def normalize_light(grey: Plane, weights: Plane) -> Plane:
    """(H, W) `SkinView.light` from the mean of the channels (H, W) in [0, 1] and the weights (Z, H, W)."""
    light = np.log(grey + np.float32(LUMINANCE_FLOOR))
    fine, coarse = (_blur(light, sigma_px) for sigma_px in COARSE_SIGMAS_PX)
    contrast = _shares(weights) @ np.abs(fine - coarse).ravel()
    return light / np.maximum(contrast.mean(), np.float32(MIN_CONTRAST))


def features_a(view: SkinView) -> Plane:
    """(Z, F) family "a": `luminance_features`, then the colour of each zone."""
    return np.concatenate([luminance_features(view.light, view.weights), _colours(view)], 1)


def luminance_features(light: Plane, weights: Plane) -> Plane:
    """Ridges by scale and direction, folds, frequency bands with their variation, quantiles of line strength.

    The wrinkle feature is that of LDLA's scores (arXiv 2507.21600). `reage.training.amgan.zone_scores` has the same
    features with gradients.

    Args:
        light: (H, W) as in `SkinView`.
        weights: (Z, H, W) as in `SkinView`.

    Returns:
        (Z, F - NUM_COLOUR_FEATURES).
    """
    light = light - light.mean()  # only differences count, and small numbers have more digits
    lines: list[Plane] = []
    strongest = np.zeros_like(light)
    for sigma_px in RIDGE_SIGMAS_PX:
        xx, xy, yy = hessian(light, sigma_px)
        strongest = np.maximum(strongest, max_curvature(xx, xy, yy))
        lines += [np.maximum(ridge, 0) for ridge in (xx, yy, (xx + yy) / 2 + xy, (xx + yy) / 2 - xy)]
    folds = [np.maximum(max_curvature(*hessian(light, sigma_px)), 0) for sigma_px in FOLD_SIGMAS_PX]
    blurred = [light, *(_blur(light, sigma_px) for sigma_px in BAND_SIGMAS_PX)]
    bands = np.stack([fine - coarse for fine, coarse in itertools.pairwise(blurred)])
    responses = np.concatenate([np.stack(lines + folds), np.abs(bands), np.maximum(-bands, 0), bands**2])
    means = _shares(weights) @ responses.reshape(len(responses), -1).T
    variation = np.sqrt(means[:, -len(bands) :] + np.float32(1e-12))
    wrinkles, quantiles = _line_strength(strongest, weights)
    strengths = np.concatenate([wrinkles, means[:, : -len(bands)], variation, quantiles], 1)
    return np.log(strengths + FEATURE_FLOOR).astype(np.float32)


def hessian(light: Plane, sigma_px: float) -> tuple[Plane, Plane, Plane]:
    """Second derivatives (xx, xy, yy) of (H, W) at one scale, times its square; positive across dark lines."""
    dy, dx = np.gradient(_blur(light, sigma_px))
    dxy, dxx = np.gradient(dx)
    dyy = np.gradient(dy, axis=0)
    square = sigma_px**2
    return square * dxx, square * dxy, square * dyy


def max_curvature(xx: Plane, xy: Plane, yy: Plane) -> Plane:
    """The larger eigenvalue of the Hessian: the curvature across a dark line of any direction."""
    curvature = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2 + np.float32(1e-12))
    return curvature.astype(np.float32, copy=False)


def features_b(view: SkinView) -> Plane:
    """(Z, F) family "b": top-hats (depth of dark and bright lines), gradient directions, layout of light and shade."""
    smooth = geometry.blur(view.light, _SMOOTHING_SIGMA_PX)
    hats = []
    for radius_px in _TOP_HAT_RADII_PX:
        closed = geometry.grow(geometry.grow(smooth, radius_px), -radius_px)
        opened = geometry.grow(geometry.grow(smooth, -radius_px), radius_px)
        hats += [closed - smooth, smooth - opened]
    directions = [plane for sigma_px in (1.0, 3.0) for plane in _directions(view.light, sigma_px)]
    energies = np.log(_means(np.stack([*hats, *directions], -1), view.weights) + FEATURE_FLOOR)
    layout = np.stack([_layout(view, ZONE_SHAPES[zone]) for zone in ZONES])
    return np.concatenate([energies, layout], 1)


FAMILIES: Mapping[str, Callable[[SkinView], Plane]] = MappingProxyType({"a": features_a, "b": features_b})


def mirror_features(features: NDArray[Any], family: str) -> NDArray[Any]:
    """(..., Z, F) features of a face -> those of its mirror image: sides and diagonal directions are swapped."""
    return features[..., list(MIRRORED_ZONES), :][..., mirrored_columns(features.shape[-1], family)]


def mirrored_columns(num_features: int, family: str) -> list[int]:
    """For each of F features of a family, the place of the one that it becomes in the mirror image."""
    columns = np.arange(num_features)
    if family == "a":
        for scale in range(len(RIDGE_SIGMAS_PX)):
            diagonal = 1 + 4 * scale + np.array([2, 3])
            columns[diagonal] = diagonal[::-1]
    else:
        first = 2 * len(_TOP_HAT_RADII_PX)
        mirrored = -np.arange(_NUM_DIRECTIONS) % _NUM_DIRECTIONS
        for start in (first, first + _NUM_DIRECTIONS):
            columns[start : start + _NUM_DIRECTIONS] = start + mirrored
        layout = columns[first + 2 * _NUM_DIRECTIONS :].reshape(_LAYOUT_POINTS, _LAYOUT_POINTS)
        columns[first + 2 * _NUM_DIRECTIONS :] = layout[:, ::-1].ravel()
    return columns.tolist()


def skin_tone(view: SkinView) -> float:
    """Individual typology angle of the skin of all zones, degrees: above 41 light, below 10 dark; NaN if grey."""
    if view.grey:
        return math.nan
    lightness, _, yellow = _means(view.lab, view.weights.sum(0)[None])[0]
    return math.degrees(math.atan2(lightness - 50, max(float(yellow), 1e-3)))


def _means(planes: Plane, weights: Plane) -> Plane:
    """(H, W, K) planes and (Z, H, W) weights -> (Z, K) weighted means."""
    sums = weights.reshape(len(weights), -1) @ planes.reshape(-1, planes.shape[-1])
    return sums / np.maximum(weights.sum((1, 2)), 1e-3)[:, None]


def _line_strength(strongest: Plane, weights: Plane) -> tuple[Plane, Plane]:
    """Mean (Z, 1) and quantiles (Z, Q) of the line strength in each zone; 0 where a zone is hidden.

    The mean is clipped at the 99 % quantile, because hairs and highlights lie above.
    """
    rows = np.zeros((len(weights), 1 + len(LINE_QUANTILES)), np.float32)
    for row, weight in zip(rows, weights, strict=True):
        inside = weight > MIN_WEIGHT
        if inside.any():
            values = strongest[inside]
            *row[1:], highest = np.quantile(values, (*LINE_QUANTILES, CLIP_QUANTILE))
            row[0] = np.average(np.minimum(values, highest), weights=weight[inside])
    return rows[:, :1], rows[:, 1:]


def _shares(weights: Plane) -> Plane:
    """(Z, H, W) -> (Z, H * W) that add up to 1 where a zone is visible."""
    flat = weights.reshape(len(weights), -1)
    return flat / np.maximum(flat.sum(-1, keepdims=True), np.float32(1e-3))


def _blur(plane: Plane, sigma_px: float) -> Plane:
    """Gaussian blur of (H, W) that ends at four standard deviations; the border is reflected."""
    return geometry.blur(plane, sigma_px, radius_px=round(4 * sigma_px))


def _colours(view: SkinView) -> Plane:
    """(Z, NUM_COLOUR_FEATURES) mean L*a*b* of each zone relative to all zones, and its standard deviation.

    Those of a* and b* are 0 in a grey crop.
    """
    means = _means(view.lab, view.weights)
    spread = np.sqrt(np.maximum(_means(view.lab**2, view.weights) - means**2, 0))
    colours = np.concatenate([means - _means(view.lab, view.weights.sum(0)[None]), spread], 1) / 10
    if view.grey:
        colours[:, [1, 2, 4, 5]] = 0
    return colours.astype(np.float32)


def _directions(light: Plane, sigma_px: float) -> list[Plane]:
    """Gradient magnitude (H, W) in each of `_NUM_DIRECTIONS` soft bins over 180 degrees."""
    dy, dx = np.gradient(geometry.blur(light, sigma_px))
    strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % math.pi
    step = math.pi / _NUM_DIRECTIONS
    offsets = [np.abs((angle - i * step + math.pi / 2) % math.pi - math.pi / 2) / step for i in range(_NUM_DIRECTIONS)]
    return [strength * np.maximum(1 - offset, 0) for offset in offsets]


def _layout(view: SkinView, shape: Ellipse) -> Plane:
    """(_LAYOUT_POINTS²,) light on a grid over the zone, standardised."""
    unit = VIEW_PX / FACE_PER_CROP
    axis = np.linspace(-1.1, 1.1, _LAYOUT_POINTS)
    x, y = np.meshgrid(axis * shape.half_width, axis * shape.half_height)
    angle = math.radians(shape.degrees)
    across = math.cos(angle) * x - math.sin(angle) * y + shape.x
    down = math.sin(angle) * x + math.cos(angle) * y + shape.y
    places = np.stack([across, down], -1) * unit + np.array(EYES_IN_CROP) * VIEW_PX - 0.5
    places = places - (WINDOW[1].start, WINDOW[0].start)
    light = geometry.sample(geometry.blur(view.light, 3.0), places.astype(np.float32)).ravel()
    return ((light - light.mean()) / (light.std() + 0.02)).astype(np.float32)
