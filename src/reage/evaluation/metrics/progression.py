"""Whether a face grows older step by step, evenly, and at what cost in identity.

Convention:
    a progression is a row: readings (N, K) of N faces at K >= 2 rising levels. Results (N,) are meant to be averaged
    with `numpy.mean` and given an interval by `statistics.bootstrap_interval`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.metrics.statistics import Values, is_rising

TOLERANCE_YEARS, TOLERANCE_SCORE = 1.0, 0.02
"""A reading in years, or a zone's score, that falls by no more does not count as falling."""


def rising_steps(readings: Values, tolerance: float) -> Values:
    """(N,) share in [0, 1] of the steps of each face that do not fall by more than the tolerance."""
    return (np.diff(readings, axis=1) >= -tolerance).mean(1)


def rising_faces(readings: Values, tolerance: float) -> NDArray[np.bool_]:
    """(N,) whether no step of a face falls by more than the tolerance."""
    return np.array([is_rising(row, tolerance) for row in readings], bool)


def largest_step_ratio(steps: Values) -> Values:
    """Largest step of each face divided by its mean step: 1 for even steps, K for one jump among K; up to 2 is fair.

    Args:
        steps: (N, K) distances of neighbouring pictures, such as LPIPS, 0 or more.

    Returns:
        (N,) ratios; 1 where nothing changes.
    """
    steps = np.asarray(steps, np.float64)
    mean = steps.mean(1)
    return np.divide(steps.max(1), mean, out=np.ones_like(mean), where=mean != 0)


def slopes(levels: Values, scores: Values) -> Values:
    """How fast each face's score changes with the level; with identity scores, the identity decay.

    Args:
        levels: (K,) not all equal, such as target ages.
        scores: (N, K) of each face at each level, such as its cosine with the source.

    Returns:
        (N,) least-squares slopes, score by level.
    """
    centred = np.asarray(levels, np.float64) - np.mean(levels)
    return np.asarray(scores) @ centred / (centred @ centred)
