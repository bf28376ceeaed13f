"""From an order to a complete one, and from zones to ages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.faces.zone_scorer import ZoneScorer
from reage.plan import Layer, complete, layers
from reage.training.measures.zone_report import typical_rows
from reage.types import Plan, Reading
from reage.zones import TYPICAL_AGES, TYPICAL_SCORES, ZONES, typical_score, zone_age


def read(age_years: float, scores: Mapping[str, float] | None = None) -> Reading:
    return Reading(age_years=age_years, age_std_years=5.0, masculinity=0.5, zones=scores or {})


def test_the_table_is_that_of_the_shipped_scorer() -> None:
    assert dict(TYPICAL_SCORES) == dict(typical_rows(ZoneScorer.load("zones-a")))


def test_the_table_rises_within_the_scale() -> None:
    assert list(TYPICAL_SCORES) == list(dict.fromkeys(zone.split(".")[0] for zone in ZONES))
    for row in TYPICAL_SCORES.values():
        assert len(row) == len(TYPICAL_AGES)
        assert 0 < row[0] < 0.5 < row[-1] < 1
        assert min(np.diff(row)) > 0


@pytest.mark.parametrize("zone", ZONES)
@given(age=st.floats(25, 80))
def test_scores_and_ages_are_inverse(zone: str, age: float) -> None:
    assert zone_age(zone, typical_score(zone, age)) == pytest.approx(age, abs=1e-6)


@given(st.sampled_from(ZONES), st.floats(1, 100), st.floats(1, 100))
def test_the_older_have_the_higher_scores(zone: str, age: float, other: float) -> None:
    assert 0 < typical_score(zone, age) < 1
    assert (age <= other) <= (typical_score(zone, age) <= typical_score(zone, other))


@given(st.sampled_from(ZONES), st.floats(0, 1), st.floats(0, 1))
def test_the_higher_scores_look_older(zone: str, score: float, other: float) -> None:
    assert 20 <= zone_age(zone, score) <= 85
    assert (score <= other) <= (zone_age(zone, score) <= zone_age(zone, other))


@pytest.mark.parametrize("zone", ZONES)
def test_the_ends_of_the_scale_are_young_and_old(zone: str) -> None:
    assert (zone_age(zone, 0), zone_age(zone, 1)) == (20, 85)
    assert typical_score(zone, 1) == typical_score(zone, 20)
    assert typical_score(zone, 100) == typical_score(zone, 85)


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


def test_measured_scores_are_carried_to_the_target() -> None:
    scores = {"forehead": 0.3, "crows_feet.left": 0.5}
    zones = complete(Plan(age=70), read(40, scores)).zones
    assert set(zones) == set(scores)
    for zone, score in scores.items():
        assert zones[zone] == pytest.approx(score + typical_score(zone, 70) - typical_score(zone, 40))
        assert zones[zone] > score + 0.05
    assert complete(Plan(age=20), read(40, scores)).zones["forehead"] < 0.3


def test_ordered_zones_win_over_measured_ones() -> None:
    plan = complete(Plan(age=70, zones={"crows_feet": 0.1}), read(40, {"forehead": 0.3, "crows_feet.left": 0.5}))
    assert set(plan.zones) == {"forehead", "crows_feet.left", "crows_feet.right"}
    assert plan.zones["crows_feet.left"] == plan.zones["crows_feet.right"] == 0.1


def test_zones_that_are_not_ordered_stay_when_no_age_is() -> None:
    assert complete(Plan(zones={"forehead": 0.9}), read(40, {"upper_lip": 0.3})).zones["upper_lip"] == 0.3


@pytest.mark.parametrize(("age", "score", "carried"), [(85, 0.99, 1), (20, 0.01, 0)])
def test_carried_scores_stay_on_the_scale(age: float, score: float, carried: float) -> None:
    assert complete(Plan(age=age), read(50, dict.fromkeys(ZONES, score))).zones == dict.fromkeys(ZONES, carried)


def test_zones_of_one_age_share_a_layer() -> None:
    plan = Plan(age=40, age_from=40, seed=3, strength=0.7, zones={"upper": 0.9, "forehead": 0.1, "lower": 0.9})
    whole, *zoned = layers(plan)
    assert whole == Layer(Plan(age=40, age_from=40, seed=3, strength=0.7))
    assert sorted(zone for layer in zoned for zone in layer.zones) == sorted(ZONES)
    assert all(zone_age(zone, plan.zones[zone]) == layer.plan.age for layer in zoned for zone in layer.zones)
    assert len({layer.plan.age for layer in zoned}) == len(zoned)
    assert all({"crows_feet.left", "crows_feet.right"} & set(layer.zones) != {"crows_feet.left"} for layer in zoned)
    assert all((layer.plan.seed, layer.plan.strength, layer.plan.zones) == (3, 0.7, {}) for layer in zoned)


def test_without_zones_there_is_one_layer() -> None:
    assert layers(Plan(age=40, age_from=30)) == [Layer(Plan(age=40, age_from=30))]
