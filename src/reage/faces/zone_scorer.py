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
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.faces.skin_features import FAMILIES, SkinView, make_skin_view, mirror_features, skin_tone
from reage.types import Face
from reage.weights import Arrays, find_weights, load_weights, made_for, weights_hash
from reage.zones import MIRRORED_ZONES, ZONES

Values = NDArray[np.floating[Any]]
Tables = Mapping[str, Tensor]

TONES = ("light", "intermediate", "dark", "grey")
"""Groups of people who are compared with each other; pictures without colour are one of their own."""

_LIGHT_DEGREES, _DARK_DEGREES = 41.0, 10.0
_LEAK = 0.1
"""Of the gradient of a share, so that what lies beyond everybody can still be moved."""


@dataclass(frozen=True, kw_only=True)
class ZoneScorerConfig:
    """What a scorer looks at.

    Args:
        family: of the signs, see `reage.faces.skin_features.FAMILIES`.
        least_shown: share of itself that a zone must show; one that shows less gets no score.
    """

    family: str
    least_shown: float = 0.5


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
        self._tables = to_tables(tensors)
        self._look: Callable[[SkinView], Values] = FAMILIES[config.family]

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
        return self._tables["typical_scores"].numpy()

    def measure(self, face: Face) -> dict[str, float]:
        """Zone -> score in [0, 1], 1 for the most marked.

        Zones that show too little are left out: hair or glasses hide them, or the head is turned away.
        """
        return self.measure_view(make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair))

    def measure_view(self, view: SkinView) -> dict[str, float]:
        """The same from a crop made ready by `reage.faces.skin_features.make_skin_view`."""
        signs = torch.from_numpy(self._look(view)).double()[None]
        scores = self.score(signs, torch.tensor([tone_of(skin_tone(view))]))[0].tolist()
        shown = view.shown >= self.config.least_shown
        return {zone: scores[i] for i, zone in enumerate(ZONES) if shown[i]}

    def score(self, signs: Tensor, tones: Tensor) -> Tensor:
        """(N, 12, F) signs and (N,) places in `TONES` -> (N, 12) scores, through which gradients flow."""
        ages = zone_ages(signs, self._tables, self.config.family)
        return score_zones(signs[..., 0], ages, tones, self._tables)


def tone_of(degrees: float) -> int:
    """The place in `TONES` of an individual typology angle; nan is grey."""
    if math.isnan(degrees):
        return TONES.index("grey")
    return 0 if degrees > _LIGHT_DEGREES else 1 if degrees > _DARK_DEGREES else 2


def to_tables(tensors: Mapping[str, Values]) -> Tables:
    """Arrays as the functions below take them."""
    return {name: torch.from_numpy(np.asarray(values, float)) for name, values in tensors.items()}


def zone_ages(signs: Tensor, tables: Tables, family: str) -> Tensor:
    """(N, 12, F) signs -> (N, 12) the age in years each zone shows, on the mean of a face and its mirror image."""
    seen, mirrored = (_regress(one, tables) for one in (signs, mirror_features(signs, family)))
    return (seen + mirrored[:, MIRRORED_ZONES]) / 2


def _regress(signs: Tensor, tables: Tables) -> Tensor:
    """Ages (N, 12) by a regression on random waves.

    Random Fourier features (Rahimi and Recht, 2007) stand for a Gaussian kernel on the standardised signs.
    """
    standard = (signs - tables["means"]) / tables["scales"]
    seen = waves(standard, tables["directions"], tables["phases"])
    return torch.einsum("nzw,zw->nz", seen, tables["slopes"]) + tables["offsets"]


def waves(standard: Tensor, directions: Tensor, phases: Tensor) -> Tensor:
    """(..., F) standardised signs -> (..., W)."""
    return torch.cos(standard @ directions + phases) * math.sqrt(2 / len(phases))


def score_zones(wrinkles: Tensor, ages: Tensor, tones: Tensor, tables: Tables) -> Tensor:
    """Wrinkle terms and ages (N, 12) of the zones of faces -> (N, 12) scores, among the people of their tones (N,)."""
    return share_below(mix_terms(wrinkles, ages, tones, tables), tables["score_levels"][tones])


def mix_terms(wrinkles: Tensor, ages: Tensor, tones: Tensor, tables: Tables) -> Tensor:
    """(N, 12) weighted mean of both terms as shares of people; less even than a share until it is ranked itself."""
    by_wrinkle = share_below(wrinkles, tables["wrinkle_levels"][tones])
    by_age = share_below(ages, tables["age_levels"][tones])
    weights = tables["wrinkle_shares"]
    return weights * by_wrinkle + (1 - weights) * by_age


def share_below(values: Tensor, levels: Tensor) -> Tensor:
    """The shares of people below values (...); `levels` (..., L) are their quantiles, evenly spaced."""
    last = levels.shape[-1] - 1
    place = (levels < values.detach()[..., None]).sum(-1).clamp(1, last)
    low, high = (levels.gather(-1, (place + i)[..., None])[..., 0] for i in (-1, 0))
    part = (values - low) / (high - low).clamp(min=1e-9)
    return (place - 1 + part.clamp(0, 1) + _LEAK * (part - part.detach())) / last


def check_shapes(tensors: Arrays) -> None:
    """Raises ValueError or KeyError for tensors that do not fit each other."""
    num_signs, num_waves = tensors["directions"].shape
    num_zones = len(ZONES)
    wanted = {
        **dict.fromkeys(("means", "scales"), (num_zones, num_signs)),
        **dict.fromkeys(("offsets", "wrinkle_shares"), (num_zones,)),
        **dict.fromkeys(("wrinkle_levels", "age_levels", "score_levels"), (len(TONES), num_zones, 101)),
        "slopes": (num_zones, num_waves),
        "phases": (num_waves,),
        "typical_scores": (num_zones, tensors["typical_scores"].shape[-1]),
    }
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise ValueError(name)
