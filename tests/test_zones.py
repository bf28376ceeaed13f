"""The zone table: typical scores, ages of scores, groups of zones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.faces.zone_scorer import ZoneScorer
from reage.training.measures.zone_report import typical_rows
from reage.zones import TYPICAL_AGES, ZONE_GROUPS, ZONE_TABLE, ZONES, expand_zones, typical_score, zone_age

scores = st.floats(0, 1)


# Typical scores


def test_the_table_is_that_of_the_shipped_scorer() -> None:
    assert {row.name: row.typical_scores for row in ZONE_TABLE} == dict(typical_rows(ZoneScorer.load("zones-a")))


def test_the_table_rises_within_the_scale() -> None:
    assert [row.name for row in ZONE_TABLE] == list(dict.fromkeys(zone.split(".")[0] for zone in ZONES))
    for row in (zone.typical_scores for zone in ZONE_TABLE):
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


# expand_zones


def test_groups_divide_the_zones() -> None:
    assert ZONE_GROUPS["all"] == ZONES
    assert set(ZONE_GROUPS["upper"]) | set(ZONE_GROUPS["lower"]) == set(ZONES)
    assert not set(ZONE_GROUPS["upper"]) & set(ZONE_GROUPS["lower"])
    assert "forehead" in ZONE_GROUPS["upper"]
    assert "upper_lip" in ZONE_GROUPS["lower"]
    assert ZONE_GROUPS["crows_feet"] == ("crows_feet.left", "crows_feet.right")


@pytest.mark.parametrize("name", ["all", "upper", "lower", "crows_feet", "forehead", "lip_corners.right"])
def test_a_name_stands_for_its_zones(name: str) -> None:
    zones = ZONE_GROUPS.get(name, (name,))
    assert expand_zones({name: 0.4}) == dict.fromkeys(zones, 0.4)


@given(st.permutations(["all", "upper", "under_eye", "under_eye.left"]))
def test_the_name_that_covers_fewer_zones_wins_in_any_order(names: list[str]) -> None:
    given_scores = {"all": 0.1, "upper": 0.2, "under_eye": 0.3, "under_eye.left": 0.4}
    found = expand_zones({name: given_scores[name] for name in names})
    assert found["under_eye.left"] == 0.4
    assert found["under_eye.right"] == 0.3
    assert found["forehead"] == 0.2
    assert found["upper_lip"] == 0.1


@given(st.dictionaries(st.sampled_from([*ZONES, *ZONE_GROUPS]), scores))
def test_expanded_zones_are_in_order_and_stay_as_they_are(given_scores: dict[str, float]) -> None:
    found = expand_zones(given_scores)
    assert list(found) == [zone for zone in ZONES if zone in found]
    assert expand_zones(found) == found
    for zone in set(given_scores) & set(ZONES):
        assert found[zone] == given_scores[zone]
