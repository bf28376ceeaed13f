"""Fits the zone scorers: for each zone an age from its skin features, and quantiles that rank it among people.

The quantiles are made of out-of-fold predictions only. Left and right are trained on each other's mirror images and
ranked among the same people.

Convention:
    N people, Z = len(ZONES) zones in the order of `ZONES`, F features of a zone, T = len(TONES) skin-tone groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.data.shards import Portraits
from reage.data.split import fold_of
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.segmentation import FaceParser, Segmentation
from reage.faces.skin_features import FAMILIES, SkinView, make_skin_view, mirror_features, skin_tone
from reage.faces.zone_scorer import (
    TONES,
    ZoneScorerConfig,
    fourier_features,
    mix_terms,
    share_below,
    tone_of,
    zone_ages,
)
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.training.runner import RunContext, Weights
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, TYPICAL_AGES, ZONES

Values = NDArray[np.float64]
Parse = Callable[[Pixels, Plane], Segmentation]

_SHARES = np.linspace(0, 1, 101)
_MEASURED_AGES = (35.0, 80.0)
"""Ages in years between which there are enough portraits for a typical score; it is extrapolated linearly beyond."""
_SMOOTHING_YEARS = 7.0
_MIN_SLOPE = 2e-3
"""Smallest rise of a typical score in a year, so that every score belongs to one age."""


@dataclass(frozen=True, kw_only=True)
class ZoneScorerTrainingConfig:
    """Everything that determines the scorer.

    Args:
        family: of the features, see `reage.faces.skin_features`.
        seed: of the random Fourier features and of the augmentation.
        folds: number of folds of people; the folds depend on the family.
        num_waves: number of random Fourier features.
        frequency: their standard deviation; lower is smoother.
        ridge: weight of the penalty on the slopes.
    """

    family: str
    seed: int
    folds: int
    num_waves: int = 768
    frequency: float = 0.35
    ridge: float = 0.1


def zones_a() -> ZoneScorerTrainingConfig:
    """The scorer that engines and commands use."""
    return ZoneScorerTrainingConfig(family="a", seed=0, folds=5, ridge=0.03)


def zones_b() -> ZoneScorerTrainingConfig:
    """The scorer that only evaluates: other features, folds and augmentation than `zones_a`."""
    return ZoneScorerTrainingConfig(family="b", seed=1, folds=8)


def run(config: ZoneScorerTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Fits the scorer of a recipe; returns its tensors by name and the config of the weights file."""
    return fit_zone_scorer(config, portraits.pick(portraits.split == "train"), FaceParser.load().parse)


