"""The distance below which two faces count as one person: where real impostors of the training people begin."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.verification import match_rate, non_match_rate, threshold_at
from reage.measure import Identifier
from reage.portraits import Portraits
from reage.types import Plane

FALSE_MATCH_RATE = 0.001
_DRAWS = 1000

Impostors = Literal["all", "same sex"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold from the people of the "train" split, and how it does on those of the "val" split.

    Args:
        impostors: whose pictures were paired: of any two people, or of two of one sex.
        num_impostors: pairs of training people that the threshold comes from.
        distance: two faces match below it; NaN when the pairs are too few.
        false_match_rate: share of the held-out people's impostor pairs that match.
        num_held_out_impostors: how many those are.
        false_non_match_rate: share of the held-out people's pairs of one person, years apart, that do not match.
        low: of the 95 % interval of that share, from a bootstrap over people.
        high: of the same.
        num_genuine: how many pairs of one person there are.
        genuine_median: of the distances of those pairs; NaN when there are none.
        impostor_median: of the held-out people's impostor pairs.
    """

    impostors: Impostors
    num_impostors: int
    distance: float
    false_match_rate: float
    num_held_out_impostors: int
    false_non_match_rate: float
    low: float
    high: float
    num_genuine: int
    genuine_median: float
    impostor_median: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; null where a number is not resolvable."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def calibrate(portraits: Portraits, identifier: Identifier) -> list[Calibration]:
    """The threshold at FMR 0.1 % for impostors of any sex and of the same, the stricter one last."""
    identities = identifier.embed_crops(portraits.crops, portraits.landmarks)
    return [calibrate_identities(portraits, identities, impostors) for impostors in ("all", "same sex")]


def calibrate_identities(portraits: Portraits, identities: Plane, impostors: Impostors) -> Calibration:
    """The same from identities (N, 128) of the portraits."""
    learned, held_out = (_distances(portraits, identities, split, impostors) for split in ("train", "val"))
    score = threshold_at(-learned[1], FALSE_MATCH_RATE)
    low, high = _interval(-held_out[0], score)
    return Calibration(
        impostors=impostors,
        num_impostors=len(learned[1]),
        distance=-score,
        false_match_rate=match_rate(-held_out[1], score),
        num_held_out_impostors=len(held_out[1]),
        false_non_match_rate=non_match_rate(-held_out[0], score),
        low=low,
        high=high,
        num_genuine=len(held_out[0]),
        genuine_median=_median(held_out[0]),
        impostor_median=_median(held_out[1]),
    )


def _distances(
    portraits: Portraits, identities: Plane, split: str, impostors: Impostors
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of pairs of one person and of two people, within one split."""
    rows = np.flatnonzero(portraits.split == split)
    person, sex = portraits.person[rows], portraits.sex[rows]
    some = identities[rows].astype(np.float64)
    squares = (some**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * some @ some.T, 0))
    pair = np.triu(np.ones_like(distances, bool), 1)
    same = person[:, None] == person
    others = ~same & (sex[:, None] == sex) if impostors == "same sex" else ~same
    return distances[pair & same], distances[pair & others]


def _median(distances: NDArray[np.float64]) -> float:
    return float(np.median(distances)) if len(distances) else np.nan


def _interval(genuine: NDArray[np.float64], score: float) -> tuple[float, float]:
    """95 % interval of the non-match rate; nearly every person has one pair, so pairs are drawn."""
    if not len(genuine) or score != score:
        return np.nan, np.nan
    missed = genuine < score
    draws = np.random.default_rng(0).choice(missed, (_DRAWS, len(missed))).mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
