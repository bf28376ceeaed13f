"""Aging maps in the common face: levels, overlaps, symmetry, and where they lie on a person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reage.faces.aging_map import (
    MAP_AGES_YEARS,
    age_share,
    draw_on_face,
    make_aging_map,
    make_location_gradients,
    map_of_shares,
)
from reage.faces.geometry import zone_masks
from reage.faces.skin_detail import PATCHES, patch_weights
from reage.images import geometry
from reage.types import Face
from reage.zones import ZONES, mirrored_zone

ages = st.floats(1, 100)
zone_scores = st.dictionaries(st.sampled_from(ZONES), st.floats(0, 1))


def weight_of(zone: str, side_px: int) -> np.ndarray:
    return geometry.resize(patch_weights()[PATCHES.index(zone)], side_px, side_px)


@settings(deadline=None)
@given(ages, zone_scores)
def test_map_lies_between_the_youngest_and_the_oldest(age: float, scores: dict[str, float]) -> None:
    drawn = make_aging_map(64, age, scores)
    assert drawn.shape == (64, 64)
    assert drawn.dtype == np.float32
    assert 0.1 - 1e-5 <= drawn.min() <= drawn.max() <= 1 + 1e-5


@pytest.mark.parametrize(("age", "level"), [(18, 0.1), (54, 0.55), (90, 1.0), (1, 0.1), (99, 1.0)])
def test_fill_is_the_age_within_its_ends(age: float, level: float) -> None:
    np.testing.assert_allclose(make_aging_map(64, age, {}), level, atol=1e-5)
    assert 0.1 + 0.9 * age_share(age) == pytest.approx(level)


@pytest.mark.parametrize("zone", ZONES)
def test_zone_shows_its_score_and_leaves_the_rest_to_the_age(zone: str) -> None:
    plain, old, young = (make_aging_map(96, 54, scores) for scores in ({}, {zone: 1.0}, {zone: 0.0}))
    weight = weight_of(zone, 96)
    place = np.unravel_index(weight.argmax(), weight.shape)
    assert old[place] > plain[place] + 0.2
    assert young[place] < plain[place] - 0.2
    away = geometry.blur(weight, 4.0) < 1e-3
    np.testing.assert_allclose(old[away], plain[away], atol=2e-3)
    np.testing.assert_allclose(old - plain, plain - young, atol=1e-5)


def test_overlapping_zones_share_the_mean() -> None:
    one, other = {"forehead": 0.9, "glabella": 0.1}, {"forehead": 0.1, "glabella": 0.9}
    means = make_aging_map(96, 80, {"forehead": 0.5, "glabella": 0.5})
    np.testing.assert_allclose((make_aging_map(96, 80, one) + make_aging_map(96, 80, other)) / 2, means, atol=1e-5)


@settings(deadline=None)
@given(ages, zone_scores)
def test_map_of_mirrored_scores_is_mirrored(age: float, scores: Mapping[str, float]) -> None:
    mirrored = make_aging_map(64, age, {mirrored_zone(zone): score for zone, score in scores.items()})
    np.testing.assert_allclose(make_aging_map(64, age, scores)[:, ::-1], mirrored, atol=0.02)


@settings(max_examples=20, deadline=None)
@given(ages, zone_scores)
def test_map_is_the_same_picture_at_any_size(age: float, scores: dict[str, float]) -> None:
    small, large = (make_aging_map(side, age, scores) for side in (128, 512))
    np.testing.assert_allclose(geometry.resize(large, 128, 128), small, atol=0.04)


def test_maps_are_linear_in_their_shares() -> None:
    shares = np.linspace(0, 1, len(PATCHES))
    doubled = map_of_shares(2 * shares, 64) - map_of_shares(shares, 64)
    np.testing.assert_allclose(doubled, map_of_shares(shares, 64) - map_of_shares(0 * shares, 64), atol=1e-5)


@pytest.mark.parametrize("zone", ["forehead", "nasolabial.left"])
def test_a_map_lies_on_the_zones_of_a_person(face: Face, zone: str) -> None:
    drawn = draw_on_face(face, make_aging_map(256, 18, {zone: 1.0}))
    mask = zone_masks(face)[zone]
    assert drawn.shape == face.crop.shape[:2]
    assert np.average(drawn, weights=mask) > 0.5
    assert not drawn[face.matte == 0].any()


def test_ages_of_the_map_are_in_order() -> None:
    levels = [float(make_aging_map(8, age, {}).mean()) for age in np.linspace(*MAP_AGES_YEARS, 9)]
    np.testing.assert_allclose(np.diff(levels), 0.9 / 8, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 65, 512])
def test_gradients_rise_to_the_right_and_downward(side: int) -> None:
    x, y = make_location_gradients(side)
    assert x.shape == y.shape == (side, side)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0], np.linspace(0, 1, side), atol=1e-6)
    np.testing.assert_array_equal(x, np.broadcast_to(x[0], x.shape))
    np.testing.assert_array_equal(y, x.T)
