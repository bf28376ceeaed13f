"""What all evaluations need: rank correlations, groups, intervals by person, and skin tone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from reage.images import regions

Values = NDArray[np.floating]


def rank_correlation(levels: Values, readings: Values) -> float:
    """Spearman's correlation of two lists (K,); ties share their mean rank. 0 where one is constant, NaN if empty."""
    if not len(levels):
        return math.nan
    ranks = _ranks(np.asarray(levels)), _ranks(np.asarray(readings))
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Values) -> Values:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2)[inverse]


def kendall_tau(levels: Values, readings: Values) -> float:
    """Kendall's tau-b of two lists (K,): concordant minus discordant pairs, ties taken out; 0 when either is constant.

    Kendall, "The treatment of ties in ranking problems", Biometrika 1945.
    """
    above = np.triu_indices(len(levels), 1)
    first, second = (np.sign(np.subtract.outer(values, values)[above]) for values in (levels, readings))
    untied = np.sqrt(np.count_nonzero(first) * np.count_nonzero(second))
    return float(first @ second / untied) if untied else 0.0


def is_rising(readings: Values, tolerance: float) -> bool:
    """Whether readings (K,) in the order of their levels never fall by more than the tolerance."""
    return bool((np.diff(readings) >= -tolerance).all())


def bootstrap_interval(
    values: Values,
    people: Sequence[str],
    statistic: Callable[[Values], float] = lambda sample: float(np.mean(sample)),
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic of values (N,), drawing people, not pictures, with replacement."""
    values, names = np.asarray(values), np.asarray(people)
    of_person = [np.flatnonzero(names == name) for name in dict.fromkeys(people)]
    generator = np.random.default_rng(seed)
    samples = [
        statistic(
            values[np.concatenate([of_person[i] for i in generator.integers(len(of_person), size=len(of_person))])]
        )
        for _ in range(draws)
    ]
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def thirds(values: Values) -> NDArray[np.int64]:
    """(N,) 0 for the lowest third of the values, 1 for the middle one, 2 for the highest."""
    return np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values, side="right").astype(np.int64)


def individual_typology_angle(skin: Values) -> float:
    """Skin tone in degrees: above 55 very light, 28 to 41 intermediate, below -30 dark (Chardon et al. 1991).

    Args:
        skin: (3,) RGB in [0, 1].
    """
    light, _, yellow = regions.to_lab(np.rint(np.asarray(skin) * 255).astype(np.uint8)[None, None])[0, 0]
    return float(np.degrees(np.arctan2(light - 50, yellow)))
