"""Fits the scorers of aging signs: for each zone an age from its signs alone, and how many people look younger there.

Every number a training person contributes to the distributions comes from a fit that never saw that person. Left and
right learn from each other's mirror images and are ranked among the same people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reage.data.shards import Portraits
from reage.data.split import fold_of
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.segmentation import Segmentation, bare_skin
from reage.faces.skin_features import FAMILIES, SkinView, make_skin_view, mirror_features, skin_tone
from reage.faces.zone_scorer import (
    TONES,
    ZoneScorerConfig,
    mix_terms,
    share_below,
    to_tables,
    tone_of,
    waves,
    zone_ages,
)
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, TYPICAL_AGES, ZONES

Values = NDArray[np.float64]
Parse = Callable[[Pixels], Segmentation]

_SHARES = np.linspace(0, 1, 101)
_KNOWN_YEARS = (35.0, 80.0)
"""Ages between which there are portraits enough for a typical score; beyond, it goes on in a straight line."""
_SMOOTH_YEARS = 7.0
_LEAST_RISE = 2e-3
"""Of a typical score in a year, so that every score has its age."""


@dataclass(frozen=True, kw_only=True)
class ZoneScorerTrainingConfig:
    """Everything that decides which scorer comes out.

    Args:
        family: of the signs it looks at, see `reage.faces.skin_features`.
        seed: of the waves, and of the accidents that the portraits go through.
        folds: of people; their grouping depends on the family.
        num_waves: random features of the regression.
        frequency: of the waves; the lower, the smoother.
        penalty: on their slopes.
    """

    family: str
    seed: int
    folds: int
    num_waves: int = 768
    frequency: float = 0.35
    penalty: float = 0.1


def zones_a() -> ZoneScorerTrainingConfig:
    """The scorer that reads."""
    return ZoneScorerTrainingConfig(family="a", seed=0, folds=5, penalty=0.03)


def zones_b() -> ZoneScorerTrainingConfig:
    """The scorer that judges: other signs, other folds, other accidents."""
    return ZoneScorerTrainingConfig(family="b", seed=1, folds=8)


def fit_zone_scorer(
    recipe: ZoneScorerTrainingConfig, portraits: Portraits, parse: Parse
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """What a weights file of `reage.faces.zone_scorer.ZoneScorer` holds.

    Args:
        recipe: of the run.
        portraits: training people only.
        parse: crop -> its masks of skin and hair.
    """
    signs, tones = read_signs(recipe, portraits, parse)
    tensors = fit_signs(recipe, signs, tones, portraits)
    counts = {name: int((tones == tone).sum()) for tone, name in enumerate(TONES)}
    return tensors, {
        "net": asdict(ZoneScorerConfig(family=recipe.family)),
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        "num_portraits": len(portraits),
        "num_by_tone": counts,
    }


def read_signs(
    recipe: ZoneScorerTrainingConfig, portraits: Portraits, parse: Parse
) -> tuple[Values, NDArray[np.int64]]:
    """Signs (2, N, 12, F) of every portrait as it is and after an accident, and its tone group (N,)."""
    look = FAMILIES[recipe.family]
    random = np.random.default_rng(recipe.seed)
    signs, tones = [], []
    for crop, landmarks in zip(portraits.crops, portraits.landmarks, strict=True):
        parts = parse(crop)
        views = [view_portrait_skin(seen, landmarks, parts) for seen in (crop, worsen(crop, random))]
        signs.append(np.stack([look(view) for view in views]))
        tones.append(tone_of(skin_tone(views[0])))
    return np.stack(signs, 1).astype(np.float64), np.array(tones)


def view_portrait_skin(crop: Pixels, landmarks: Plane, parts: Segmentation) -> SkinView:
    """A portrait made ready for looking at its zones, with what its own picture shows of bare skin."""
    return make_skin_view(crop, landmarks, bare_skin(crop, landmarks, parts.skin), parts.hair)


def worsen(crop: Pixels, random: np.random.Generator) -> Pixels:
    """The same face through a worse camera: smaller, softer, in other light, noisier."""
    side = len(crop)
    small = round(side * random.uniform(0.5, 1))
    light = geometry.resize(geometry.resize(crop.astype(np.float32), small, small), side, side)
    light = geometry.blur(light, random.uniform(0.2, 1.2) * side / 384)
    light = 255 * np.clip(light / 255, 0, 1) ** np.exp(random.uniform(-0.3, 0.3)) * random.uniform(0.85, 1.1)
    noise = random.normal(0, 1, light.shape) * random.uniform(0, 4)
    return to_pixels(light + noise)


def fit_signs(
    recipe: ZoneScorerTrainingConfig, signs: Values, tones: NDArray[np.int64], portraits: Portraits
) -> dict[str, NDArray[Any]]:
    """The tensors of a scorer from the signs of its people."""
    ages = portraits.age_years.astype(np.float64)
    salt = f"zones-{recipe.family}"
    folds = np.array([fold_of(person, recipe.folds, salt) for person in portraits.person.tolist()])
    out_of_fold = np.empty(signs.shape[1:3])
    for fold in np.unique(folds):
        others = fit_zone_ages(recipe, signs[:, folds != fold], ages[folds != fold])
        held_out = torch.from_numpy(signs[0, folds == fold])
        out_of_fold[folds == fold] = zone_ages(held_out, to_tables(others), recipe.family).numpy()
    weights = people_weights(portraits, tones)
    wrinkles = signs[0, :, :, 0]
    tensors = {
        **fit_zone_ages(recipe, signs, ages),
        "wrinkle_shares": share_terms(wrinkles, out_of_fold, ages),
        "wrinkle_levels": distributions(wrinkles, tones, weights),
        "age_levels": distributions(out_of_fold, tones, weights),
    }
    read, looked, groups = (torch.from_numpy(one) for one in (wrinkles, out_of_fold, tones))
    mixed = mix_terms(read, looked, groups, to_tables(tensors)).numpy()
    tensors["score_levels"] = distributions(mixed, tones, weights)
    return {**tensors, "typical_scores": typical_scores(rank(mixed, tones, tensors["score_levels"]), ages, weights)}


def fit_zone_ages(recipe: ZoneScorerTrainingConfig, signs: Values, ages: Values) -> dict[str, Values]:
    """Ridge regression on random waves, zone by zone, from signs (2, N, 12, F) to ages (N,)."""
    random = np.random.default_rng(recipe.seed)
    num_signs = signs.shape[-1]
    directions = random.normal(0, recipe.frequency * num_signs**-0.5, (num_signs, recipe.num_waves))
    directions = directions.astype(np.float16).astype(float)
    phases = random.uniform(0, 2 * np.pi, recipe.num_waves).astype(np.float16).astype(float)
    both = np.concatenate([*signs, *mirror_features(signs, recipe.family)])
    years = np.tile(ages - ages.mean(), 4)
    means, scales = both.mean(0), both.std(0) + 1e-3
    slopes = []
    for zone in range(len(ZONES)):
        standard = (both[:, zone] - means[zone]) / scales[zone]
        seen = waves(*(torch.from_numpy(one) for one in (standard, directions, phases))).numpy()
        square = seen.T @ seen + recipe.penalty * np.eye(recipe.num_waves)
        slopes.append(np.linalg.solve(square, seen.T @ years))
    return {
        "means": means,
        "scales": scales,
        "directions": directions,
        "phases": phases,
        "slopes": np.stack(slopes),
        "offsets": np.full(len(ZONES), ages.mean()),
    }


def share_terms(wrinkles: Values, out_of_fold: Values, ages: Values) -> Values:
    """(12,) how much the wrinkle term counts beside the zone's age: in proportion to their correlations with age."""
    by_wrinkle, by_age = (
        np.array([max(0.0, rank_correlation(term[:, zone], ages)) for zone in range(len(ZONES))])
        for term in (wrinkles, out_of_fold)
    )
    by_wrinkle, by_age = (both + both[list(MIRRORED_ZONES)] for both in (by_wrinkle, by_age))
    return by_wrinkle / np.maximum(by_wrinkle + by_age, 1e-6)


