"""Chooses by how much each zone's change is scaled, so that the zone then measures the score that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reage.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class ChangeScaleConfig:
    """Which scales are tried.

    Args:
        scales: that are tried, rising from above 0; between two of them scores are interpolated linearly.
        deep_score: a zone that is to rise above this score gets a scale above `deep_scale` only if it then measures
            the target. Its wrinkles are at their deepest, and a larger change that does not help would only make them
            too black.
        deep_scale: see `deep_score`.
        fall_scale: the most for a zone whose score is to fall: more would take thin frames away with the lines.
        tolerance: a score is on target when it misses it by no more than this.

    Raises:
        EngineError: when the scales do not rise, or the tolerance is negative.
    """

    scales: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    deep_score: float = 0.75
    deep_scale: float = 1.5
    fall_scale: float = 1.0
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        if not self.scales or any(scale <= before for before, scale in pairwise((0.0, *self.scales))):
            raise EngineError(f"The scales are {self.scales}; give at least one, above 0, each above the one before.")
        if not self.tolerance >= 0:
            raise EngineError(f"The tolerance of scores is {self.tolerance:g}; it must be 0 or more.")


def find_change_scales(
    scores: Mapping[str, float],
    target_scores: Mapping[str, float],
    measure: Callable[[float], Mapping[str, float]],
    config: ChangeScaleConfig,
) -> dict[str, float]:
    """The least scale at which each zone measures its target score; where none does, the one that comes nearest.

    Args:
        scores: present score of each zone.
        target_scores: score that each of those zones is to have.
        measure: the scores of the zones when the changes of all of them are scaled alike; a hidden zone is left out.
        config: which scales are tried; no more of them than needed are measured.
    """
    gaps = {zone: [abs(target_scores[zone] - score) - config.tolerance] for zone, score in scores.items()}
    for scale in config.scales:
        if all(min(own) <= 0 for own in gaps.values()):
            break
        measured = measure(scale)
        for zone, own in gaps.items():
            direction = math.copysign(1, target_scores[zone] - scores[zone])
            missing = direction * (target_scores[zone] - measured.get(zone, scores[zone]))
            own.append(missing - config.tolerance)
    found = {}
    for zone, own in gaps.items():
        is_deep = target_scores[zone] > max(scores[zone], config.deep_score)
        scale = _least_scale((0.0, *config.scales), own, max_scale=config.deep_scale if is_deep else math.inf)
        found[zone] = min(scale, config.fall_scale) if target_scores[zone] < scores[zone] else scale
    return found


def _least_scale(scales: Sequence[float], gaps: Sequence[float], max_scale: float) -> float:
    """The scale where the first of the gaps closes; else that of the least gap, up to `max_scale` where possible."""
    if gaps[0] <= 0:
        return 0.0
    for place, (before, gap) in enumerate(pairwise(gaps)):
        if gap <= 0:
            return scales[place] + before / (before - gap) * (scales[place + 1] - scales[place])
    places = range(1, 1 + max(1, sum(scale <= max_scale for scale in scales[1:])))
    return scales[min(places, key=lambda place: gaps[place])]
