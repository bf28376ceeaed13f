"""Face verification: genuine and impostor scores, thresholds and error rates.

Convention:
    a score is higher the more two faces are alike, such as a cosine; for a distance pass its negative. Two faces match
    if their score reaches the threshold. A score is NaN where a face was not found: never a match, and no impostor.
    Rates are shares in [0, 1]. A result is NaN, not resolvable, where too few scores are given to know it. Scores are
    compared in float64.
    Terms as in ISO/IEC 19795-1: FMR, FNMR.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

IMPOSTORS_PER_FALSE_MATCH = 10
"""A false match rate is known when at least so many false matches are expected."""


@dataclass(frozen=True, kw_only=True)
class GroupThreshold:
    """The smallest score at which two faces match, in one group.

    Args:
        score: NaN when not resolvable.
        num_impostors: scores it comes from.
        groups: names of those whose impostors were pooled, its own among them.
    """

    score: float
    num_impostors: int
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """Mean and quantiles of scores or distances; NaN without any.

    Args:
        num: how many there are.
        num_missing: how many more are NaN; they are left out of the other numbers.
        mean: of cosines, this is CSIM.
        quantile_05: 5 % quantile.
        median: 50 % quantile.
        quantile_95: 95 % quantile.
    """

    num: int
    num_missing: int
    mean: float
    quantile_05: float
    median: float
    quantile_95: float


# Thresholds


def impostors_needed(false_match_rate: float) -> int:
    """How many independent impostor pairs it takes to know a false match rate in (0, 1): 10 000 for 0.001."""
    assert 0 < false_match_rate < 1, false_match_rate
    return math.ceil(IMPOSTORS_PER_FALSE_MATCH / false_match_rate - 1e-6)


def threshold_at(impostors: Values, false_match_rate: float) -> float:
    """The smallest threshold at which at most that share of the impostor scores (K,) match.

    It lies just above an impostor's score, so tied impostors are all rejected. NaN with fewer than `impostors_needed`.
    """
    scores = _found(impostors)
    if len(scores) < impostors_needed(false_match_rate):
        return math.nan
    allowed = math.floor(false_match_rate * len(scores) + 1e-6)
    first_refused = np.sort(scores)[-1 - allowed]
    return float(np.nextafter(first_refused, math.inf))


def group_thresholds(impostors: Mapping[str, Values], false_match_rate: float) -> dict[str, GroupThreshold]:
    """One threshold for each group, as one for all is unfair to the young (AgeTransGAN, ECCV 2022).

    Args:
        impostors: group -> scores (K,) of pairs of two real people whose ages differ as an aged face's and its source's
            do, groups in the order of their ages. A group with too few is pooled with the groups on either side, one
            step further at a time.
        false_match_rate: wanted in each group, in (0, 1).
    """
    needed = impostors_needed(false_match_rate)
    names = list(impostors)
    found = {name: _found(scores) for name, scores in impostors.items()}
    thresholds = {}
    for index, name in enumerate(names):
        for steps in range(len(names)):
            pooled = tuple(names[max(index - steps, 0) : index + steps + 1])
            scores = np.concatenate([found[one] for one in pooled])
            if len(scores) >= needed:
                break
        score = threshold_at(scores, false_match_rate)
        thresholds[name] = GroupThreshold(score=score, num_impostors=len(scores), groups=pooled)
    return thresholds


# Rates


def match_rate(scores: Values, threshold: float) -> float:
    """Share of scores (N,) that match: FMR of impostors, TAR of genuine pairs. NaN without scores or threshold."""
    return math.nan if not len(scores) or math.isnan(threshold) else float(_matches(scores, threshold).mean())


def non_match_rate(genuine: Values, threshold: float) -> float:
    """FNMR: share of genuine scores (M,) that do not match. NaN without scores or threshold."""
    return 1 - match_rate(genuine, threshold)


# Summaries


def summarise_scores(scores: Values) -> ScoreSummary:
    """Mean and quantiles of scores or distances (N,), interpolated linearly."""
    found = _found(scores)
    low, median, high = np.quantile(found, [0.05, 0.5, 0.95]) if len(found) else (math.nan,) * 3
    return ScoreSummary(
        num=len(found),
        num_missing=len(scores) - len(found),
        mean=float(found.mean()) if len(found) else math.nan,
        quantile_05=float(low),
        median=float(median),
        quantile_95=float(high),
    )


def _matches(scores: Values, threshold: float) -> NDArray[np.bool_]:
    return np.asarray(scores, np.float64) >= threshold


def _found(scores: Values) -> NDArray[np.float64]:
    exact = np.asarray(scores, np.float64)
    return exact[~np.isnan(exact)]
