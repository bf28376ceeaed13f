"""Fits the scorer of skin colour: quantiles of each measure among people of a skin tone, and its mean by age.

Convention:
    N people, K = len(SKIN_SCORES) measures, T tone groups, see `reage.faces.skin_scorer`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.segmentation import FaceParser
from reage.faces.skin_scorer import MIN_UNIT_PX, NUM_QUANTILES, RANKED_TONES, read_skin
from reage.skin_scores import SKIN_SCORES
from reage.training.measures.zone_scorer import isotonic_regression, local_mean, portrait_weights, weighted_quantiles
from reage.training.runner import RunContext, Weights
from reage.zones import TYPICAL_AGES

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SkinScorerTrainingConfig:
    """Everything that determines the scorer.

    Args:
        min_age_years: least age of a person who counts.
        min_people: least number of people of a tone group.
        measured_ages: years between which there are enough portraits for a typical score, which is constant beyond.
        query_ages: see `reage.training.measures.age_estimator.AgeTrainingConfig`.
    """

    min_age_years: float = 18.0
    min_people: int = 20
    measured_ages: tuple[float, float] = (25.0, 80.0)
    query_ages: tuple[tuple[str, float], ...] = ()


def skin() -> SkinScorerTrainingConfig:
    """The scorer that engines and commands use."""
    return SkinScorerTrainingConfig(query_ages=QUERY_AGES)


def run(config: SkinScorerTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Fits the scorer of a recipe; returns its tensors by name and the config of the weights file."""
    del context
    training = portraits.pick((portraits.split == "train") & ~portraits.grey)
    training = with_taught_ages(training, dict(config.query_ages))
    training = training.pick(training.age_years >= config.min_age_years)
    values, tones = measure_portraits(training, FaceParser.load())
    return fit_skin_scorer(config, values, tones, training)


def measure_portraits(portraits: Portraits, parser: FaceParser) -> tuple[Values, NDArray[np.int64]]:
    """Values (N, K) of every portrait, NaN where it gets no score, and its tone group (N,), -1 without colour."""
    values, tones = np.full((len(portraits), len(SKIN_SCORES)), np.nan), np.full(len(portraits), -1)
    unit_px = portraits.crops.shape[1] * portraits.image_px_per_crop_px / FACE_PER_CROP
    for row in range(len(portraits)):
        face = portrait_to_face(portraits, row, parser)
        read = read_skin(face)
        if read is None:
            continue
        tones[row] = read.tone
        shown = [name in read.values and unit_px[row] >= MIN_UNIT_PX[name] for name in SKIN_SCORES]
        values[row] = [read.values[name] if known else np.nan for name, known in zip(SKIN_SCORES, shown, strict=True)]
    return values, tones


def fit_skin_scorer(
    config: SkinScorerTrainingConfig, values: Values, tones: NDArray[np.int64], portraits: Portraits
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """The tensors and the config of a weights file for `reage.faces.skin_scorer.SkinScorer`.

    Raises:
        ReageError: when a tone group has too few people.
    """
    levels = np.empty((len(RANKED_TONES), len(SKIN_SCORES), NUM_QUANTILES))
    typical, counts = [], {}
    for index, name in enumerate(SKIN_SCORES):
        known = np.isfinite(values[:, index])
        counts[name] = {tone: int((known & (tones == place)).sum()) for place, tone in enumerate(RANKED_TONES)}
        if min(counts[name].values()) < config.min_people:
            raise ReageError(
                f"The portraits that show {name} have {counts[name]} people by skin tone; add portraits until each "
                f"group has {config.min_people}."
            )
        own, own_tones, picked = values[known, index], tones[known], portraits.pick(known)
        weights = portrait_weights(picked, own_tones)
        scores = np.empty(len(own))
        for tone in range(len(RANKED_TONES)):
            group = own_tones == tone
            levels[tone, index] = weighted_quantiles(own[group], weights[group])
            scores[group] = np.interp(own[group], levels[tone, index], np.linspace(0, 1, NUM_QUANTILES))
        typical.append(rising_means(config, scores, picked.age_years.astype(np.float64), weights))
    return {"levels": levels, "typical_scores": np.array(typical)}, {"recipe": asdict(config), "num_people": counts}


def rising_means(config: SkinScorerTrainingConfig, scores: Values, ages: Values, weights: Values) -> Values:
    """(A,) mean of scores (N,) at each of `TYPICAL_AGES`, not falling with age."""
    measured = np.clip(TYPICAL_AGES, *config.measured_ages)
    return isotonic_regression(np.array([local_mean(scores, ages, weights, age) for age in measured]))
