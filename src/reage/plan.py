"""Completes a plan with a reading of the face, and splits it into layers for engines that only know ages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reage.types import CompletePlan, Plan, Reading
from reage.zones import typical_score, zone_age


def complete(plan: Plan, reading: Reading) -> CompletePlan:
    """The plan with every gap filled from a reading.

    `age_from` becomes the measured age, clipped to 1 to 100; `age` becomes `age_from` when only zones were given. Each
    measured zone that the plan does not name gets its `expected_score` at the target age.
    """
    age_from = reading.age_years if plan.age_from is None else plan.age_from
    age_from = min(100.0, max(1.0, age_from))
    age = age_from if plan.age is None else plan.age
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in reading.zones.items()}
    return CompletePlan(
        age=age,
        zones={**expected, **plan.zones},
        strength=plan.strength,
        seed=plan.seed,
        age_from=age_from,
        skin=plan.skin,
    )


def expected_score(zone: str, score: float, age_from: float, age: float) -> float:
    """The score of a zone at another age, if its deviation from the typical score of its age stays the same."""
    return min(1.0, max(0.0, score + (typical_score(zone, age) - typical_score(zone, age_from))))


READING_ERROR_YEARS = 10.0
"""Years by which the age that is read on a photo may be wrong."""


def lies_on_the_way(age_years: float, age_from: float, age: float) -> bool:
    """Whether an age that was read on a photo may lie on the side of the target, seen from the age in the picture."""
    beyond = age_years - age_from if age < age_from else age_from - age_years
    return beyond < READING_ERROR_YEARS


@dataclass(frozen=True)
class Layer:
    """One step of a plan for an engine that only knows ages.

    Args:
        plan: without zones or skin.
        zones: that it applies to; empty for the whole face.
    """

    plan: CompletePlan
    zones: tuple[str, ...] = ()


def layers(plan: CompletePlan) -> list[Layer]:
    """The layers of a complete plan: the whole face, then one for each different `zone_age` of its zones."""
    whole = [Layer(replace(plan, zones={}, skin={}))]
    by_age: dict[float, list[str]] = {}
    for zone, score in plan.zones.items():
        by_age.setdefault(zone_age(zone, score), []).append(zone)
    return whole + [Layer(replace(plan, age=age, zones={}, skin={}), tuple(zones)) for age, zones in by_age.items()]