def people_weights(portraits: Portraits, tones: NDArray[np.int64]) -> Values:
    """(N,) how much each portrait counts: a person as one, and every tone group with the ages of all people.

    Without the second, one group would look old only because its members were photographed when they were young.
    """
    _, who, times = np.unique(portraits.person, return_inverse=True, return_counts=True)
    weights = 1.0 / times[who]
    decades = np.clip((portraits.age_years // 10).astype(int), 3, 7)
    wanted = np.bincount(decades, weights, 8) / weights.sum()
    for tone in np.unique(tones):
        group = tones == tone
        present = np.bincount(decades[group], weights[group], 8) / weights[group].sum()
        weights[group] *= (wanted / np.maximum(present, 1e-9))[decades[group]]
    return weights


def distributions(values: Values, tones: NDArray[np.int64], weights: Values) -> Values:
    """(4, 12, 101) values (N, 12) below which each share of a group's people lies, left and right alike.

    A group without people is compared with all.
    """
    levels = np.empty((len(TONES), values.shape[1], len(_SHARES)))
    for tone in range(len(TONES)):
        group = tones == tone if (tones == tone).any() else np.ones_like(tones, bool)
        for zone, other in enumerate(MIRRORED_ZONES):
            sides = np.concatenate([values[group, side] for side in sorted((zone, other))])  # ties fall alike
            levels[tone, zone] = weighted_quantiles(sides, np.tile(weights[group], 2))
    return levels


def weighted_quantiles(values: Values, weights: Values) -> Values:
    """(101,) the values at shares from 0 to 1, never falling."""
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(_SHARES, shares / weights.sum(), values[order])


def rank(mixed: Values, tones: NDArray[np.int64], levels: Values) -> Values:
    """(N, 12) mixed terms -> (N, 12) scores, among the people of each one's tone group."""
    return share_below(torch.from_numpy(mixed), torch.from_numpy(levels[tones])).numpy()


def typical_scores(scores: Values, ages: Values, weights: Values) -> Values:
    """(12, A) mean scores (N, 12) at each of `TYPICAL_AGES`, rising with age, left and right alike.

    Where portraits are few they go on at the zone's average slope, short of 0 and 1.
    """
    wanted = np.array(TYPICAL_AGES)
    known = wanted[(wanted >= _KNOWN_YEARS[0]) & (wanted <= _KNOWN_YEARS[1])]
    beyond = wanted - np.clip(wanted, *_KNOWN_YEARS)
    least = _LEAST_RISE * known
    typical = []
    for values in (scores + scores[:, list(MIRRORED_ZONES)]).T / 2:
        means = np.array([local_mean(values, ages, weights, age) for age in known])
        rising = never_falling(means - least) + least
        slope = np.polyfit(known, rising, 1)[0]
        typical.append(np.clip(np.interp(wanted, known, rising) + slope * beyond, 0.01, 0.99))
    return np.array(typical)


def local_mean(values: Values, ages: Values, weights: Values, age: float) -> float:
    """Mean of values (N,) at an age, on a line through those of about that age."""
    near = weights * np.exp(-0.5 * ((ages - age) / _SMOOTH_YEARS) ** 2)
    return float(np.polyfit(ages - age, values, 1, w=np.sqrt(near))[1])


def never_falling(values: Values) -> Values:
    """The never falling values (N,) that are nearest to these (isotonic regression)."""
    last = len(values)
    return np.array(
        [
            max(min(values[first:end].mean() for end in range(place + 1, last + 1)) for first in range(place + 1))
            for place in range(last)
        ]
    )
