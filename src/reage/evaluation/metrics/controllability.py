"""Whether a zone gets the score that was asked for, and the others are left alone.

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

LEAST_STEP = 0.2
"""An order moves a zone when it asks for at least so much."""
LEAST_OVERLAP = 0.02
"""Zones overlap when they share so much of the smaller one."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """The line of measured on wanted scores.

    Args:
        slope: 1 when all that was asked for is measured, 0 when nothing is; NaN if only one score was asked for.
        offset: measured score where 0 was asked for.
        explained: R2, the share in [0, 1] of the measured scores' variance that lies on the line; 0 if they are equal.
    """

    slope: float
    offset: float
    explained: float


def zone_errors(measured: Values, wanted: Values) -> Values:
    """How far each zone is from what was asked for: the mean is the zone MAE.

    Args:
        measured: (N, Z) scores; those of real faces, against what is known of them, give the scorer's noise floor.
        wanted: (N, Z) scores; NaN where none was asked for.

    Returns:
        (Z,) mean absolute errors; NaN for a zone that was never asked for.
    """
    errors = np.abs(np.asarray(measured, np.float64) - wanted)
    asked = ~np.isnan(np.asarray(wanted, np.float64))
    counts = asked.sum(0)
    total = np.where(asked, errors, 0).sum(0)
    return np.divide(total, counts, out=np.full(len(counts), math.nan), where=counts > 0)


def response_of(wanted: Values, measured: Values) -> Response:
    """Least-squares line of the measured scores (N,) of one zone on the wanted ones (N,)."""
    x, y = (np.asarray(values, np.float64) - np.mean(values, dtype=np.float64) for values in (wanted, measured))
    if not np.ptp(wanted):
        return Response(slope=math.nan, offset=math.nan, explained=math.nan)
    slope = x @ y / (x @ x)
    explained = (x @ y) ** 2 / ((x @ x) * (y @ y)) if np.ptp(measured) else 0.0
    offset = np.mean(measured) - slope * np.mean(wanted)
    return Response(slope=float(slope), offset=float(offset), explained=float(explained))


def direction_accuracy(source: Values, wanted: Values, measured: Values, least_step: float = LEAST_STEP) -> float:
    """Share in [0, 1] of the orders whose zone changed in the direction asked for; no change is a miss.

    Args:
        source: any shape; measured scores before.
        wanted: the same shape.
        measured: the same shape; scores after.
        least_step: orders that ask for less are not counted; NaN if none is left.
    """
    asked, got = np.asarray(wanted, np.float64) - source, np.asarray(measured, np.float64) - source
    counted = np.abs(asked) >= least_step - 1e-9
    return float((np.sign(asked) == np.sign(got))[counted].mean()) if counted.any() else math.nan


# Cross-talk


def cross_talk(at_zero: Values, at_one: Values) -> Values:
    """What happens to every zone when one is moved from 0 to 1.

    Args:
        at_zero: (N, Z, Z) measured scores [face, moved zone, measured zone] when 0 was asked for.
        at_one: the same when 1 was asked for.

    Returns:
        (Z, Z) mean changes; the diagonal holds what was wanted.
    """
    return (np.asarray(at_one, np.float64) - at_zero).mean(0)


def cross_talk_ratio(changes: Values, overlapping: Mask | None = None) -> float:
    """How much the other zones change, against the one that was moved: 0 is ideal, at most 0.15 is good.

    Args:
        changes: (Z, Z) from `cross_talk`.
        overlapping: (Z, Z) pairs of zones that share skin, see `overlapping_zones`; not counted.

    Returns:
        Mean size of the changes off the diagonal by the mean on it; NaN when that is not above 0 or no pair is left.
    """
    others = ~np.eye(len(changes), dtype=bool)
    if overlapping is not None:
        others &= ~overlapping
    return _by_wanted(np.abs(changes[others]), np.diagonal(changes))


def mirror_ratio(changes: Values, zones: Sequence[str] = ZONES) -> float:
    """Cross-talk between the left and the right zone of a pair, against what was wanted of both: 0 is independent.

    Args:
        changes: (Z, Z) from `cross_talk`.
        zones: (Z,) names; NAME.left and NAME.right are a pair.

    Returns:
        As of `cross_talk_ratio`; NaN without a pair.
    """
    names = list(zones)
    left = [place for place, name in enumerate(names) if name.endswith(".left")]
    right = [names.index(names[place].removesuffix(".left") + ".right") for place in left]
    moved, other = left + right, right + left
    return _by_wanted(np.abs(changes[moved, other]), changes[moved, moved])


def overlapping_zones(masks: Values, least: float = LEAST_OVERLAP) -> Mask:
    """(Z, Z) which zones share skin.

    Args:
        masks: (Z, H, W) in [0, 1]; a pixel counts from 0.5 on.
        least: share of the smaller zone, in (0, 1].
    """
    inside = (np.asarray(masks) >= 0.5).reshape(len(masks), -1).astype(np.float64)
    shared, areas = inside @ inside.T, inside.sum(1)
    return (shared > 0) & (shared >= least * np.minimum.outer(areas, areas))


def _by_wanted(others: Values, wanted: Values) -> float:
    if not len(others) or not wanted.mean() > 0:
        return math.nan
    return float(others.mean() / wanted.mean())
