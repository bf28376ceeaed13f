"""Signs of age in the skin of each zone, as numbers: what the zone scorers look at.

Two families that share no formula, so that the scorer built on one can judge what the other helped to make: ridges
and bands of the luminance ("a"), and dark lines, directions and the layout of light and shade ("b").

Convention: crops (S, S, 3) RGB uint8 aligned as `Face.crop`, looked at in `LOOK_PX`; a signs array is (12, F) with
zones in the order of `ZONES`; its first column is the wrinkle term, the logarithm of the strength of dark lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry, regions
from reage.matte import eye_mask, frame_mask
from reage.types import ZONES, Pixels, Plane
from reage.zones import EYES_IN_CROP, FACE_PER_CROP, ZONE_SHAPES, Ellipse, ellipse_mask, face_grid

LOOK_PX = 384
SEEN_PX = 208
"""A crop is brought to this side before it is looked at: most portraits that the scorers learn from show no more."""
RIDGE_SIGMAS_PX = (0.8, 1.3, 2.1)
"""In `LOOK_PX`, where the eyes are 91 px apart."""

_WINDOW = (slice(60, 348), slice(64, LOOK_PX - 64))
"""Rows and columns of the looked-at crop in which the zones lie."""

_MIRRORED = {"left": "right", "right": "left"}
OTHER_SIDE = tuple(
    ZONES.index(".".join([name, *(_MIRRORED[side] for side in sides)]))
    for name, *sides in (zone.split(".") for zone in ZONES)
)
"""The place in `ZONES` of each zone's mirror image."""

_FOLD_SIGMAS_PX = (4.0, 8.0)
_LINE_QUANTILES = (0.5, 0.9, 0.97)
_BAND_SIGMAS_PX = (0.7, 1.4, 2.8, 5.6, 11.2)
_COARSE_SIGMAS_PX = (5.6, 11.2)
_LINE_RADII_PX = (4.0, 2.0)
_CALM_SIGMA_PX = 1.0
_NUM_DIRECTIONS = 6
_LAYOUT_POINTS = 8
_DARKEST, _FAINTEST, _LEAST_CONTRAST = 0.04, 3e-3, 3e-3


@dataclass(frozen=True, kw_only=True)
class View:
    """A crop made ready for looking at its zones: the part in which they lie.

    Args:
        light: (H, W) logarithm of the luminance, in units of the face's own coarse contrast, so that hard
            and soft light, and cameras, leave the signs alone.
        lab: (H, W, 3) CIE L*a*b*.
        weights: (12, H, W) share of each pixel that is skin of the zone.
        grey: the crop has no colour.
    """

    light: Plane
    lab: Plane
    weights: Plane
    grey: bool


def make_view(crop: Pixels, landmarks: Plane, skin: Plane, hair: Plane) -> View:
    """Crop, its five points (5, 2) crop px, and its masks of skin and hair (S, S) -> what the signs are read from."""
    side = crop.shape[0]
    crop = geometry.resize(geometry.resize(crop, SEEN_PX, SEEN_PX), LOOK_PX, LOOK_PX)
    points = geometry.move_points(landmarks, geometry.resize_matrix(side, LOOK_PX))
    skin, hair = (geometry.resize(part, LOOK_PX, LOOK_PX) for part in (skin, hair))
    bare = np.clip(skin, 0, 1) * (1 - np.clip(hair, 0, 1)) * (1 - eye_mask(LOOK_PX, points))
    bare = bare * (1 - frame_mask(crop, points))
    bare, grid = bare[_WINDOW], face_grid(LOOK_PX, points)[_WINDOW]
    crop = np.ascontiguousarray(crop[_WINDOW])
    lab = regions.to_lab(crop)
    weights = np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) * bare for zone in ZONES]).astype(np.float32)
    light = np.log(crop.astype(np.float32).mean(-1) / 255 + _DARKEST)
    coarse = np.abs(geometry.blur(light, _COARSE_SIGMAS_PX[0]) - geometry.blur(light, _COARSE_SIGMAS_PX[1]))
    contrast = float(_means(coarse[..., None], weights).mean())
    return View(
        light=light / np.float32(max(contrast, _LEAST_CONTRAST)),
        lab=lab,
        weights=weights,
        grey=bool(np.abs(lab[..., 1:]).max() < 2),
    )


