"""Geometry of the aligned face: face units, the crop grid of a face, and the masks of its zones.

Convention:
    face units: the origin lies midway between the eyes, x to the viewer's right, y down, the distance between the eye
    centres is 1. `FACE_PER_CROP` face units make one crop side. Masks are float32 (S, S) in [0, 1] in the crop frame.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.types import Face, Plane
from reage.zones import ZONE_SHAPES, ZONES, Ellipse

FACE_PER_CROP = 4.2
"""Side of a crop, face units."""
EYES_IN_CROP = (0.5, 0.46)
"""(x, y) of the midpoint of the eyes, crop sides."""

FIVE_POINTS: NDArray[np.float64] = np.array(
    [[-0.694, -0.008], [-0.306, 0.008], [0.306, 0.008], [0.694, -0.008], [0.0, 0.751]]
)
"""Mean eye corners and nose base, ordered as `Face.landmarks`, face units; measured on 425 portraits."""

FACE_SHAPE = Ellipse(0.0, 0.36, 1.16, 1.52)
"""The mean face from hairline to chin, face units."""
FACE_SOFTNESS = 0.09
"""Softness of its border, see `ellipse_mask`."""


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
    """Height from eyes to nose base relative to the mean face, clipped to 0.85 to 1.15."""
    nose = ((landmarks[4, 1] + 0.5) / side_px - EYES_IN_CROP[1]) * FACE_PER_CROP
    return float(np.clip(nose / FIVE_POINTS[4, 1], 0.85, 1.15))


def ellipse_mask(grid: Plane, shape: Ellipse, softness: float = 0.35, *, whole: bool = False) -> Plane:
    """A mask that is 1 inside an ellipse and falls to 0 around its border.

    Args:
        grid: (S, S, 2) face units, see `face_grid`.
        shape: the ellipse.
        softness: the mask falls from 1 to 0 between 1 - softness and 1 + softness radii.
        whole: the mask falls from 1 to 0 between 1 and 1 + softness radii instead.
    """
    angle = float(np.deg2rad(shape.degrees))
    x, y = grid[..., 0] - shape.x, grid[..., 1] - shape.y
    along = (np.cos(angle) * x + np.sin(angle) * y) / shape.half_width
    across = (-np.sin(angle) * x + np.cos(angle) * y) / shape.half_height
    return smoothstep(np.hypot(along, across).astype(np.float32), 1 + softness, 1 if whole else 1 - softness)


def smoothstep(values: Plane, zero_at: float, one_at: float) -> Plane:
    """Cubic smoothstep from 0 at one value to 1 at another; either may be the larger."""
    t = np.clip((values - zero_at) / (one_at - zero_at), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def smoothstep_of(value: float, zero_at: float, one_at: float) -> float:
    """`smoothstep` of one number."""
    return float(smoothstep(np.array([value], np.float32), zero_at, one_at)[0])


def zone_masks(face: Face, zones: Collection[str] = ZONES) -> dict[str, Plane]:
    """Soft mask (S, S) of each zone in the crop of a face; where zones overlap, the masks add up to at most 1.

    Args:
        face: its landmarks place the zones.
        zones: full names; only these share skin.
    """
    side = face.crop.shape[0]
    grid = face_grid(side, face.to_crop(face.landmarks))
    masks = {zone: ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in zones}
    total = np.maximum(np.sum(list(masks.values()), axis=0), 1)
    return {zone: mask / total for zone, mask in masks.items()}
