"""Signs of age in the skin of each zone, as numbers: what the zone scorers look at.

Two families that share no formula, so that the scorer built on one can judge what the other helped to make: ridges
and bands of the luminance ("a", in torch, so that engines can learn from it), and dark lines, directions and the layout
of light and shade ("b").

Convention: crops (S, S, 3) RGB uint8 aligned as `Face.crop`, looked at in `LOOK_PX`; a signs array is (12, F) with
zones in the order of `ZONES`; its first column is the wrinkle term, the logarithm of the strength of dark lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, ellipse_mask, face_grid
from reage.images import geometry, regions
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONE_SHAPES, ZONES, Ellipse

Signs = TypeVar("Signs", NDArray[Any], Tensor)

LOOK_PX = 384
SEEN_PX = 208
"""A crop is brought to this side before it is looked at: most portraits that the scorers learn from show no more."""
RIDGE_SIGMAS_PX = (0.8, 1.3, 2.1)
"""In `LOOK_PX`, where the eyes are 91 px apart."""

NUM_COLOUR_FEATURES = 6
"""The last signs of family "a"."""

WINDOW = (slice(60, 348), slice(64, LOOK_PX - 64))
"""Rows and columns of the looked-at crop in which the zones lie."""

_FOLD_SIGMAS_PX = (4.0, 8.0)
_LINE_QUANTILES, _HIGHEST = (0.5, 0.9, 0.97), 0.99
_BAND_SIGMAS_PX = (0.7, 1.4, 2.8, 5.6, 11.2)
_COARSE_SIGMAS_PX = (5.6, 11.2)
_LINE_RADII_PX = (4.0, 2.0)
_CALM_SIGMA_PX = 1.0
_NUM_DIRECTIONS = 6
_LAYOUT_POINTS = 8
_DARKEST, _FAINTEST, _LEAST_CONTRAST = 0.04, 3e-3, 3e-3


@dataclass(frozen=True, kw_only=True)
class SkinView:
    """A crop made ready for looking at its zones: the part in which they lie.

    Args:
        light: (H, W) logarithm of the luminance, in units of the face's own coarse contrast, so that hard
            and soft light, and cameras, leave the signs alone.
        lab: (H, W, 3) CIE L*a*b*.
        weights: (12, H, W) share of each pixel that is skin of the zone.
        shown: (12,) share of each zone that these weights show.
        grey: the crop has no colour.
    """

    light: Plane
    lab: Plane
    weights: Plane
    shown: NDArray[np.float32]
    grey: bool


def make_skin_view(crop: Pixels, landmarks: Plane, bare: Plane, hair: Plane) -> SkinView:
    """What the signs are read from.

    Args:
        crop: (S, S, 3) a face, or what has become of it.
        landmarks: (5, 2) crop px.
        bare: (S', S') its bare skin, see `reage.faces.segmentation.bare_skin`; that of the photo, so that no line that an edit
            draws is taken for a rim.
        hair: (S', S') its hair.
    """
    side = crop.shape[0]
    bare, hair = (np.clip(geometry.resize(part, LOOK_PX, LOOK_PX), 0, 1) for part in (bare, hair))
    crop = geometry.resize(geometry.resize(crop, SEEN_PX, SEEN_PX), LOOK_PX, LOOK_PX)
    points = geometry.move_points(landmarks, geometry.resize_matrix(side, LOOK_PX))
    grid, seen = face_grid(LOOK_PX, points)[WINDOW], (bare * (1 - hair))[WINDOW]
    crop = np.ascontiguousarray(crop[WINDOW])
    lab = regions.to_lab(crop)
    zones = np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES]).astype(np.float32)
    weights = zones * seen
    grey = torch.from_numpy(crop.astype(np.float32).mean(-1) / 255)
    return SkinView(
        light=light_of(grey[None], torch.from_numpy(weights)[None])[0].numpy(),
        lab=lab,
        weights=weights,
        shown=weights.sum((1, 2)) / zones.sum((1, 2)),
        grey=bool(np.abs(lab[..., 1:]).max() < 2),
    )


def light_of(grey: Tensor, weights: Tensor) -> Tensor:
    """Mean of the channels (B, H, W) in [0, 1], and the weights (B, 12, H, W) -> the light of a `SkinView`."""
    light = (grey + _DARKEST).log()
    coarse = (_blur(light.detach(), _COARSE_SIGMAS_PX[0]) - _blur(light.detach(), _COARSE_SIGMAS_PX[1])).abs()
    contrast = (_shares(weights) @ coarse.flatten(1)[..., None]).mean(1, keepdim=True)
    return light / contrast.clamp(min=_LEAST_CONTRAST)


def features_a(view: SkinView) -> Plane:
    """(12, F): lines of light and shade, and colour."""
    lines = luminance_features(torch.from_numpy(view.light)[None], torch.from_numpy(view.weights)[None])[0]
    return np.concatenate([lines.numpy(), _colours(view)], 1)


def luminance_features(light: Tensor, weights: Tensor) -> Tensor:
    """Ridges by scale and direction, folds, bands, their unevenness, how deep the deepest lines are.

    The wrinkle term is that of LDLA's scores (arXiv 2507.21600). Gradients flow to the light.

    Args:
        light: (B, H, W) as in `SkinView`.
        weights: (B, 12, H, W) as in `SkinView`.

    Returns:
        (B, 12, F), all but the colours of family "a".
    """
    lines: list[Tensor] = []
    strongest = torch.zeros_like(light)
    for sigma_px in RIDGE_SIGMAS_PX:
        xx, xy, yy = ridges(light, sigma_px)
        strongest = torch.maximum(strongest, across(xx, xy, yy))
        lines += [along.clamp(min=0) for along in (xx, yy, (xx + yy) / 2 + xy, (xx + yy) / 2 - xy)]
    folds = [across(*ridges(light, sigma_px)).clamp(min=0) for sigma_px in _FOLD_SIGMAS_PX]
    blurred = [light, *(_blur(light, sigma_px) for sigma_px in _BAND_SIGMAS_PX)]
    bands = torch.stack([fine - coarse for fine, coarse in itertools.pairwise(blurred)], -1)
    strengths = [torch.stack(lines + folds, -1), bands.abs(), (-bands).clamp(min=0)]
    shares = _shares(weights)
    means = shares @ torch.cat(strengths, -1).flatten(1, 2)
    unevenness = (shares @ (bands**2).flatten(1, 2) + 1e-12).sqrt()
    wrinkles, depths = _lines_of_zones(strongest, weights)
    return (torch.cat([wrinkles, means, unevenness, depths], -1) + _FAINTEST).log()


def ridges(light: Tensor, sigma_px: float) -> tuple[Tensor, Tensor, Tensor]:
    """Second derivatives (xx, xy, yy) of (B, H, W) at one scale, times its square; positive across dark lines."""
    dy, dx = torch.gradient(_blur(light, sigma_px), dim=(1, 2))
    dxy, dxx = torch.gradient(dx, dim=(1, 2))
    (dyy,) = torch.gradient(dy, dim=1)
    square = sigma_px**2
    return square * dxx, square * dxy, square * dyy


def across(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """The larger of the two main curvatures: that across a line, whatever its direction."""
    return (xx + yy) / 2 + (((xx - yy) / 2) ** 2 + xy**2 + 1e-12).sqrt()


def features_b(view: SkinView) -> Plane:
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


FAMILIES: Mapping[str, Callable[[SkinView], Plane]] = MappingProxyType({"a": features_a, "b": features_b})


def mirror_features(signs: Signs, family: str) -> Signs:
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
    return signs[..., list(MIRRORED_ZONES), :][..., columns.tolist()]


def skin_tone(view: SkinView) -> float:
    """Individual typology angle of the zones' skin, degrees: above 41 light, below 10 dark; nan without colour."""
    if view.grey:
        return math.nan
    lightness, _, yellow = _means(view.lab, view.weights.sum(0)[None])[0]
    return math.degrees(math.atan2(lightness - 50, max(float(yellow), 1e-3)))


