"""Scores how aged each zone of a face is: the share of people whose zone looks younger.

A score is the weighted mean of two terms, ranked among the training people of the same skin tone: the strength of the
zone's wrinkles, and its age as a regression predicts it from the zone's features alone. Both sides of the face are
ranked among the same people, so a mirrored face gets mirrored scores. "zones-a" is used by engines and commands;
"zones-b" uses other features and only evaluates. After the scores of LDLA (arXiv 2507.21600).
`reage.training.amgan.zone_scores` has the same arithmetic with gradients.

Convention:
    Z = len(ZONES) zones in the order of `ZONES`; F features of a zone, see `reage.faces.skin_features`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.faces.skin_features import FAMILIES, SkinView, make_skin_view, mirror_features, skin_tone
from reage.types import Face
from reage.weights import Arrays, find_weights, load_weights, made_for, weights_hash
from reage.zones import MIRRORED_ZONES, ZONES

Values = NDArray[np.floating[Any]]
Places = NDArray[np.integer[Any]]
Tables = Mapping[str, Values]

TONES = ("light", "intermediate", "dark", "grey")
"""Skin-tone groups within which people are ranked; grey photos are a group of their own."""

_LIGHT_DEGREES, _DARK_DEGREES = 41.0, 10.0


@dataclass(frozen=True, kw_only=True)
class ZoneScorerConfig:
    """Input of a scorer.

    Args:
        family: of the features, see `reage.faces.skin_features.FAMILIES`.
        min_visible: share of a zone that must be visible; a zone below gets no score.
    """

    family: str
    min_visible: float = 0.5


class ZoneScorer:
    """Scores the zones of a face.

    Args:
        config: input of the scorer.
        tensors: means, scales (Z, F), directions (F, W), phases (W,), slopes (Z, W), offsets, wrinkle_shares (Z,);
            wrinkle_levels, age_levels, score_levels (len(TONES), Z, 101), quantiles in each tone group; typical_scores
            (Z, A), means at rising ages.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> ZoneScorer.load().measure(face)["crows_feet.left"]  # doctest: +SKIP
        0.62
    """

    def __init__(self, config: ZoneScorerConfig, tensors: Arrays, weights_hash: str = "") -> None:
        self.config = config
        self.weights_hash = weights_hash
        self.tables: Tables = {name: np.asarray(values, float) for name, values in tensors.items()}
        self._extract: Callable[[SkinView], Values] = FAMILIES[config.family]

    @classmethod
    def load(cls, weights: str | Path = "zones-a") -> ZoneScorer:
        """A scorer with shipped weights ("zones-a", or "zones-b", which only evaluates) or those of a file.

        Raises:
            WeightsError: when there are no such weights, or they are not of a zone scorer.
        """
        path = find_weights(weights)
        tensors, config = load_weights(path)
        with made_for(path, "a scorer of zones"):
            scorer = cls(ZoneScorerConfig(**config["net"]), tensors, weights_hash(path))
            check_shapes(tensors)
        return scorer

    @property
    def typical_scores(self) -> Values:
        """(Z, A) mean scores of the training people at rising ages."""
        return self.tables["typical_scores"]

    def measure(self, face: Face) -> dict[str, float]:
        """Zone -> score in [0, 1], 1 for the most aged.

        Zones that are hidden by hair, glasses or the rotation of the head are left out, see `min_visible`.
        """
        return self.measure_view(make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair))

    def measure_view(self, view: SkinView) -> dict[str, float]:
        """Zone -> score in [0, 1], from a view made by `reage.faces.skin_features.make_skin_view`."""
        features = self._extract(view).astype(float)[None]
        scores = self.score(features, np.array([tone_of(skin_tone(view))]))[0].tolist()
        visible = view.visible >= self.config.min_visible
        return {zone: scores[i] for i, zone in enumerate(ZONES) if visible[i]}

    def score(self, features: Values, tones: Places) -> Values:
        """(N, Z, F) features and (N,) indices into `TONES` -> (N, Z) scores."""
        ages = zone_ages(features, self.tables, self.config.family)
        return score_zones(features[..., 0], ages, tones, self.tables)


def tone_of(degrees: float) -> int:
    """The index into `TONES` of an individual typology angle; NaN is grey."""
    if math.isnan(degrees):
        return TONES.index("grey")
    return 0 if degrees > _LIGHT_DEGREES else 1 if degrees > _DARK_DEGREES else 2


def zone_ages(features: Values, tables: Tables, family: str) -> Values:
    """(N, Z, F) features -> (N, Z) predicted age in years of each zone, the mean over a face and its mirror image."""
    plain, mirrored = (_predict_ages(one, tables) for one in (features, mirror_features(features, family)))
    return (plain + mirrored[:, MIRRORED_ZONES]) / 2


def _predict_ages(features: Values, tables: Tables) -> Values:
    """(N, Z, F) features -> (N, Z) ages, by linear regression on random Fourier features."""
    standard = (features - tables["means"]) / tables["scales"]
    fourier = fourier_features(standard, tables["directions"], tables["phases"])
    return np.einsum("nzw,zw->nz", fourier, tables["slopes"]) + tables["offsets"]


def fourier_features(standard: Values, directions: Values, phases: Values) -> Values:
    """(..., F) standardised features -> (..., W) random Fourier features, sqrt(2 / W) cos(x @ directions + phases).

    Their inner products approximate a Gaussian kernel (Rahimi and Recht, 2007).
    """
    return np.cos(standard @ directions + phases) * math.sqrt(2 / len(phases))


def score_zones(wrinkles: Values, ages: Values, tones: Places, tables: Tables) -> Values:
    """Wrinkle features and ages (N, Z) -> (N, Z) scores, ranked among the people of the tones (N,)."""
    return share_below(mix_terms(wrinkles, ages, tones, tables), tables["score_levels"][tones])


def mix_terms(wrinkles: Values, ages: Values, tones: Places, tables: Tables) -> Values:
    """(N, Z) weighted mean of both terms as shares of people; not uniform over people until it is ranked itself."""
    by_wrinkle = share_below(wrinkles, tables["wrinkle_levels"][tones])
    by_age = share_below(ages, tables["age_levels"][tones])
    weights = tables["wrinkle_shares"]
    return weights * by_wrinkle + (1 - weights) * by_age


def share_below(values: Values, levels: Values) -> Values:
    """Shares of people below values (...), given their evenly spaced quantiles `levels` (..., L)."""
    last = levels.shape[-1] - 1
    place = np.clip((levels < values[..., None]).sum(-1), 1, last)
    low, high = (np.take_along_axis(levels, (place + i)[..., None], -1)[..., 0] for i in (-1, 0))
    return (place - 1 + np.clip((values - low) / np.maximum(high - low, 1e-9), 0, 1)) / last


def check_shapes(tensors: Arrays) -> None:
    """Checks that the tensors of a scorer fit each other.

    Raises:
        KeyError: when one is missing.
        ValueError: when one has another shape.
    """
    num_features, num_waves = tensors["directions"].shape
    num_zones = len(ZONES)
    shapes = {
        **dict.fromkeys(("means", "scales"), (num_zones, num_features)),
        **dict.fromkeys(("offsets", "wrinkle_shares"), (num_zones,)),
        **dict.fromkeys(("wrinkle_levels", "age_levels", "score_levels"), (len(TONES), num_zones, 101)),
        "slopes": (num_zones, num_waves),
        "phases": (num_waves,),
        "typical_scores": (num_zones, tensors["typical_scores"].shape[-1]),
    }
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(name)
