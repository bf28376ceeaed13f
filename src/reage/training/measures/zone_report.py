"""Evaluates the zone scorers on held-out people: correlation with age, repeatability, agreement of both scorers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reage.data.shards import Portraits
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.training.measures.zone_scorer import Parse, Values, view_portrait_skin
from reage.types import Pixels
from reage.zones import ZONES

_DRAWS = 1000
_PERTURBED_EVERY = 3
"""Every third portrait is also scored perturbed."""


def _blur(crop: Pixels) -> Pixels:
    return to_pixels(geometry.blur(crop.astype(np.float32), 0.01 * len(crop) / 4.2))


def _downscale(crop: Pixels) -> Pixels:
    side = len(crop)
    return geometry.resize(geometry.resize(crop, round(0.7 * side), round(0.7 * side)), side, side)


def _darken(crop: Pixels) -> Pixels:
    return to_pixels(255 * (crop.astype(np.float32) / 255) ** 1.25 * 0.95)


def _to_grey(crop: Pixels) -> Pixels:
    return np.repeat(to_pixels(crop @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, -1)


PERTURBATIONS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {"blur": _blur, "scale": _downscale, "light": _darken, "grey": _to_grey}
)
"""Changes of a photo that should not change its scores: a blur of 1 % of the eye distance, 0.7 of the size, gamma 1.25
and 0.95 of the brightness, loss of colour."""


@dataclass(frozen=True, kw_only=True)
class ZoneReport:
    """Figures of one zone and one scorer.

    Args:
        zone: its full name.
        num: held-out portraits in which both scorers score it.
        age_correlation: Spearman's rho of score and age.
        low: lower end of its 95 % interval, by a bootstrap over people.
        high: upper end.
        mean_changes: name of a perturbation -> mean absolute change of the score, which is its noise.
        agreement: Spearman's rho with the other scorer.
    """

    zone: str
    num: int
    age_correlation: float
    low: float
    high: float
    mean_changes: Mapping[str, float]
    agreement: float


def judge_zones(
    portraits: Portraits, scorers: tuple[ZoneScorer, ZoneScorer], parse: Parse, track: Callable[[range], Iterable[int]]
) -> tuple[list[ZoneReport], list[ZoneReport]]:
    """Reports of both scorers, on the people of the "val" split.

    Args:
        portraits: all portraits.
        scorers: two of different families.
        parse: crop -> its segmentation.
        track: shows progress over a range; `iter` shows none.
    """
    portraits = portraits.pick(portraits.split == "val")
    scores = np.full((2, 1 + len(PERTURBATIONS), len(portraits), len(ZONES)), np.nan)
    for row in track(range(len(portraits))):
        crop = portraits.crops[row]
        names = [name for name in PERTURBATIONS if name != "grey" or not portraits.grey[row]]
        perturbed = [PERTURBATIONS[name](crop) for name in names] if row % _PERTURBED_EVERY == 0 else []
        for column, version in enumerate([crop, *perturbed]):
            view = view_portrait_skin(version, portraits.landmarks[row], parse(version, portraits.mesh[row]))
            for index, scorer in enumerate(scorers):
                found = scorer.measure_view(view)
                scores[index, column, row] = [found.get(zone, np.nan) for zone in ZONES]
    reports = [
        [_judge(zone, scores[index, :, :, i], scores[1 - index, 0, :, i], portraits) for i, zone in enumerate(ZONES)]
        for index in range(2)
    ]
    return reports[0], reports[1]


def typical_rows(scorer: ZoneScorer) -> list[tuple[str, tuple[float, ...]]]:
    """Name and `typical_scores` of each row of `reage.zones.ZONE_TABLE`, as a scorer measured them."""
    rows = {zone.split(".")[0]: row for zone, row in zip(ZONES, scorer.typical_scores.tolist(), strict=True)}
    return [(zone, tuple(round(score, 2) for score in row)) for zone, row in rows.items()]


def _judge(zone: str, scores: Values, others: Values, portraits: Portraits) -> ZoneReport:
    known = ~np.isnan(scores[0]) & ~np.isnan(others)
    ages = portraits.age_years[known].astype(np.float64)
    low, high = _interval(scores[0, known], ages, portraits.person[known])
    return ZoneReport(
        zone=zone,
        num=int(known.sum()),
        age_correlation=rank_correlation(scores[0, known], ages),
        low=low,
        high=high,
        mean_changes={name: _mean_change(scores[0], scores[i]) for i, name in enumerate(PERTURBATIONS, start=1)},
        agreement=rank_correlation(scores[0, known], others[known]),
    )


def _mean_change(before: Values, after: Values) -> float:
    both = ~np.isnan(before) & ~np.isnan(after)
    return float(np.abs(after - before)[both].mean()) if both.any() else float("nan")


def _interval(scores: Values, ages: Values, people: NDArray[np.str_]) -> tuple[float, float]:
    names, who = np.unique(people, return_inverse=True)
    rows = [np.flatnonzero(who == i) for i in range(len(names))]
    if len(rows) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)
    draws = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))])
        draws.append(rank_correlation(scores[drawn], ages[drawn]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