def fit_zone_scorer(
    config: ZoneScorerTrainingConfig, portraits: Portraits, parse: Parse
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """The tensors and the config of a weights file for `reage.faces.zone_scorer.ZoneScorer`.

    Args:
        config: of the run.
        portraits: training people only.
        parse: crop -> its segmentation.
    """
    features, tones = extract_features(config, portraits, parse)
    tensors = fit_tensors(config, features, tones, portraits)
    counts = {name: int((tones == tone).sum()) for tone, name in enumerate(TONES)}
    return tensors, {
        "net": asdict(ZoneScorerConfig(family=config.family)),
        "recipe": asdict(config),
        "seed": config.seed,
        "num_portraits": len(portraits),
        "num_by_tone": counts,
    }


# Features


def extract_features(
    config: ZoneScorerTrainingConfig, portraits: Portraits, parse: Parse
) -> tuple[Values, NDArray[np.int64]]:
    """Features (2, N, Z, F) of every portrait as it is and degraded, and its tone group (N,)."""
    extract = FAMILIES[config.family]
    random = np.random.default_rng(config.seed)
    features, tones = [], []
    for crop, landmarks, mesh in zip(portraits.crops, portraits.landmarks, portraits.mesh, strict=True):
        segmentation = parse(crop, mesh)
        versions = (crop, degrade(crop, random))
        views = [view_portrait_skin(version, landmarks, segmentation) for version in versions]
        features.append(np.stack([extract(view) for view in views]))
        tones.append(tone_of(skin_tone(views[0])))
    return np.stack(features, 1).astype(np.float64), np.array(tones)


def view_portrait_skin(crop: Pixels, landmarks: Plane, segmentation: Segmentation) -> SkinView:
    """The view of a portrait."""
    return make_skin_view(crop, landmarks, segmentation.bare, segmentation.hair)


def degrade(crop: Pixels, random: np.random.Generator) -> Pixels:
    """The crop with random loss of resolution, blur, gamma, brightness and noise."""
    side = len(crop)
    small = round(side * random.uniform(0.5, 1))
    light = geometry.resize(geometry.resize(crop.astype(np.float32), small, small), side, side)
    light = geometry.blur(light, random.uniform(0.2, 1.2) * side / 384)
    light = 255 * np.clip(light / 255, 0, 1) ** np.exp(random.uniform(-0.3, 0.3)) * random.uniform(0.85, 1.1)
    noise = random.normal(0, 1, light.shape) * random.uniform(0, 4)
    return to_pixels(light + noise)


# Fit


def fit_tensors(
    config: ZoneScorerTrainingConfig, features: Values, tones: NDArray[np.int64], portraits: Portraits
) -> dict[str, NDArray[Any]]:
    """The tensors of a scorer from the features (2, N, Z, F) and tones (N,) of its people."""
    ages = portraits.age_years.astype(np.float64)
    out_of_fold = predict_out_of_fold(config, features, portraits)
    weights = portrait_weights(portraits, tones)
    wrinkles = features[0, :, :, 0]
    tensors = {
        **fit_zone_ages(config, features, ages),
        "wrinkle_shares": weigh_terms(wrinkles, out_of_fold, ages),
        "wrinkle_levels": quantiles_by_tone(wrinkles, tones, weights),
        "age_levels": quantiles_by_tone(out_of_fold, tones, weights),
    }
    mixed = mix_terms(wrinkles, out_of_fold, tones, tensors).astype(np.float64)
    tensors["score_levels"] = quantiles_by_tone(mixed, tones, weights)
    scores = rank_by_tone(mixed, tones, tensors["score_levels"])
    return {**tensors, "typical_scores": typical_scores(scores, ages, weights)}


def predict_out_of_fold(config: ZoneScorerTrainingConfig, features: Values, portraits: Portraits) -> Values:
    """(N, Z) age of each zone in years, predicted by a fit on the people of all other folds."""
    ages = portraits.age_years.astype(np.float64)
    salt = f"zones-{config.family}"
    folds = np.array([fold_of(person, config.folds, salt) for person in portraits.person.tolist()])
    predicted = np.empty(features.shape[1:3])
    for fold in np.unique(folds):
        tables = fit_zone_ages(config, features[:, folds != fold], ages[folds != fold])
        predicted[folds == fold] = zone_ages(features[0, folds == fold], tables, config.family)
    return predicted


def fit_zone_ages(config: ZoneScorerTrainingConfig, features: Values, ages: Values) -> dict[str, Values]:
    """Ridge regression on random Fourier features, zone by zone, from features (2, N, Z, F) to ages (N,)."""
    random = np.random.default_rng(config.seed)
    num_features = features.shape[-1]
    directions = random.normal(0, config.frequency * num_features**-0.5, (num_features, config.num_waves))
    directions = directions.astype(np.float16).astype(float)
    phases = random.uniform(0, 2 * np.pi, config.num_waves).astype(np.float16).astype(float)
    samples = np.concatenate([*features, *mirror_features(features, config.family)])
    centred_ages = np.tile(ages - ages.mean(), 4)
    means, scales = samples.mean(0), samples.std(0) + 1e-3
    slopes = []
    for zone in range(len(ZONES)):
        standard = (samples[:, zone] - means[zone]) / scales[zone]
        fourier = fourier_features(standard, directions, phases)
        gram = fourier.T @ fourier + config.ridge * np.eye(config.num_waves)
        slopes.append(np.linalg.solve(gram, fourier.T @ centred_ages))
    return {
        "means": means,
        "scales": scales,
        "directions": directions,
        "phases": phases,
        "slopes": np.stack(slopes),
        "offsets": np.full(len(ZONES), ages.mean()),
    }


def weigh_terms(wrinkles: Values, out_of_fold: Values, ages: Values) -> Values:
    """(Z,) weight of the wrinkle term relative to the zone's age, in proportion to their correlations with age."""
    by_wrinkle, by_age = (
        np.array([max(0.0, rank_correlation(term[:, zone], ages)) for zone in range(len(ZONES))])
        for term in (wrinkles, out_of_fold)
    )
    by_wrinkle, by_age = (term + term[list(MIRRORED_ZONES)] for term in (by_wrinkle, by_age))
    return by_wrinkle / np.maximum(by_wrinkle + by_age, 1e-6)


def portrait_weights(portraits: Portraits, tones: NDArray[np.int64]) -> Values:
    """(N,) weights that give each person a weight of one, and each tone group the age distribution of all people.

    Without the second, a group would look old only because its members were photographed when they were young.
    """
    _, person, num_portraits = np.unique(portraits.person, return_inverse=True, return_counts=True)
    weights = 1.0 / num_portraits[person]
    decades = np.clip((portraits.age_years // 10).astype(int), 3, 7)
    target = np.bincount(decades, weights, 8) / weights.sum()
    for tone in np.unique(tones):
        group = tones == tone
        present = np.bincount(decades[group], weights[group], 8) / weights[group].sum()
        weights[group] *= (target / np.maximum(present, 1e-9))[decades[group]]
    return weights


# Ranks


def quantiles_by_tone(values: Values, tones: NDArray[np.int64], weights: Values) -> Values:
    """(T, Z, 101) weighted quantiles of values (N, Z) in each tone group, equal for left and right.

    A group without people gets the quantiles of everybody.
    """
    levels = np.empty((len(TONES), values.shape[1], len(_SHARES)))
    for tone in range(len(TONES)):
        group = tones == tone if (tones == tone).any() else np.ones_like(tones, bool)
        for zone, mirrored in enumerate(MIRRORED_ZONES):
            # sorted, so that ties are ordered alike on both sides
            sides = np.concatenate([values[group, side] for side in sorted((zone, mirrored))])
            levels[tone, zone] = weighted_quantiles(sides, np.tile(weights[group], 2))
    return levels


def weighted_quantiles(values: Values, weights: Values) -> Values:
    """(101,) quantiles of values (N,) at shares from 0 to 1, not decreasing."""
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(_SHARES, shares / weights.sum(), values[order])


def rank_by_tone(mixed: Values, tones: NDArray[np.int64], levels: Values) -> Values:
    """(N, Z) scores: the share of people of the same tone group (N,) below the mixed terms (N, Z)."""
    return share_below(mixed, levels[tones]).astype(np.float64)


def typical_scores(scores: Values, ages: Values, weights: Values) -> Values:
    """(Z, A) mean of scores (N, Z) at each of `TYPICAL_AGES`, increasing with age, equal for left and right.

    Beyond `_MEASURED_AGES` it continues with the zone's mean slope, within 0.01 to 0.99.
    """
    all_ages = np.array(TYPICAL_AGES)
    measured = all_ages[(all_ages >= _MEASURED_AGES[0]) & (all_ages <= _MEASURED_AGES[1])]
    beyond = all_ages - np.clip(all_ages, *_MEASURED_AGES)
    min_rise = _MIN_SLOPE * measured
    typical = []
    for values in (scores + scores[:, list(MIRRORED_ZONES)]).T / 2:
        means = np.array([local_mean(values, ages, weights, age) for age in measured])
        rising = isotonic_regression(means - min_rise) + min_rise
        slope = np.polyfit(measured, rising, 1)[0]
        typical.append(np.clip(np.interp(all_ages, measured, rising) + slope * beyond, 0.01, 0.99))
    return np.array(typical)


def local_mean(values: Values, ages: Values, weights: Values, age: float) -> float:
    """Local linear estimate of values (N,) at an age, with a Gaussian kernel of `_SMOOTHING_YEARS`."""
    kernel = weights * np.exp(-0.5 * ((ages - age) / _SMOOTHING_YEARS) ** 2)
    return float(np.polyfit(ages - age, values, 1, w=np.sqrt(kernel))[1])


def isotonic_regression(values: Values) -> Values:
    """The non-decreasing values (N,) with the least squared distance to these."""
    num = len(values)
    return np.array(
        [
            max(min(values[first:end].mean() for end in range(place + 1, num + 1)) for first in range(place + 1))
            for place in range(num)
        ]
    )
