"""How good the scorers of zones are on people they never saw: rise with age, repeat, agree."""

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
_RETAKEN = 3
"""Every third portrait is taken again."""


def _soften(crop: Pixels) -> Pixels:
    return to_pixels(geometry.blur(crop.astype(np.float32), 0.01 * len(crop) / 4.2))


def _shrink(crop: Pixels) -> Pixels:
    side = len(crop)
    return geometry.resize(geometry.resize(crop, round(0.7 * side), round(0.7 * side)), side, side)


def _relight(crop: Pixels) -> Pixels:
    return to_pixels(255 * (crop.astype(np.float32) / 255) ** 1.25 * 0.95)


def _to_grey(crop: Pixels) -> Pixels:
    return np.repeat(to_pixels(crop @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, -1)


RETAKES: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {"blur": _soften, "scale": _shrink, "light": _relight, "grey": _to_grey}
)
"""The same portrait taken again: a blur of 1 % of the eye distance, 0.7 of the size, gamma 1.25, without colour."""


@dataclass(frozen=True, kw_only=True)
class ZoneVerdict:
    """One zone, one scorer, against another.

    Args:
        zone: its name.
        num: held-out portraits that show it.
        with_age: Spearman's rho of score and age.
        low: of its 95 % interval, by a bootstrap over people.
        high: of the same.
        moved: retake -> mean absolute change of the score: the noise floor.
        agreement: Spearman's rho with the other scorer.
    """

    zone: str
    num: int
    with_age: float
    low: float
    high: float
    moved: Mapping[str, float]
    agreement: float


def judge_zones(
    portraits: Portraits, scorers: tuple[ZoneScorer, ZoneScorer], parse: Parse, track: Callable[[range], Iterable[int]]
) -> tuple[list[ZoneVerdict], list[ZoneVerdict]]:
    """Verdicts on both scorers from the people of the "val" split.

    Args:
        portraits: all portraits.
        scorers: the one that reads and the one that judges.
        parse: crop -> its masks of skin and hair.
        track: shows progress over a range; `iter` shows none.
    """
    portraits = portraits.pick(portraits.split == "val")
    scores = np.full((2, 1 + len(RETAKES), len(portraits), len(ZONES)), np.nan)
    for row in track(range(len(portraits))):
        crop = portraits.crops[row]
        names = [name for name in RETAKES if name != "grey" or not portraits.grey[row]]
        retakes = [RETAKES[name](crop) for name in names] if row % _RETAKEN == 0 else []
        for column, taken in enumerate([crop, *retakes]):
            view = view_portrait_skin(taken, portraits.landmarks[row], parse(taken))
            for which, scorer in enumerate(scorers):
                found = scorer.measure_view(view)
                scores[which, column, row] = [found.get(zone, np.nan) for zone in ZONES]
    verdicts = [
        [_judge(zone, scores[which, :, :, i], scores[1 - which, 0, :, i], portraits) for i, zone in enumerate(ZONES)]
        for which in range(2)
    ]
    return verdicts[0], verdicts[1]


def typical_rows(scorer: ZoneScorer) -> list[tuple[str, tuple[float, ...]]]:
    """The rows of `reage.zones.TYPICAL_SCORES`: a zone, left and right alike, and its typical score at each age."""
    rows = {zone.split(".")[0]: row for zone, row in zip(ZONES, scorer.typical_scores.tolist(), strict=True)}
    return [(zone, tuple(round(score, 2) for score in row)) for zone, row in rows.items()]


def _judge(zone: str, scores: Values, others: Values, portraits: Portraits) -> ZoneVerdict:
    shown = ~np.isnan(scores[0]) & ~np.isnan(others)
    ages = portraits.age_years[shown].astype(np.float64)
    low, high = _interval(scores[0, shown], ages, portraits.person[shown])
    return ZoneVerdict(
        zone=zone,
        num=int(shown.sum()),
        with_age=rank_correlation(scores[0, shown], ages),
        low=low,
        high=high,
        moved={name: _mean_change(scores[0], scores[i]) for i, name in enumerate(RETAKES, start=1)},
        agreement=rank_correlation(scores[0, shown], others[shown]),
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
