"""Thin-plate splines in the plane (Bookstein, 1989): smooth maps through scattered points.

Convention:
    sources (N, 2) points, values (N, C) at them, in any unit; the side of what is mapped should be about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.types import Plane

Points = NDArray[np.float64]

_STIFFNESS = 1e-3


def fit_thin_plate(sources: NDArray[np.floating], values: NDArray[np.floating]) -> Points:
    """(N + 3, C) the model of `evaluate_thin_plate`."""
    filled = np.vstack([values, np.zeros((3, values.shape[1]))])
    return np.asarray(np.linalg.solve(_system(np.asarray(sources, np.float64)), filled), np.float64)


def evaluate_thin_plate(sources: NDArray[np.floating], model: Points, points: Points) -> Points:
    """(M, C) values at points (M, 2)."""
    return _basis(points, np.asarray(sources, np.float64)) @ model


def thin_plate_matrix(sources: Points, points: Points) -> Points:
    """(M, N) the matrix that takes values at the sources to points (M, 2)."""
    inverse = np.linalg.inv(_system(sources))[:, : len(sources)]
    return _basis(points, sources) @ inverse


def square_knots(count: int) -> Points:
    """(count * count, 2) places of the knots of a square, 0 to 1."""
    axis = (np.arange(count) + 0.5) / count
    return np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)


def enlarge_field(field: Plane, side_px: int) -> Plane:
    """A field (K, K, C) known at the knots, at every pixel of the square; it goes on evenly beyond the outer knots."""
    wide = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="reflect", reflect_type="odd")
    places = (geometry.pixel_grid(side_px, side_px) + 0.5) * np.float32(len(field) / side_px) + 0.5
    return geometry.sample(np.ascontiguousarray(wide), places)


def _kernel(a: Points, b: Points) -> Points:
    squared = (a[:, :1] - b[:, 0]) ** 2 + (a[:, 1:] - b[:, 1]) ** 2
    return squared * np.log(squared + 1e-12)


def _basis(points: Points, sources: Points) -> Points:
    return np.hstack([_kernel(points, sources), np.ones((len(points), 1)), points])


def _system(sources: Points) -> Points:
    count = len(sources)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(sources, sources) + _STIFFNESS * np.eye(count)
    system[:count, count], system[count, :count] = 1, 1
    system[:count, count + 1 :], system[count + 1 :, :count] = sources, sources.T
    return system
