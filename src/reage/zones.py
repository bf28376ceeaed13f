"""Where things are in a face: the twelve zones, the places of an average face, and maps of how old each place looks.

Convention:
    face units: the origin lies midway between the eyes, x to the viewer's right, y down, the distance between the eye
    centres is 1. `FACE_PER_CROP` face units make one crop side. Masks are float32 (S, S) in [0, 1] in the crop frame.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.types import ZONES, Face, Plane

FACE_PER_CROP = 4.2
EYES_IN_CROP = (0.5, 0.46)
"""Midpoint of the eyes, in crop sides."""

FIVE_POINTS: NDArray[np.float64] = np.array(
    [[-0.694, -0.008], [-0.306, 0.008], [0.306, 0.008], [0.694, -0.008], [0.0, 0.751]]
)
"""Mean eye corners and nose base, face units, measured on 425 portraits."""


@dataclass(frozen=True)
class Ellipse:
    """A zone: centre and half axes in face units, turned clockwise by degrees."""

    x: float
    y: float
    half_width: float
    half_height: float
    degrees: float = 0.0

    def mirrored(self) -> Ellipse:
        """The same zone on the other side of the face."""
        return Ellipse(-self.x, self.y, self.half_width, self.half_height, -self.degrees)


_LEFT_AND_MIDDLE: dict[str, Ellipse] = {
    "forehead": Ellipse(0.0, -0.72, 0.82, 0.33),
    "glabella": Ellipse(0.0, -0.26, 0.21, 0.24),
    "interocular": Ellipse(0.0, 0.08, 0.22, 0.19),
    "crows_feet.left": Ellipse(-0.95, 0.02, 0.20, 0.30),
    "under_eye.left": Ellipse(-0.50, 0.28, 0.36, 0.19),
    "nasolabial.left": Ellipse(-0.48, 0.82, 0.15, 0.40, 28.0),
    "upper_lip": Ellipse(0.0, 0.86, 0.32, 0.12),
    "lip_corners.left": Ellipse(-0.62, 1.20, 0.17, 0.25, 12.0),
}
ZONE_SHAPES: Mapping[str, Ellipse] = {
    zone: _LEFT_AND_MIDDLE[zone]
    if zone in _LEFT_AND_MIDDLE
    else _LEFT_AND_MIDDLE[zone.replace("right", "left")].mirrored()
    for zone in ZONES
}


FACE_SHAPE = Ellipse(0.0, 0.36, 1.16, 1.52)
"""A face from hairline to chin, whoever it is."""
FACE_SOFTNESS = 0.09

MAP_AGES_YEARS = (18.0, 80.0)
"""Ages that an aging map tells apart; beyond them it stays as it is at its ends."""
_YOUNGEST_LEVEL = 0.1
"""Level of the youngest skin in an aging map, where 0 is no face at all."""
_MAP_BLUR = 0.02
"""Sigma of the blur of an aging map, crop sides."""


def template_points(points: NDArray[np.floating], side_px: int) -> Plane:
    """(N, 2) face units -> (N, 2) px in a crop of that side."""
    return ((points / FACE_PER_CROP + EYES_IN_CROP) * side_px - 0.5).astype(np.float32)


def face_grid(side_px: int, landmarks: Plane | None = None) -> Plane:
    """(S, S, 2) face units of every crop pixel.

    With the five landmarks (5, 2) crop px, what lies below the eyes is stretched so that the nose base is at its
    mean height.
    """
    grid = (geometry.pixel_grid(side_px, side_px) + 0.5) / side_px
    grid = (grid - np.array(EYES_IN_CROP, np.float32)) * np.float32(FACE_PER_CROP)
    if landmarks is not None:
        longer = face_scale(side_px, landmarks)
        grid[..., 1] = np.where(grid[..., 1] > 0, grid[..., 1] / longer, grid[..., 1])
    return grid.astype(np.float32)


def face_scale(side_px: int, landmarks: Plane) -> float:
    """How many times longer than the mean face this one is from its eyes to its nose base, 0.85 to 1.15."""
    nose = ((landmarks[4, 1] + 0.5) / side_px - EYES_IN_CROP[1]) * FACE_PER_CROP
    return float(np.clip(nose / FIVE_POINTS[4, 1], 0.85, 1.15))


def ellipse_mask(grid: Plane, shape: Ellipse, softness: float = 0.35, *, whole: bool = False) -> Plane:
    """Mask that is 1 well inside an ellipse and falls to 0 over `softness` of its radius around the border.

    It ends in the same place, but is 1 in the `whole` of the ellipse, if that is asked for.
    """
    angle = float(np.deg2rad(shape.degrees))
    x, y = grid[..., 0] - shape.x, grid[..., 1] - shape.y
    along = (np.cos(angle) * x + np.sin(angle) * y) / shape.half_width
    across = (-np.sin(angle) * x + np.cos(angle) * y) / shape.half_height
    return smoothstep(np.hypot(along, across).astype(np.float32), 1 + softness, 1 if whole else 1 - softness)


def smoothstep(values: Plane, zero_at: float, one_at: float) -> Plane:
    """Rises smoothly from 0 to 1 between two values (either may be the larger)."""
    t = np.clip((values - zero_at) / (one_at - zero_at), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def zone_masks(face: Face, zones: Collection[str] = ZONES, *, whole: bool = False) -> dict[str, Plane]:
    """Soft mask of each zone in the crop; where zones overlap the masks are scaled to add up to at most 1.

    Args:
        face: in whose crop they lie.
        zones: that are wanted; others take nothing from them.
        whole: 1 in all of a zone, not only well inside, see `ellipse_mask`.
    """
    side = face.crop.shape[0]
    grid = face_grid(side, face.to_crop(face.landmarks))
    masks = {zone: ellipse_mask(grid, ZONE_SHAPES[zone], whole=whole) for zone in zones}
    total = np.maximum(np.sum(list(masks.values()), axis=0), 1)
    return {zone: mask / total for zone, mask in masks.items()}


def bare_masks(face: Face, zones: Collection[str] = ZONES) -> dict[str, Plane]:
    """The skin of each `whole` zone that no hair covers, see `zone_masks`."""
    skin = face.skin * (1 - face.hair)
    return {zone: mask * skin for zone, mask in zone_masks(face, zones, whole=True).items()}


def make_aging_map(
    side_px: int, landmarks: Plane, age_years: float, scores: Mapping[str, float], hair: Plane | None = None
) -> Plane:
    """How old each place of a head looks: face and hair filled with the age, each zone drawn with its score.

    After AMGAN (arXiv 2008.10960). Every border is soft, in proportion to the crop, so that a map looks the same at
    any size.

    Args:
        side_px: side of the crop.
        landmarks: (5, 2) crop px.
        age_years: apparent age; the map tells `MAP_AGES_YEARS` apart.
        scores: zone of `reage.types.ZONES` -> score in [0, 1]; a zone that is left out keeps the age of the face.
        hair: (H, H) share of hair in the crop, of any size; None draws the face alone.

    Returns:
        (S, S) 0 beside the head, 0.1 for the youngest skin, 1 for the oldest; where zones overlap, the mean of theirs.
    """
    grid = face_grid(side_px, landmarks)
    youngest, oldest = MAP_AGES_YEARS
    drawn = np.full((side_px, side_px), _level((age_years - youngest) / (oldest - youngest)))
    if scores:
        masks = {zone: ellipse_mask(grid, ZONE_SHAPES[zone], FACE_SOFTNESS) for zone in scores}
        levels = np.sum([masks[zone] * _level(score) for zone, score in scores.items()], axis=0)
        cover, total = (combine(list(masks.values()), axis=0) for combine in (np.max, np.sum))
        drawn = drawn * (1 - cover) + cover * levels / np.maximum(total, 1e-6)
    head = ellipse_mask(grid, FACE_SHAPE, FACE_SOFTNESS)
    if hair is not None:
        head = np.maximum(head, geometry.resize(hair, side_px, side_px))
    drawn = (drawn * head).astype(np.float32)
    rim = round(4 * _MAP_BLUR * side_px)  # a long chin reaches the border of the crop
    blurred = geometry.blur(np.pad(drawn, rim, mode="edge"), _MAP_BLUR * side_px)
    return np.clip(blurred[rim : rim + side_px, rim : rim + side_px], 0, 1)


def _level(share: float) -> float:
    return _YOUNGEST_LEVEL + (1 - _YOUNGEST_LEVEL) * min(1.0, max(0.0, share))


def make_place_gradients(side_px: int) -> Plane:
    """(2, S, S) how far right, then how far down each place of a crop is: 0 to 1.

    Beside an aging map they tell a net that sees a part of a crop which part it is (AMGAN, arXiv 2008.10960).
    """
    return np.moveaxis(geometry.pixel_grid(side_px, side_px), -1, 0) / np.float32(max(1, side_px - 1))
