"""Where things are in a face: the twelve zones and the places of an average face.

Convention:
    face units: the origin lies midway between the eyes, x to the viewer's right, y down, the distance between the eye
    centres is 1. `FACE_PER_CROP` face units make one crop side. Masks are float32 (S, S) in [0, 1] in the crop frame.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        nose = ((landmarks[4, 1] + 0.5) / side_px - EYES_IN_CROP[1]) * FACE_PER_CROP
        longer = float(np.clip(nose / FIVE_POINTS[4, 1], 0.85, 1.15))
        grid[..., 1] = np.where(grid[..., 1] > 0, grid[..., 1] / longer, grid[..., 1])
    return grid.astype(np.float32)


def ellipse_mask(grid: Plane, shape: Ellipse, softness: float = 0.35) -> Plane:
    """Mask that is 1 well inside an ellipse and falls to 0 over `softness` of its radius around the border."""
    angle = float(np.deg2rad(shape.degrees))
    x, y = grid[..., 0] - shape.x, grid[..., 1] - shape.y
    along = (np.cos(angle) * x + np.sin(angle) * y) / shape.half_width
    across = (-np.sin(angle) * x + np.cos(angle) * y) / shape.half_height
    return smoothstep(np.hypot(along, across).astype(np.float32), 1 + softness, 1 - softness)


def smoothstep(values: Plane, zero_at: float, one_at: float) -> Plane:
    """Rises smoothly from 0 to 1 between two values (either may be the larger)."""
    t = np.clip((values - zero_at) / (one_at - zero_at), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def zone_masks(face: Face) -> dict[str, Plane]:
    """Soft mask of each zone in the crop; where zones overlap the masks are scaled to add up to at most 1."""
    side = face.crop.shape[0]
    grid = face_grid(side, face.to_crop(face.landmarks))
    masks = {zone: ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES}
    total = np.maximum(np.sum(list(masks.values()), axis=0), 1)
    return {zone: mask / total for zone, mask in masks.items()}