def ridges(light: Plane, sigma_px: float) -> tuple[Plane, Plane, Plane]:
    """Second derivatives (xx, xy, yy) at one scale, times its square; positive across dark lines."""
    smooth = geometry.blur(light, sigma_px)
    dy, dx = np.gradient(smooth)
    dxy, dxx = np.gradient(dx)
    dyy, _ = np.gradient(dy)
    square = np.float32(sigma_px**2)
    return square * dxx, square * dxy, square * dyy


def across(xx: Plane, xy: Plane, yy: Plane) -> Plane:
    """The larger of the two main curvatures: that across a line, whatever its direction."""
    return ((xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)).astype(np.float32)


def signs_a(view: View) -> Plane:
    """(12, F): ridges by scale and direction, folds, bands, their unevenness, how deep the deepest lines are, colour.

    The wrinkle term is that of LDLA's scores (arXiv 2507.21600).
    """
    lines: list[Plane] = []
    strongest = np.zeros_like(view.light)
    for sigma_px in RIDGE_SIGMAS_PX:
        xx, xy, yy = ridges(view.light, sigma_px)
        strongest = np.maximum(strongest, across(xx, xy, yy))
        lines += [np.maximum(along, 0) for along in (xx, yy, (xx + yy) / 2 + xy, (xx + yy) / 2 - xy)]
    folds = [np.maximum(across(*ridges(view.light, sigma_px)), 0) for sigma_px in _FOLD_SIGMAS_PX]
    blurred = [view.light, *(geometry.blur(view.light, sigma_px) for sigma_px in _BAND_SIGMAS_PX)]
    bands = np.stack([fine - coarse for fine, coarse in itertools.pairwise(blurred)], -1)
    wrinkles = _mean_of_clipped(strongest, view.weights)[:, None]
    strengths = [np.stack(lines + folds, -1), np.abs(bands), np.maximum(-bands, 0)]
    means = _means(np.concatenate(strengths, -1), view.weights)
    unevenness = np.sqrt(_means(bands**2, view.weights))
    depths = _quantiles(strongest, view.weights)
    energies = np.log(np.concatenate([wrinkles, means, unevenness, depths], 1) + _FAINTEST)
    return np.concatenate([energies, _colours(view)], 1)


def signs_b(view: View) -> Plane:
    """(12, F): depth of dark and bright lines (top-hats), directions of the gradient, layout of light and shade."""
    calm = geometry.blur(view.light, _CALM_SIGMA_PX)
    hats = []
    for radius_px in _LINE_RADII_PX:
        closed = geometry.grow(geometry.grow(calm, radius_px), -radius_px)
        opened = geometry.grow(geometry.grow(calm, -radius_px), radius_px)
        hats += [closed - calm, calm - opened]
    directions = [plane for sigma_px in (1.0, 3.0) for plane in _directions(view.light, sigma_px)]
    energies = np.log(_means(np.stack([*hats, *directions], -1), view.weights) + _FAINTEST)
    layout = np.stack([_layout(view, ZONE_SHAPES[zone]) for zone in ZONES])
    return np.concatenate([energies, layout], 1)


FAMILIES: Mapping[str, Callable[[View], Plane]] = MappingProxyType({"a": signs_a, "b": signs_b})


def mirror_signs(signs: NDArray[np.floating], family: str) -> NDArray[np.floating]:
    """(..., 12, F) signs of a face -> those of its mirror image: sides and slanted directions change places."""
    columns = np.arange(signs.shape[-1])
    if family == "a":
        for scale in range(len(RIDGE_SIGMAS_PX)):
            slanted = 1 + 4 * scale + np.array([2, 3])
            columns[slanted] = slanted[::-1]
    else:
        first = 2 * len(_LINE_RADII_PX)
        turned = -np.arange(_NUM_DIRECTIONS) % _NUM_DIRECTIONS
        for start in (first, first + _NUM_DIRECTIONS):
            columns[start : start + _NUM_DIRECTIONS] = start + turned
        layout = columns[first + 2 * _NUM_DIRECTIONS :].reshape(_LAYOUT_POINTS, _LAYOUT_POINTS)
        columns[first + 2 * _NUM_DIRECTIONS :] = layout[:, ::-1].ravel()
    return signs[..., list(OTHER_SIDE), :][..., columns]


