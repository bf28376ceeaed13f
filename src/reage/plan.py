"""Completes an order with what was measured: which age the person has, which age each zone should look."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reage.types import Plan, Reading

SMOOTHEST_ZONE_AGE, MOST_MARKED_ZONE_AGE = 20.0, 85.0
"""Ages at which a zone typically has score 0 and 1."""


def zone_age(score: float) -> float:
    """The age in years at which a zone typically has this score in [0, 1]."""
    return SMOOTHEST_ZONE_AGE + score * (MOST_MARKED_ZONE_AGE - SMOOTHEST_ZONE_AGE)


def typical_score(age_years: float) -> float:
    """The score in [0, 1] a zone typically has at an age; the inverse of `zone_age`, clipped."""
    share = (age_years - SMOOTHEST_ZONE_AGE) / (MOST_MARKED_ZONE_AGE - SMOOTHEST_ZONE_AGE)
    return min(1.0, max(0.0, share))


def complete(plan: Plan, reading: Reading) -> Plan:
    """The plan with no gaps: `age_from` as measured if it was not given, `age` as `age_from` if only zones were."""
    age_from = reading.age_years if plan.age_from is None else plan.age_from
    age_from = min(100.0, max(1.0, age_from))
    return replace(plan, age_from=age_from, age=age_from if plan.age is None else plan.age)


@dataclass(frozen=True)
class Layer:
    """One age, and the zones it is for; no zones means the whole face."""

    plan: Plan
    zones: tuple[str, ...] = ()


def layers(plan: Plan) -> list[Layer]:
    """Splits a complete plan into whole-face plans for an engine that knows only ages: the face, then the zones.

    Zones of one score share a layer, so that the engine runs once for each different age.
    """
    assert plan.age is not None
    whole = [Layer(replace(plan, zones={}))]
    by_score: dict[float, list[str]] = {}
    for zone, score in plan.zones.items():
        by_score.setdefault(score, []).append(zone)
    return whole + [
        Layer(replace(plan, age=zone_age(score), zones={}), tuple(zones)) for score, zones in by_score.items()
    ]
