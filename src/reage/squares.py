"""Square pictures of single zones and of the whole face, as latent diffusion works on them, and the way back.

Convention:
    squares RGB uint8 (K, P, P, 3); places in face units (see `reage.zones`); `square_from_crop` is a similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.geometry import AnyPixels
from reage.types import ZONES, Matrix, Plane
from reage.zones import EYES_IN_CROP, FACE_PER_CROP, ZONE_SHAPES, face_scale, smoothstep

MARGIN = 0.15
"""Share of a zone's own side that is added on each side: context, in which a change fades."""
_SIDES = {
    "glabella": 0.90,
    "interocular": 0.60,
    "crows_feet": 0.70,
    "under_eye": 0.75,
    "nasolabial": 0.90,
    "upper_lip": 0.75,
    "lip_corners": 0.60,
}
FACE = "face"
"""The square that holds hair, face and chin."""


@dataclass(frozen=True)
class Square:
    """Centre and side in face units."""

    x: float
    y: float
    side: float


_HALF = 0.46
"""Centre and half side of the squares of a zone that is cut in two: one would be too coarse for its fine lines."""
_ZONE_OF = {f"{zone}.{side}": zone for zone in ("forehead",) for side in ("left", "right")}
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {zone: tuple(part for part, whole in _ZONE_OF.items() if whole == zone) or (zone,) for zone in ZONES}
)
"""Zone -> its squares: one, or a left and a right one."""
ZONE_SQUARES = tuple(part for zone in ZONES for part in PARTS[zone])
"""The squares of all zones."""


def zone_of(name: str) -> str:
    """The zone that one of `ZONE_SQUARES` shows."""
    return _ZONE_OF.get(name, name)


def _place(name: str) -> Square:
    shape, whole = ZONE_SHAPES[zone_of(name)], 1 + 2 * MARGIN
    if name not in _ZONE_OF:
        return Square(shape.x, shape.y, whole * _SIDES[name.split(".")[0]])
    return Square(-_HALF if name.endswith("left") else _HALF, shape.y, whole * 2 * _HALF)


SQUARES: Mapping[str, Square] = MappingProxyType(
    {name: _place(name) for name in ZONE_SQUARES} | {FACE: Square(0.0, 0.2, 3.4)}
)
"""The zones' are those of LDLA (arXiv 2507.21600) with their margin, around the centres of `reage.zones`."""

_LEAST_FACE_PX = 288


def fine_face_px(picture_px: int) -> int:
    """Side of a whole face in which skin is about as fine as in the squares of zones, for a net of such pictures."""
    return max(_LEAST_FACE_PX, 2 * picture_px)


def square_from_crop(name: str, landmarks: Plane, crop_px: int, square_px: int) -> Matrix:
    """(2, 3) matrix from a crop with these five landmarks (5, 2) crop px into one of `SQUARES`."""
    square, unit = SQUARES[name], crop_px / FACE_PER_CROP
    below = square.y * face_scale(crop_px, landmarks) if square.y > 0 else square.y
    centre = np.array([square.x, below]) * unit + np.array(EYES_IN_CROP) * crop_px - 0.5
    scale = square_px / (square.side * unit)
    shift = (square_px - 1) / 2 - scale * centre
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def cut_squares(crop: AnyPixels, landmarks: Plane, names: Sequence[str], square_px: int) -> AnyPixels:
    """Crop (S, S, C) or (S, S), its five landmarks (5, 2) crop px -> one square (P, P, ...) for each of K names."""
    matrices = (square_from_crop(name, landmarks, len(crop), square_px) for name in names)
    return np.stack([geometry.warp(crop, matrix, square_px, square_px) for matrix in matrices])


def paste_squares(
    changes: NDArray[np.float32], landmarks: Plane, names: Sequence[str], masks: Mapping[str, Plane], crop_px: int
) -> NDArray[np.float32]:
    """The change of a crop made of those of its zones: each where its mask is, fading at the border of its square.

    Args:
        changes: (K, P, P, C) change of each square, in any unit.
        landmarks: (5, 2) crop px.
        names: K of `SQUARES`; all squares of a zone, one after the other.
        masks: (S, S) for each of their zones, which add up to at most 1.
        crop_px: side S of the crop.

    Returns:
        (S, S, C) in that unit; 0 outside all masks.
    """
    fade = _fade(changes.shape[1])[..., None]
    parts = [np.concatenate([change * fade, fade], -1) for change in changes]
    pasted = np.zeros((crop_px, crop_px, changes.shape[-1]), np.float32)
    for zone, own in groupby(zip(names, parts, strict=True), lambda one: zone_of(one[0])):
        placed = np.sum([_put_back(part, landmarks, name, crop_px) for name, part in own], axis=0)
        pasted += masks[zone][..., None] * placed[..., :-1] / np.maximum(placed[..., -1:], 1)
    return pasted


def _put_back(part: Plane, landmarks: Plane, name: str, crop_px: int) -> Plane:
    crop_from_square = geometry.invert(square_from_crop(name, landmarks, crop_px, len(part)))
    return geometry.warp(part, crop_from_square, crop_px, crop_px, edge="zero")


def _fade(square_px: int) -> Plane:
    """(P, P) 1 within the zone's own square, falling smoothly to 0 over its margin."""
    half = (1 + 2 * MARGIN) / 2
    away = half - np.abs((np.arange(square_px) + 0.5) / square_px - 0.5) * 2 * half
    row = smoothstep(away.astype(np.float32), 0.0, MARGIN)
    return np.outer(row, row).astype(np.float32)
