"""Completes an order with what was measured: which age the person has, how marked each zone is and will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from reage.types import Plan, Reading

TYPICAL_AGES = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0)
"""Ages in years of the columns of `TYPICAL_SCORES`."""

TYPICAL_SCORES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "forehead": (0.09, 0.15, 0.21, 0.26, 0.30, 0.34, 0.41, 0.48, 0.55, 0.61, 0.66, 0.70, 0.74, 0.80),
        "glabella": (0.10, 0.15, 0.21, 0.26, 0.32, 0.37, 0.42, 0.47, 0.54, 0.60, 0.66, 0.71, 0.73, 0.78),
        "interocular": (0.17, 0.21, 0.26, 0.30, 0.35, 0.39, 0.43, 0.48, 0.53, 0.58, 0.63, 0.66, 0.68, 0.73),
        "crows_feet": (0.08, 0.14, 0.19, 0.24, 0.29, 0.36, 0.43, 0.49, 0.55, 0.59, 0.63, 0.67, 0.71, 0.77),
        "under_eye": (0.13, 0.18, 0.23, 0.28, 0.32, 0.37, 0.42, 0.48, 0.54, 0.59, 0.65, 0.68, 0.72, 0.77),
        "nasolabial": (0.23, 0.27, 0.30, 0.34, 0.38, 0.42, 0.45, 0.49, 0.52, 0.56, 0.59, 0.62, 0.67, 0.71),
        "upper_lip": (0.24, 0.27, 0.30, 0.33, 0.37, 0.41, 0.45, 0.49, 0.54, 0.57, 0.58, 0.59, 0.60, 0.63),
        "lip_corners": (0.27, 0.30, 0.33, 0.37, 0.40, 0.42, 0.45, 0.48, 0.52, 0.56, 0.60, 0.64, 0.67, 0.71),
    }
)
"""The mean score of each zone, left and right alike, at each of `TYPICAL_AGES`: as `reage training judge-zones` prints.

From 35 to 80 it is that of the people `zones-a` learned from, by fits that never saw them; beyond, where hardly any
portrait is, it goes on at the zone's average slope.
"""


def typical_score(zone: str, age_years: float) -> float:
    """The score in [0, 1] a zone of `reage.types.ZONES` has on average at an age, brought to 20 to 85 years."""
    return float(np.interp(age_years, TYPICAL_AGES, TYPICAL_SCORES[zone.split(".")[0]]))


def zone_age(zone: str, score: float) -> float:
    """The age in years at which a zone has this score on average: 20 for 0, 85 for 1, rising all the way.

    From 25 to 80 years the inverse of `typical_score`. No age has 0 or 1 on average, so the scores beyond share what is
    left of the years.
    """
    inner = TYPICAL_SCORES[zone.split(".")[0]][1:-1]
    return float(np.interp(score, (0, *inner, 1), TYPICAL_AGES))


def complete(plan: Plan, reading: Reading) -> Plan:
    """The plan with no gaps: `age_from` as measured if it was not given, `age` as `age_from` if only zones were.

    Each zone whose score was measured, and that the order does not name, gets the score to expect at the target age: as
    much above or below the average as now.
    """
    age_from = reading.age_years if plan.age_from is None else plan.age_from
    age_from = min(100.0, max(1.0, age_from))
    age = age_from if plan.age is None else plan.age
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in reading.zones.items()}
    return replace(plan, age_from=age_from, age=age, zones={**expected, **plan.zones})


def expected_score(zone: str, score: float, age_from: float, age: float) -> float:
    """The score to expect at an age of a zone that has one now: as much above or below the average as now."""
    return min(1.0, max(0.0, score + (typical_score(zone, age) - typical_score(zone, age_from))))


@dataclass(frozen=True)
class Layer:
    """One age, and the zones it is for; no zones means the whole face."""

    plan: Plan
    zones: tuple[str, ...] = ()


def layers(plan: Plan) -> list[Layer]:
    """Splits a complete plan into whole-face plans for an engine that knows only ages: the face, then the zones.

    Zones of one age share a layer, so that the engine runs once for each different age.
    """
    assert plan.age is not None
    whole = [Layer(replace(plan, zones={}))]
    by_age: dict[float, list[str]] = {}
    for zone, score in plan.zones.items():
        by_age.setdefault(zone_age(zone, score), []).append(zone)
    return whole + [Layer(replace(plan, age=age, zones={}), tuple(zones)) for age, zones in by_age.items()]