def _means(planes: Plane, weights: Plane) -> Plane:
    """(H, W, K) planes and (Z, H, W) weights -> (Z, K) weighted means."""
    sums = weights.reshape(len(weights), -1) @ planes.reshape(-1, planes.shape[-1])
    return sums / np.maximum(weights.sum((1, 2)), 1e-3)[:, None]


def _lines_of_zones(strongest: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 12, 1) means, in which the highest hundredth counts no more than the rest (hairs, glints), and (B, 12, Q).

    Both are 0 where nothing of the zone is seen.
    """
    levels = strongest.new_tensor((*_LINE_QUANTILES, _HIGHEST))
    rows = []
    for plane, zones in zip(strongest, weights, strict=True):
        for weight in zones:
            inside = weight > 0.2
            values, shares = plane[inside], weight[inside]
            if not len(values):
                rows.append(plane.new_zeros(len(levels)))
                continue
            quantiles = torch.quantile(values, levels)
            mean = (torch.minimum(values, quantiles[-1:]) * shares).sum() / shares.sum()
            rows.append(torch.cat([mean[None], quantiles[:-1]]))
    found = torch.stack(rows).unflatten(0, weights.shape[:2])
    return found[..., :1], found[..., 1:]


def _shares(weights: Tensor) -> Tensor:
    """(B, 12, H, W) -> (B, 12, H * W) that add up to 1 where a zone is seen."""
    flat = weights.flatten(2)
    return flat / flat.sum(-1, keepdim=True).clamp(min=1e-3)


def _blur(planes: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (B, H, W); the border is reflected."""
    radius = round(4 * sigma_px)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=planes.device) / sigma_px) ** 2)
    kernel = (kernel / kernel.sum())[None, None, None]
    wide = F.pad(planes[:, None], (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(wide, kernel), kernel.transpose(2, 3))[:, 0]


def _colours(view: SkinView) -> Plane:
    """(12, NUM_COLOUR_FEATURES) mean colour of each zone beside the face's, and its unevenness; 0 where there is no colour."""
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


def _layout(view: SkinView, shape: Ellipse) -> Plane:
    """(LAYOUT_POINTS²,) light on a grid over the zone, without its mean and contrast."""
    unit = LOOK_PX / FACE_PER_CROP
    axis = np.linspace(-1.1, 1.1, _LAYOUT_POINTS)
    x, y = np.meshgrid(axis * shape.half_width, axis * shape.half_height)
    angle = math.radians(shape.degrees)
    across = math.cos(angle) * x - math.sin(angle) * y + shape.x
    down = math.sin(angle) * x + math.cos(angle) * y + shape.y
    places = np.stack([across, down], -1) * unit + np.array(EYES_IN_CROP) * LOOK_PX - 0.5
    places = places - (WINDOW[1].start, WINDOW[0].start)
    light = geometry.sample(geometry.blur(view.light, 3.0), places.astype(np.float32)).ravel()
    return ((light - light.mean()) / (light.std() + 0.02)).astype(np.float32)
