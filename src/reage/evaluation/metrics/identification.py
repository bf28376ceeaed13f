"""How well probes find their person in a gallery: cumulative match characteristic, and verification at a false rate.

Convention: scores (N, M), probe x gallery, higher is more similar; the person of probe i is gallery face i, and gallery
faces from N on are of nobody. A probe without a face has a row of NaN and counts as not found.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]


def find_ranks(scores: Values) -> NDArray[np.int64]:
    """(N,) rank from 1 of the right person of each probe; ties count against it, and a row of NaN is M + 1."""
    own = np.diag(scores)[:, None]
    better = (scores >= own).sum(1)
    return np.where(np.isnan(own[:, 0]), scores.shape[1] + 1, better).astype(np.int64)


def match_characteristic(ranks: NDArray[np.int64], rank: int) -> float:
    """CMC: share of probes whose person is among the first `rank`."""
    return float((ranks <= rank).mean()) if len(ranks) else math.nan


def split_scores(scores: Values) -> tuple[Values, Values]:
    """Scores of genuine pairs (M,) and of impostors (K,), without missing ones."""
    same = np.eye(*scores.shape) == 1
    genuine, impostors = scores[same], scores[~same]
    return genuine[~np.isnan(genuine)], impostors[~np.isnan(impostors)]


def true_accept_rate(scores: Values, false_accept_rate: float) -> float:
    """TAR at FAR: share of probes accepted where so many impostors are; NaN with too few of them."""
    _, impostors = split_scores(scores)
    allowed = math.floor(false_accept_rate * len(impostors))
    if allowed < 1:
        return math.nan
    threshold = np.sort(impostors)[-allowed]
    own = np.diag(scores)
    return float((np.nan_to_num(own, nan=-np.inf) > threshold).mean())
