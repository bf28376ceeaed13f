"""Scores each zone's signs of age: the share of people whose zone looks younger.

A score joins two terms, each as a share of the training people of a skin-tone group: how strong the lines of the zone
are, and how old the zone looks to a regression that sees its signs alone. Both sides of the face are ranked among the
same people, so a mirrored face gets mirrored scores. "zones-a" reads; "zones-b" looks at other signs and only judges.
After the scores of LDLA (arXiv 2507.21600).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.signs import FAMILIES, OTHER_SIDE, View, make_view, mirror_signs, skin_px, skin_tone
from reage.types import ZONES, Face
from reage.weights import Arrays, find_weights, load_weights, made_for, weights_hash

Values = NDArray[np.floating[Any]]

TONES = ("light", "intermediate", "dark", "grey")
"""Groups of people who are compared with each other; pictures without colour are one of their own."""

_LIGHT_DEGREES, _DARK_DEGREES = 41.0, 10.0
_LEVELS = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class ZoneScorerConfig:
    """What a scorer looks at.

    Args:
        family: of the signs, see `reage.signs.FAMILIES`.
        least_skin_px: px of `reage.signs.LOOK_PX` that a zone must show; one that shows less gets no score.
    """

    family: str
    least_skin_px: float = 150.0


class ZoneScorer:
    """Scores the zones of a face.

    Args:
        config: what it looks at.
        tensors: means, scales (12, F), directions (F, W), phases (W,), slopes (12, W), offsets, wrinkle_shares (12,),
            wrinkle_levels, age_levels, score_levels (4, 12, 101): values at rising shares of a group's people, and
            typical_scores (12, A): means at rising ages, for those who plan.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> ZoneScorer.load().measure(face)["crows_feet.left"]  # doctest: +SKIP
        0.62
    """

    def __init__(self, config: ZoneScorerConfig, tensors: Arrays, weights_hash: str = "") -> None:
        self.config = config
        self.weights_hash = weights_hash
        self._tensors = tensors
        self._look: Callable[[View], Values] = FAMILIES[config.family]

    @classmethod
    def load(cls, weights: str | Path = "zones-a") -> ZoneScorer:
        """A scorer with shipped weights ("zones-a" reads, "zones-b" judges) or those of a file.

        Raises:
            WeightsError: when there are no such weights, or they are not of a scorer of zones.
        """
        path = find_weights(weights)
        tensors, config = load_weights(path)
        with made_for(path, "a scorer of zones"):
            scorer = cls(ZoneScorerConfig(**config["net"]), tensors, weights_hash(path))
            check_shapes(tensors)
        return scorer

    @property
    def typical_scores(self) -> Values:
        """(12, A) mean scores of the training people at rising ages."""
        return self._tensors["typical_scores"]

    def measure(self, face: Face) -> dict[str, float]:
        """Zone -> score in [0, 1], 1 for the most marked; zones hidden by hair or glasses are left out."""
        return self.measure_view(make_view(face.crop, face.to_crop(face.landmarks), face.skin, face.hair))

    def measure_view(self, view: View) -> dict[str, float]:
        """The same from a crop made ready by `reage.signs.make_view`."""
        signs = self._look(view)
        ages = zone_ages(signs[None], self._tensors, self.config.family)[0]
        scores = score_zones(signs[:, 0], ages, tone_of(skin_tone(view)), self._tensors)
        shown = skin_px(view) >= self.config.least_skin_px
        return {zone: float(scores[i]) for i, zone in enumerate(ZONES) if shown[i]}


def tone_of(degrees: float) -> int:
    """The place in `TONES` of an individual typology angle; nan is grey."""
    if math.isnan(degrees):
        return TONES.index("grey")
    return 0 if degrees > _LIGHT_DEGREES else 1 if degrees > _DARK_DEGREES else 2


def zone_ages(signs: Values, tensors: Mapping[str, Values], family: str) -> Values:
    """(N, 12, F) signs -> (N, 12) the age in years each zone shows, on the mean of a face and its mirror image."""
    seen, mirrored = (_regress(one, tensors) for one in (signs, mirror_signs(signs, family)))
    return (seen + mirrored[:, OTHER_SIDE]) / 2


def _regress(signs: Values, tensors: Mapping[str, Values]) -> Values:
    """Ages (N, 12) by a regression on random waves.

    Random Fourier features (Rahimi and Recht, 2007) stand for a Gaussian kernel on the standardised signs.
    """
    standard = (signs - tensors["means"]) / tensors["scales"]
    seen = waves(standard, tensors["directions"], tensors["phases"])
    return np.asarray(np.einsum("nzw,zw->nz", seen, tensors["slopes"]) + tensors["offsets"])


def waves(standard: Values, directions: Values, phases: Values) -> Values:
    """(..., F) standardised signs -> (..., W)."""
    return np.asarray(np.cos(standard @ directions + phases) * math.sqrt(2 / len(phases)))


def score_zones(wrinkles: Values, ages: Values, tone: int, tensors: Mapping[str, Values]) -> Values:
    """(12,) wrinkle terms and ages of the zones of one face -> (12,) scores, among the people of its tone group."""
    mixed = mix_terms(wrinkles, ages, tone, tensors)
    return np.array([share_below(mixed[i], tensors["score_levels"][tone, i]) for i in range(len(mixed))])


def mix_terms(wrinkles: Values, ages: Values, tone: int, tensors: Mapping[str, Values]) -> Values:
    """(12,) weighted mean of both terms as shares of people; less even than a share until it is ranked itself."""
    by_wrinkle = [share_below(value, tensors["wrinkle_levels"][tone, i]) for i, value in enumerate(wrinkles)]
    by_age = [share_below(value, tensors["age_levels"][tone, i]) for i, value in enumerate(ages)]
    weights = tensors["wrinkle_shares"]
    return np.asarray(weights * np.array(by_wrinkle) + (1 - weights) * np.array(by_age))


def share_below(value: float, levels: Values) -> float:
    """The share of people below a value; `levels` (101,) are their quantiles."""
    return float(np.interp(value, levels, _LEVELS))


def check_shapes(tensors: Arrays) -> None:
    """Raises ValueError or KeyError for tensors that do not fit each other."""
    num_signs, num_waves = tensors["directions"].shape
    wanted = {
        **dict.fromkeys(("means", "scales"), (12, num_signs)),
        **dict.fromkeys(("offsets", "wrinkle_shares"), (12,)),
        **dict.fromkeys(("wrinkle_levels", "age_levels", "score_levels"), (len(TONES), 12, 101)),
        "slopes": (12, num_waves),
        "phases": (num_waves,),
        "typical_scores": (12, tensors["typical_scores"].shape[-1]),
    }
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise ValueError(name)