def skin_tone(view: View) -> float:
    """Individual typology angle of the zones' skin, degrees: above 41 light, below 10 dark; nan without colour."""
    if view.grey:
        return math.nan
    lightness, _, yellow = _means(view.lab, view.weights.sum(0)[None])[0]
    return math.degrees(math.atan2(lightness - 50, max(float(yellow), 1e-3)))


def skin_px(view: View) -> NDArray[np.float32]:
    """(12,) px of `LOOK_PX` that show skin in each zone."""
    return view.weights.sum((1, 2))


def _means(planes: Plane, weights: Plane) -> Plane:
    """(H, W, K) planes and (Z, H, W) weights -> (Z, K) weighted means."""
    sums = weights.reshape(len(weights), -1) @ planes.reshape(-1, planes.shape[-1])
    return sums / np.maximum(weights.sum((1, 2)), 1e-3)[:, None]


def _mean_of_clipped(plane: Plane, weights: Plane) -> Plane:
    """(Z,) mean of each zone, where the highest hundredth counts no more than the rest: hairs and glints."""
    means = []
    for weight in weights:
        inside = weight > 0.2
        if not inside.any():
            means.append(0.0)
            continue
        values, shares = plane[inside], weight[inside]
        means.append(float(np.average(np.minimum(values, np.quantile(values, 0.99)), weights=shares)))
    return np.array(means, np.float32)


def _quantiles(plane: Plane, weights: Plane) -> Plane:
    """(Z, Q) values in each zone; 0 where nothing of it is seen."""
    seen = [plane[weight > 0.2] for weight in weights]
    none = np.zeros(len(_LINE_QUANTILES))
    return np.array([np.quantile(values, _LINE_QUANTILES) if values.size else none for values in seen], np.float32)


def _colours(view: View) -> Plane:
    """(12, 6) mean colour of each zone beside the whole face's, and its unevenness; 0 where there is no colour."""
    means = _means(view.lab, view.weights)
    spread = np.sqrt(np.maximum(_means(view.lab**2, view.weights) - means**2, 0))
    colours = np.concatenate([means - _means(view.lab, view.weights.sum(0)[None]), spread], 1) / 10
    if view.grey:
        colours[:, [1, 2, 4, 5]] = 0
    return colours.astype(np.float32)


def _directions(light: Plane, sigma_px: float) -> list[Plane]:
    """Strength of the gradient shared out over directions of 180 degrees."""
    dy, dx = np.gradient(geometry.blur(light, sigma_px))
    strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % math.pi
    step = math.pi / _NUM_DIRECTIONS
    away = [np.abs((angle - i * step + math.pi / 2) % math.pi - math.pi / 2) / step for i in range(_NUM_DIRECTIONS)]
    return [strength * np.maximum(1 - far, 0) for far in away]


def _layout(view: View, shape: Ellipse) -> Plane:
    """(LAYOUT_POINTS²,) light on a grid over the zone, without its mean and contrast."""
    unit = LOOK_PX / FACE_PER_CROP
    axis = np.linspace(-1.1, 1.1, _LAYOUT_POINTS)
    x, y = np.meshgrid(axis * shape.half_width, axis * shape.half_height)
    angle = math.radians(shape.degrees)
    across = math.cos(angle) * x - math.sin(angle) * y + shape.x
    down = math.sin(angle) * x + math.cos(angle) * y + shape.y
    places = np.stack([across, down], -1) * unit + np.array(EYES_IN_CROP) * LOOK_PX - 0.5
    places = places - (_WINDOW[1].start, _WINDOW[0].start)
    light = geometry.sample(geometry.blur(view.light, 3.0), places.astype(np.float32)).ravel()
    return ((light - light.mean()) / (light.std() + 0.02)).astype(np.float32)
