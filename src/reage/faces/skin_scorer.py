"""Scores dark spots and redness of a face: the share of people of the same skin tone who have less.

Convention:
    K = len(SKIN_SCORES) measures in their order; tone groups as in `reage.faces.zone_scorer.TONES` without grey.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reage.faces.common_view import CommonView
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.segmentation import colourfulness
from reage.faces.skin_colour import measure_dark_spots, measure_redness, view_skin
from reage.faces.skin_features import make_skin_view, skin_tone
from reage.faces.zone_scorer import TONES, tone_of
from reage.skin_scores import SKIN_SCORES
from reage.types import Face
from reage.weights import Arrays, find_weights, load_weights, made_for, weights_hash
from reage.zones import TYPICAL_AGES

NUM_QUANTILES = 101
RANKED_TONES = TONES[:-1]
"""Groups within which people are ranked; photos without colour get no score."""

MIN_UNIT_PX: Mapping[str, float] = {"dark_spots": 50.0, "redness": 25.0}
"""Least distance of the eyes, px of the photo, for each measure; below, the photo does not resolve it."""
MAX_YAW_DEGREES = 25.0


class SkinScorer:
    """Scores the colour of the skin of a face.

    Args:
        tensors: levels (T, K, 101), quantiles of each measure among the people of each tone group; typical_scores
            (K, A), means at `TYPICAL_AGES`.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> SkinScorer.load().measure(face)["dark_spots"]  # doctest: +SKIP
        0.62
    """

    def __init__(self, tensors: Arrays, weights_hash: str = "") -> None:
        self.weights_hash = weights_hash
        self._levels = tensors["levels"].astype(np.float64)
        self._typical_scores = tensors["typical_scores"].astype(np.float64)
        wanted = (len(RANKED_TONES), len(SKIN_SCORES), NUM_QUANTILES)
        if self._levels.shape != wanted or self._typical_scores.shape != (len(SKIN_SCORES), len(TYPICAL_AGES)):
            raise ValueError(self._levels.shape)

    @classmethod
    def load(cls, weights: str | Path = "skin") -> SkinScorer:
        """A scorer with shipped weights or those of a file.

        Raises:
            WeightsError: when there are no such weights, or they are not of a scorer of skin.
        """
        path = find_weights(weights)
        with made_for(path, "a scorer of skin"):
            return cls(load_weights(path)[0], weights_hash(path))

    def measure(self, face: Face) -> dict[str, float]:
        """Name of `SKIN_SCORES` -> score in [0, 1], 1 for the most.

        A score is left out where the photo has no colour or is too small, the head is turned, or too little bare skin
        is seen.
        """
        read = read_skin(face)
        return {} if read is None else {name: self.score(name, value, read.tone) for name, value in read.values.items()}

    def score(self, name: str, value: float, tone: int) -> float:
        """The score of a value of `measure_skin` among the people of a tone group."""
        levels = self._levels[tone, SKIN_SCORES.index(name)]
        return float(np.interp(value, levels, np.linspace(0, 1, NUM_QUANTILES)))

    def value(self, name: str, score: float, tone: int) -> float:
        """The value of `measure_skin` that has a score in a tone group."""
        levels = self._levels[tone, SKIN_SCORES.index(name)]
        return float(np.interp(score, np.linspace(0, 1, NUM_QUANTILES), levels))

    def typical_score(self, name: str, age_years: float) -> float:
        """The mean score at an age; ages are clipped to 20 to 85 years."""
        return float(np.interp(age_years, TYPICAL_AGES, self._typical_scores[SKIN_SCORES.index(name)]))


@dataclass(frozen=True)
class SkinValues:
    """What is measured on the skin of a face.

    Args:
        view: of its skin.
        tone: index into `RANKED_TONES`.
        values: one of `SKIN_SCORES` -> value, see `measure_skin`; without those that the photo does not show.
    """

    view: CommonView
    tone: int
    values: Mapping[str, float]


def read_skin(face: Face) -> SkinValues | None:
    """The values of a face; None for a photo without colour and a head that is turned by `MAX_YAW_DEGREES`."""
    tone = find_tone(face)
    if tone is None or abs(face.pose_degrees[0]) > MAX_YAW_DEGREES:
        return None
    view = view_skin(face)
    unit_px = len(face.crop) * face.image_px_per_crop_px / FACE_PER_CROP
    found = measure_skin(view)
    shown = {name: value for name, value in found.items() if math.isfinite(value) and unit_px >= MIN_UNIT_PX[name]}
    return SkinValues(view, tone, shown)


def measure_skin(view: CommonView) -> dict[str, float]:
    """Name of `SKIN_SCORES` -> value, which rises with it; NaN where too little skin is usable."""
    return dict(zip(SKIN_SCORES, (measure_dark_spots(view), measure_redness(view)), strict=True))


def find_tone(face: Face) -> int | None:
    """The index into `RANKED_TONES` of a face; None for a photo without colour."""
    view = make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair)
    tone = tone_of(skin_tone(view))
    return None if tone >= len(RANKED_TONES) or colourfulness(face) == 0 else tone
