"""Completes a plan with what was measured: the present age of the person, the present and expected score of each zone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reage.types import CompletePlan, Plan, Reading
from reage.zones import typical_score, zone_age


def complete(plan: Plan, reading: Reading) -> CompletePlan:
    """The plan with no gaps: `age_from` as measured if it was not given, `age` as `age_from` if only zones were.

    Each zone whose score was measured, and that the order does not name, gets the score to expect at the target age: as
    much above or below the average as now.
    """
    age_from = reading.age_years if plan.age_from is None else plan.age_from
    age_from = min(100.0, max(1.0, age_from))
    age = age_from if plan.age is None else plan.age
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in reading.zones.items()}
    return CompletePlan(
        age=age, zones={**expected, **plan.zones}, strength=plan.strength, seed=plan.seed, age_from=age_from
    )


def expected_score(zone: str, score: float, age_from: float, age: float) -> float:
    """The score to expect at an age of a zone that has one now: as much above or below the average as now."""
    return min(1.0, max(0.0, score + (typical_score(zone, age) - typical_score(zone, age_from))))


@dataclass(frozen=True)
class Layer:
    """One age, and the zones it is for; no zones means the whole face."""

    plan: CompletePlan
    zones: tuple[str, ...] = ()


def layers(plan: CompletePlan) -> list[Layer]:
    """Splits a complete plan into whole-face plans for an engine that knows only ages: the face, then the zones.

    Zones of one age share a layer, so that the engine runs once for each different age.
    """
    whole = [Layer(replace(plan, zones={}))]
    by_age: dict[float, list[str]] = {}
    for zone, score in plan.zones.items():
        by_age.setdefault(zone_age(zone, score), []).append(zone)
    return whole + [Layer(replace(plan, age=age, zones={}), tuple(zones)) for age, zones in by_age.items()]
