"""The mean frame: an image of the average face shape, with thin-plate warps between it and a person's crop.

Convention:
    points are in face units (see `reage.faces.geometry`); the mean frame is a square image of `FRAME_PX` px, `UNIT_PX`
    px to a face unit, in which each feature of a face lies at the same pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, face_grid
from reage.images import geometry
from reage.types import Plane

FRAME_PX = 256
UNIT_PX = 75.0
EYES_PX = (127.5, 100.0)
"""Midpoint of the eyes in the mean frame."""

_COARSE = 33
_STIFFNESS = 0.003
_SKIPPED = {60, 64}
"""Inner mouth corners: they coincide with the outer ones when the mouth is closed."""
_USED = [point for point in range(68) if point not in _SKIPPED]
_ANCHORS = np.array(
    [(x, y) for x in (-2.1, -1.05, 0.0, 1.05, 2.1) for y in (-1.9, 2.4)]
    + [(x, y) for x in (-2.1, 2.1) for y in (-1.0, 0.0, 0.8, 1.6)]
)
"""Points that stay fixed, face units."""


def to_face_units(points: NDArray[np.floating], side_px: int) -> NDArray[np.float64]:
    """(N, 2) crop px -> face units."""
    return ((np.asarray(points, np.float64) + 0.5) / side_px - np.array(EYES_IN_CROP)) * FACE_PER_CROP


def to_frame_px(points: NDArray[np.floating]) -> Plane:
    """(..., 2) face units -> px of the mean frame."""
    return (np.asarray(points) * UNIT_PX + np.array(EYES_PX)).astype(np.float32)


def frame_grid(side_px: int = FRAME_PX) -> Plane:
    """(side, side, 2) face units of every pixel of the mean frame, resampled to that side."""
    pixels = (geometry.pixel_grid(side_px, side_px) + 0.5) * (FRAME_PX / side_px) - 0.5
    return ((pixels - np.array(EYES_PX, np.float32)) / UNIT_PX).astype(np.float32)


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(squared + 1e-12)


def thin_plate(sources: NDArray[np.floating], moves: NDArray[np.floating], places: Plane) -> Plane:
    """Thin-plate interpolation of the moves (N, 2) known at sources (N, 2), at places (H, W, 2); face units.

    It is evaluated on a coarse grid and enlarged, because the field is smooth.
    """
    points = np.vstack([np.asarray(sources, np.float64), _ANCHORS])
    values = np.vstack([moves, np.zeros_like(_ANCHORS)])
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(points, points) + _STIFFNESS * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :], system[count + 1 :, :count] = points, points.T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    height, width = places.shape[:2]
    rows, columns = np.linspace(0, height - 1, _COARSE), np.linspace(0, width - 1, _COARSE)
    coarse = np.stack(
        np.meshgrid(
            np.interp(columns, np.arange(width), places[0, :, 0]), np.interp(rows, np.arange(height), places[:, 0, 1])
        ),
        -1,
    ).reshape(-1, 2)
    field = _kernel(coarse, points) @ weights[:count] + weights[count] + coarse @ weights[count + 1 :]
    knots = geometry.pixel_grid(height, width) * np.array(
        [(_COARSE - 1) / (width - 1), (_COARSE - 1) / (height - 1)], np.float32
    )
    return geometry.sample(field.reshape(_COARSE, _COARSE, 2).astype(np.float32), knots.astype(np.float32))


def crop_places(points: NDArray[np.float64], mean: NDArray[np.float64], side_px: int) -> Plane:
    """(FRAME_PX, FRAME_PX, 2) crop px at which each pixel of the mean frame is sampled.

    Args:
        points: (68, 2) of the person, face units, see `reage.faces.mesh.to_ibug`.
        mean: (68, 2) their average, face units.
        side_px: side of the crop.
    """
    grid = frame_grid()
    units = grid + thin_plate(mean[_USED], (points - mean)[_USED], grid)
    return ((units / FACE_PER_CROP + np.array(EYES_IN_CROP)) * side_px - 0.5).astype(np.float32)


def frame_places(points: NDArray[np.float64], mean: NDArray[np.float64], side_px: int) -> Plane:
    """(S, S, 2) px of the mean frame at which each crop pixel lies."""
    grid = face_grid(side_px)
    return to_frame_px(grid + thin_plate(points[_USED], (mean - points)[_USED], grid))


def shape_shift(points: NDArray[np.float64], moves: NDArray[np.float64], side_px: int) -> Plane:
    """(S, S, 2) crop px, the shift of `Aged` that moves the points (68, 2) by `moves` (68, 2), face units."""
    grid = face_grid(side_px)
    field = thin_plate((points + moves)[_USED], -moves[_USED], grid)
    return (field * (side_px / FACE_PER_CROP)).astype(np.float32)
