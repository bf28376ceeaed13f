"""Whether a zone gets the score that was asked for, and the other zones are left alone.

Convention:
    scores in [0, 1], measured by a scorer that no engine has learned from; Z zones in the order of their names, those
    of `reage.zones.ZONES` unless others are given. A result is NaN where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.zones import ZONES

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]

MIN_STEP = 0.2
"""A request counts for `direction_accuracy` when it asks for at least so large a change."""
MIN_OVERLAP = 0.02
"""Zones overlap when they share so much of the smaller one."""


@dataclass(frozen=True, kw_only=True)
class ResponseLine:
    """The least-squares line of measured scores on requested scores.

    Args:
        slope: 1 when all that was asked for is measured, 0 when nothing is; NaN if only one score was asked for.
        offset: measured score where 0 was asked for.
        r_squared: share in [0, 1] of the measured scores' variance that lies on the line; 0 if they are equal.
    """

    slope: float
    offset: float
    r_squared: float


def zone_errors(measured: Values, requested: Values) -> Values:
    """Mean absolute error of each zone; their mean is the zone MAE.

    Args:
        measured: (N, Z) scores.
        requested: (N, Z) scores; NaN where none was asked for.

    Returns:
        (Z,) mean absolute errors; NaN for a zone that was never asked for.
    """
    errors = np.abs(np.asarray(measured, np.float64) - requested)
    asked = ~np.isnan(np.asarray(requested, np.float64))
    counts = asked.sum(0)
    total = np.where(asked, errors, 0).sum(0)
    return np.divide(total, counts, out=np.full(len(counts), math.nan), where=counts > 0)


def fit_response(requested: Values, measured: Values) -> ResponseLine:
    """Least-squares line of the measured scores (N,) of one zone on the requested ones (N,)."""
    x, y = (np.asarray(values, np.float64) - np.mean(values, dtype=np.float64) for values in (requested, measured))
    if not np.ptp(requested):
        return ResponseLine(slope=math.nan, offset=math.nan, r_squared=math.nan)
    slope = x @ y / (x @ x)
    r_squared = (x @ y) ** 2 / ((x @ x) * (y @ y)) if np.ptp(measured) else 0.0
    offset = np.mean(measured) - slope * np.mean(requested)
    return ResponseLine(slope=float(slope), offset=float(offset), r_squared=float(r_squared))


def direction_accuracy(source: Values, requested: Values, measured: Values, min_step: float = MIN_STEP) -> float:
    """Share in [0, 1] of the requests whose zone changed in the direction asked for; no change is a miss.

    Args:
        source: any shape; measured scores before.
        requested: the same shape.
        measured: the same shape; scores after.
        min_step: requests that ask for less are not counted; NaN if none is left.
    """
    asked, got = np.asarray(requested, np.float64) - source, np.asarray(measured, np.float64) - source
    counted = np.abs(asked) >= min_step - 1e-9
    return float((np.sign(asked) == np.sign(got))[counted].mean()) if counted.any() else math.nan


# Cross-talk


def cross_talk(at_zero: Values, at_one: Values) -> Values:
    """Mean change of every zone when one zone is moved from 0 to 1.

    Args:
        at_zero: (N, Z, Z) measured scores [face, moved zone, measured zone] when 0 was asked for.
        at_one: likewise when 1 was asked for.

    Returns:
        (Z, Z) mean changes; the diagonal holds the changes that were asked for.
    """
    return (np.asarray(at_one, np.float64) - at_zero).mean(0)


def cross_talk_ratio(changes: Values, overlapping: Mask | None = None) -> float:
    """Mean size of the changes of the other zones divided by the mean change of the moved zone.

    0 is ideal, at most 0.15 is good.

    Args:
        changes: (Z, Z) from `cross_talk`.
        overlapping: (Z, Z) pairs of zones that share skin, see `overlapping_zones`; not counted.

    Returns:
        The ratio; NaN when the mean change of the moved zones is not above 0, or no pair is left.
    """
    others = ~np.eye(len(changes), dtype=bool)
    if overlapping is not None:
        others &= ~overlapping
    return _ratio(np.abs(changes[others]), np.diagonal(changes))


def mirror_ratio(changes: Values, zones: Sequence[str] = ZONES) -> float:
    """Cross-talk ratio between the left and the right zone of each pair: 0 when both are independent.

    Args:
        changes: (Z, Z) from `cross_talk`.
        zones: (Z,) names; NAME.left and NAME.right are a pair.

    Returns:
        As `cross_talk_ratio`; NaN without a pair.
    """
    names = list(zones)
    left = [index for index, name in enumerate(names) if name.endswith(".left")]
    right = [names.index(names[index].removesuffix(".left") + ".right") for index in left]
    moved, other = left + right, right + left
    return _ratio(np.abs(changes[moved, other]), changes[moved, moved])


def overlapping_zones(masks: Values, min_overlap: float = MIN_OVERLAP) -> Mask:
    """(Z, Z) which zones share skin.

    Args:
        masks: (Z, H, W) in [0, 1]; a pixel counts from 0.5 on.
        min_overlap: share of the smaller zone, in (0, 1].
    """
    inside = (np.asarray(masks) >= 0.5).reshape(len(masks), -1).astype(np.float64)
    shared, areas = inside @ inside.T, inside.sum(1)
    return (shared > 0) & (shared >= min_overlap * np.minimum.outer(areas, areas))


def _ratio(others: Values, moved: Values) -> float:
    if not len(others) or not moved.mean() > 0:
        return math.nan
    return float(others.mean() / moved.mean())
