"""How many times its change a zone is given, so that it then reads as asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reage.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class ChangeScaleConfig:
    """What is tried.

    Args:
        tried: doses that are looked at, rising from above 0; between two of them scores are taken as linear. Those
            above 1 are for zones that are to rise above `marked` only where these then read as asked: more of what
            does not help would only be seen, as lines too black.
        marked: score above which the lines of a zone are at their deepest.
        tolerance: a score that misses the one asked for by no more will do.

    Raises:
        EngineError: when they do not rise, or the tolerance is negative.
    """

    tried: tuple[float, ...] = (0.5, 0.75, 1.0, 1.3, 1.6)
    marked: float = 0.75
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        if not self.tried or any(here <= before for before, here in pairwise((0.0, *self.tried))):
            raise EngineError(f"The doses are {self.tried}; give at least one, above 0, each above the one before.")
        if not self.tolerance >= 0:
            raise EngineError(f"The tolerance of scores is {self.tolerance:g}; it must be 0 or more.")


def find_change_scales(
    now: Mapping[str, float],
    asked: Mapping[str, float],
    read: Callable[[float], Mapping[str, float]],
    config: ChangeScaleConfig,
) -> dict[str, float]:
    """The least dose of each zone at which it reads as asked; where none does, that which comes nearest.

    A zone that is to rise above `ChangeScaleConfig.marked` then gets no more than 1.

    Args:
        now: score of each zone as it is.
        asked: score that each of those zones is to have.
        read: the scores of the zones when all of them are given a dose.
        config: what is tried.
    """
    gaps = {zone: [abs(asked[zone] - score) - config.tolerance] for zone, score in now.items()}
    for dose in config.tried:
        if all(min(own) <= 0 for own in gaps.values()):
            break
        scores = read(dose)
        for zone, own in gaps.items():
            missing = math.copysign(1, asked[zone] - now[zone]) * (asked[zone] - scores.get(zone, now[zone]))
            own.append(missing - config.tolerance)
    return {
        zone: _least_scale(
            (0.0, *config.tried), own, most=1.0 if asked[zone] > max(now[zone], config.marked) else math.inf
        )
        for zone, own in gaps.items()
    }


def _least_scale(doses: Sequence[float], gaps: Sequence[float], most: float) -> float:
    """Where the first of the gaps closes; else the dose of the least, of those up to `most` if there are any."""
    if gaps[0] <= 0:
        return 0.0
    for place, (before, here) in enumerate(pairwise(gaps)):
        if here <= 0:
            return doses[place] + before / (before - here) * (doses[place + 1] - doses[place])
    places = range(1, 1 + max(1, sum(dose <= most for dose in doses[1:])))
    return doses[min(places, key=lambda place: gaps[place])]
