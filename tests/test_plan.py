"""Complete plans, and their layers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reage.plan import Layer, complete, layers
from reage.types import CompletePlan, Plan, Reading
from reage.zones import ZONES, typical_score, zone_age


def read(age_years: float, scores: Mapping[str, float] | None = None) -> Reading:
    return Reading(age_years=age_years, age_std_years=5.0, masculinity=0.5, zones=scores or {})


def test_what_was_measured_fills_the_gaps() -> None:
    plan = complete(Plan(age=70, strength=0.5, seed=4, zones={"forehead": 0.2}), read(41.5))
    assert plan == CompletePlan(age=70, age_from=41.5, strength=0.5, seed=4, zones={"forehead": 0.2})


def test_what_is_given_is_kept() -> None:
    assert complete(Plan(age=70, age_from=30), read(41.5)) == CompletePlan(age=70, age_from=30)


def test_zones_alone_leave_the_age() -> None:
    assert complete(Plan(zones={"forehead": 0.9}), read(41.5)).age == 41.5
    assert complete(Plan(zones={"forehead": 0.9}, age_from=33), read(41.5)).age == 33


@pytest.mark.parametrize(("measured", "taken"), [(0.2, 1), (104.0, 100), (55.5, 55.5)])
def test_readings_beyond_the_range_of_targets_are_clipped(measured: float, taken: float) -> None:
    assert complete(Plan(zones={"all": 0.5}), read(measured)).age_from == taken


def test_measured_scores_move_to_the_target_age() -> None:
    scores = {"forehead": 0.3, "crows_feet.left": 0.5}
    zones = complete(Plan(age=70), read(40, scores)).zones
    assert set(zones) == set(scores)
    for zone, score in scores.items():
        assert zones[zone] == pytest.approx(score + typical_score(zone, 70) - typical_score(zone, 40))
        assert zones[zone] > score + 0.05
    assert complete(Plan(age=20), read(40, scores)).zones["forehead"] < 0.3


def test_given_zones_win_over_measured_ones() -> None:
    plan = complete(Plan(age=70, zones={"crows_feet": 0.1}), read(40, {"forehead": 0.3, "crows_feet.left": 0.5}))
    assert set(plan.zones) == {"forehead", "crows_feet.left", "crows_feet.right"}
    assert plan.zones["crows_feet.left"] == plan.zones["crows_feet.right"] == 0.1


def test_other_zones_stay_when_no_age_is_given() -> None:
    assert complete(Plan(zones={"forehead": 0.9}), read(40, {"upper_lip": 0.3})).zones["upper_lip"] == 0.3


@pytest.mark.parametrize(("age", "score", "expected"), [(85, 0.99, 1), (20, 0.01, 0)])
def test_expected_scores_stay_on_the_scale(age: float, score: float, expected: float) -> None:
    assert complete(Plan(age=age), read(50, dict.fromkeys(ZONES, score))).zones == dict.fromkeys(ZONES, expected)


def test_zones_of_one_age_share_a_layer() -> None:
    plan = CompletePlan(age=40, age_from=40, seed=3, strength=0.7, zones={"upper": 0.9, "forehead": 0.1, "lower": 0.9})
    whole, *zoned = layers(plan)
    assert whole == Layer(CompletePlan(age=40, age_from=40, seed=3, strength=0.7))
    assert sorted(zone for layer in zoned for zone in layer.zones) == sorted(ZONES)
    assert all(zone_age(zone, plan.zones[zone]) == layer.plan.age for layer in zoned for zone in layer.zones)
    assert len({layer.plan.age for layer in zoned}) == len(zoned)
    assert all({"crows_feet.left", "crows_feet.right"} & set(layer.zones) != {"crows_feet.left"} for layer in zoned)
    assert all((layer.plan.seed, layer.plan.strength, layer.plan.zones) == (3, 0.7, {}) for layer in zoned)


def test_without_zones_there_is_one_layer() -> None:
    assert layers(CompletePlan(age=40, age_from=30)) == [Layer(CompletePlan(age=40, age_from=30))]
