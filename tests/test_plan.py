"""From an order to a complete one, and from zones to ages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.plan import Layer, complete, layers, typical_score, zone_age
from reage.types import ZONES, Plan, Reading


def read(age_years: float) -> Reading:
    return Reading(age_years=age_years, age_std_years=5.0, masculinity=0.5)


@given(st.floats(0, 1))
def test_scores_and_ages_are_inverse(score: float) -> None:
    assert typical_score(zone_age(score)) == pytest.approx(score, abs=1e-9)


@given(st.floats(1, 100), st.floats(1, 100))
def test_the_older_have_the_higher_scores(age: float, other: float) -> None:
    assert 0 <= typical_score(age) <= 1
    assert (age <= other) <= (typical_score(age) <= typical_score(other))


def test_the_ends_of_the_scale_are_young_and_old() -> None:
    assert zone_age(0) < 30
    assert zone_age(1) > 75
    assert typical_score(1) == 0
    assert typical_score(100) == 1


def test_what_was_measured_fills_the_gaps() -> None:
    plan = complete(Plan(age=70, strength=0.5, seed=4, zones={"forehead": 0.2}), read(41.5))
    assert plan == Plan(age=70, age_from=41.5, strength=0.5, seed=4, zones={"forehead": 0.2})


def test_what_was_ordered_is_kept() -> None:
    assert complete(Plan(age=70, age_from=30), read(41.5)) == Plan(age=70, age_from=30)


def test_zones_alone_leave_the_age() -> None:
    assert complete(Plan(zones={"forehead": 0.9}), read(41.5)).age == 41.5
    assert complete(Plan(zones={"forehead": 0.9}, age_from=33), read(41.5)).age == 33


@pytest.mark.parametrize(("measured", "taken"), [(0.2, 1), (104.0, 100), (55.5, 55.5)])
def test_readings_beyond_the_range_of_targets_are_brought_into_it(measured: float, taken: float) -> None:
    assert complete(Plan(zones={"all": 0.5}), read(measured)).age_from == taken


def test_zones_of_one_score_share_a_layer() -> None:
    plan = Plan(age=40, age_from=40, seed=3, strength=0.7, zones={"upper": 0.9, "forehead": 0.1, "lower": 0.9})
    whole, *zoned = layers(plan)
    assert whole == Layer(Plan(age=40, age_from=40, seed=3, strength=0.7))
    assert sorted(zone for layer in zoned for zone in layer.zones) == sorted(ZONES)
    assert {layer.plan.age: len(layer.zones) for layer in zoned} == {zone_age(0.1): 1, zone_age(0.9): len(ZONES) - 1}
    assert all((layer.plan.seed, layer.plan.strength, layer.plan.zones) == (3, 0.7, {}) for layer in zoned)


def test_without_zones_there_is_one_layer() -> None:
    assert layers(Plan(age=40, age_from=30)) == [Layer(Plan(age=40, age_from=30))]
