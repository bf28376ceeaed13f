"""The movement between two pictures: points that are followed by optical flow, and the affine matrix that fits them.

Convention: points (N, 2) px; a matrix is (2, 3) and named target_from_source.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.types import Matrix, Pixels, Plane

_WINDOW_PX, _LEVELS = 21, 2
_ROUNDS = 6
_MOST_ERROR = 12.0
"""Mean difference of the levels around a point, from which it was lost."""


def follow_points(before: Pixels, after: Pixels, points: Plane, guess: Plane) -> tuple[Plane, NDArray[np.bool_]]:
    """Where points of one picture are in the next, by the optical flow of Lucas and Kanade (1981).

    Args:
        before: (H, W) luma.
        after: (H, W).
        points: of the first.
        guess: where they may be in the second.

    Returns:
        (N, 2) of the second, and (N,) whether each was found.
    """
    start, found = (np.ascontiguousarray(one, np.float32) for one in (points, guess))
    found, status, error = cv2.calcOpticalFlowPyrLK(
        before, after, start, found.copy(), winSize=(_WINDOW_PX, _WINDOW_PX), maxLevel=_LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return found, (status.ravel() == 1) & (error.ravel() < _MOST_ERROR)


def fit_affine(source: NDArray[np.floating], target: NDArray[np.floating], softness_px: float = 1.0) -> Matrix:
    """The affine matrix that takes points nearest to others; what lies farther off than the softness counts little.

    Args:
        source: three or more points, not on one line.
        target: as many.
        softness_px: of the weights 1 / (1 + (distance / softness)**2).
    """
    centre = source.mean(0, dtype=np.float64)
    rows = np.hstack([source - centre, np.ones((len(source), 1))])
    weights = np.ones(len(source))
    fitted = np.zeros((3, 2))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        fitted = np.linalg.lstsq(rows * root, target * root, rcond=None)[0]
        weights = 1 / (1 + ((rows @ fitted - target) ** 2).sum(1) / softness_px**2)
    linear: Matrix = fitted[:2].T
    return np.hstack([linear, (fitted[2] - linear @ centre)[:, None]])
