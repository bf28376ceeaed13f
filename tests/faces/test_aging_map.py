"""Aging maps: levels, borders, overlaps and symmetry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reage.faces.aging_map import MAP_AGES_YEARS, make_aging_map, make_location_gradients
from reage.faces.geometry import FACE_SHAPE, FACE_SOFTNESS, FIVE_POINTS, ellipse_mask, face_grid, template_points
from reage.images import geometry
from reage.types import Plane
from reage.zones import ZONE_SHAPES, ZONES, mirrored_zone

ages = st.floats(1, 100)
zone_scores = st.dictionaries(st.sampled_from(ZONES), st.floats(0, 1))


def draw_map(age_years: float, scores: Mapping[str, float], side_px: int = 128, longer: float = 1.0) -> Plane:
    return make_aging_map(side_px, template_points(FIVE_POINTS * [1, longer], side_px), age_years, scores)


def test_hair_takes_the_age_of_the_face() -> None:
    hair = np.zeros((64, 64), np.float32)
    hair[4:12, 24:40] = 1
    points = template_points(FIVE_POINTS, 128)
    bare, haired = (make_aging_map(128, points, 80.0, {}, one) for one in (None, hair))
    assert bare[14, 64] < 0.05
    assert haired[14, 64] > 0.9
    np.testing.assert_allclose(haired[40:], bare[40:], atol=0.01)


def level_at(drawn: Plane, x: float, y: float) -> float:
    """The map at a place in face units."""
    column, row = np.rint(template_points(np.array([[x, y]]), len(drawn))[0]).astype(int)
    return float(drawn[row, column])


@given(ages, zone_scores, st.floats(0.85, 1.15))
def test_map_lies_between_no_face_and_the_oldest(age: float, scores: dict[str, float], longer: float) -> None:
    drawn = draw_map(age, scores, 64, longer)
    assert drawn.shape == (64, 64)
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() < 1e-6
    assert 0.09 < drawn.max() <= 1


@pytest.mark.parametrize(("age", "level"), [(18, 0.1), (49, 0.55), (80, 1.0), (1, 0.1), (95, 1.0)])
def test_fill_is_the_age_within_its_ends(age: float, level: float) -> None:
    drawn = draw_map(age, {})
    assert level_at(drawn, 0, FACE_SHAPE.y) == pytest.approx(level, abs=1e-4)
    assert drawn[0].max() == drawn[:, 0].max() == 0


def test_fill_ends_where_the_mean_face_does() -> None:
    oval = ellipse_mask(face_grid(256, template_points(FIVE_POINTS, 256)), FACE_SHAPE, FACE_SOFTNESS)
    np.testing.assert_array_equal(draw_map(80, {}, 256) > 0.5, geometry.blur(oval, 0.02 * 256) > 0.5)


@pytest.mark.parametrize("zone", ZONES)
def test_zone_shows_its_score_and_leaves_the_rest_to_the_age(zone: str) -> None:
    shape = ZONE_SHAPES[zone]
    plain, old, young = (draw_map(49, scores) for scores in ({}, {zone: 1.0}, {zone: 0.0}))
    assert level_at(old, shape.x, shape.y) > 0.85  # a narrow zone loses a little to the blur
    assert level_at(young, shape.x, shape.y) < 0.25
    grid = face_grid(128)
    away = np.hypot(grid[..., 0] - shape.x, grid[..., 1] - shape.y) > shape.half_width + shape.half_height + 0.35
    np.testing.assert_allclose(old[away], plain[away], atol=1e-3)
    np.testing.assert_allclose(old - plain, plain - young, atol=1e-5)


def test_large_zone_has_its_very_score() -> None:
    forehead = ZONE_SHAPES["forehead"]
    assert level_at(draw_map(20, {"forehead": 0.7}), forehead.x, forehead.y) == pytest.approx(0.1 + 0.9 * 0.7, abs=0.01)


def test_overlapping_zones_share_the_mean() -> None:
    """The tips of forehead and glabella cover each other."""
    one, other = ZONE_SHAPES["forehead"], ZONE_SHAPES["glabella"]
    y = (one.y + one.half_height + other.y - other.half_height) / 2
    both = draw_map(80, {"forehead": 0.9, "glabella": 0.1}, 512)
    means = draw_map(80, {"forehead": 0.5, "glabella": 0.5}, 512)
    swapped = draw_map(80, {"forehead": 0.1, "glabella": 0.9}, 512)
    assert level_at(both, 0, y) == pytest.approx(level_at(means, 0, y), abs=0.04)
    np.testing.assert_allclose(both / 2 + swapped / 2, means, atol=1e-5)


@given(ages, zone_scores)
def test_map_of_mirrored_scores_is_mirrored(age: float, scores: dict[str, float]) -> None:
    mirrored = draw_map(age, {mirrored_zone(zone): score for zone, score in scores.items()}, 64)
    np.testing.assert_allclose(draw_map(age, scores, 64)[:, ::-1], mirrored, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(ages, zone_scores, st.floats(0.85, 1.15))
def test_map_is_the_same_picture_at_any_size(age: float, scores: dict[str, float], longer: float) -> None:
    small, large = (draw_map(age, scores, side, longer) for side in (128, 512))
    np.testing.assert_allclose(geometry.resize(large, 128, 128), small, atol=0.04)


@pytest.mark.parametrize("side", [128, 512])
def test_borders_are_soft_in_proportion_to_the_crop(side: int) -> None:
    """A Gaussian of sigma s makes steps no steeper than height / (2.5 s)."""
    drawn = draw_map(80, {zone: float("left" in zone) for zone in ZONES}, side)
    steepest = max(np.abs(np.diff(drawn, axis=axis)).max() for axis in (0, 1)) * side
    assert 0.5 / (2.5 * 0.02) < steepest <= 1.0 / (2.5 * 0.02)


def test_map_moves_with_the_face() -> None:
    nose = ZONE_SHAPES["upper_lip"].y
    long, short = (draw_map(18, {"upper_lip": 1.0}, 256, longer) for longer in (1.1, 0.9))
    assert level_at(long, 0, 1.1 * nose) > 0.8 > level_at(short, 0, 1.1 * nose)


def test_ages_of_the_map_are_in_order() -> None:
    youngest, oldest = MAP_AGES_YEARS
    levels = [level_at(draw_map(age, {}), 0, FACE_SHAPE.y) for age in np.linspace(youngest, oldest, 9)]
    np.testing.assert_allclose(np.diff(levels), 0.9 / 8, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 65, 512])
def test_gradients_rise_to_the_right_and_downward(side: int) -> None:
    x, y = make_location_gradients(side)
    assert x.shape == y.shape == (side, side)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0], np.linspace(0, 1, side), atol=1e-6)
    np.testing.assert_array_equal(x, np.broadcast_to(x[0], x.shape))
    np.testing.assert_array_equal(y, x.T)
