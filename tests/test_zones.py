"""The zone table: masks that share the face out, the same on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reage.faces.aging_map import MAP_AGES_YEARS, make_aging_map, make_location_gradients
from reage.faces.geometry import (
    EYES_IN_CROP,
    FACE_PER_CROP,
    FACE_SHAPE,
    FIVE_POINTS,
    bare_masks,
    ellipse_mask,
    face_grid,
    smoothstep,
    template_points,
    zone_masks,
)
from reage.faces.segmentation import face_oval
from reage.images import geometry
from reage.types import Face, Pixels, Plane
from reage.zones import ZONE_SHAPES, ZONES, Ellipse


def mirror_of(zone: str) -> str:
    side = {"left": "right", "right": "left"}
    name, _, own = zone.partition(".")
    return f"{name}.{side[own]}" if own else name


# Masks


def test_masks_share_the_face_out(face: Face) -> None:
    masks = zone_masks(face)
    assert tuple(masks) == ZONES
    for mask in masks.values():
        assert mask.shape == face.crop.shape[:2]
        assert mask.dtype == np.float32
        assert mask.min() >= 0
    assert np.sum(list(masks.values()), axis=0).max() <= 1 + 1e-5


def test_a_zone_alone_is_whole(face: Face) -> None:
    """Beside others it shares what lies in both."""
    alone, shared = zone_masks(face, ["glabella"]), zone_masks(face)
    assert tuple(alone) == ("glabella",)
    assert (alone["glabella"] >= shared["glabella"] - 1e-6).all()
    assert (alone["glabella"] - shared["glabella"]).max() > 0.3


def test_bare_skin_is_what_no_hair_covers(face: Face) -> None:
    covered = replace(face, hair=np.ones_like(face.hair))
    assert np.max(list(bare_masks(face).values())) > 0.99
    assert not np.any(list(bare_masks(covered).values()))
    assert np.sum(list(bare_masks(face).values()), axis=0).max() <= 1 + 1e-5


@pytest.mark.parametrize("zone", ZONES)
def test_the_other_side_is_the_mirror_image(face: Face, zone: str) -> None:
    masks = zone_masks(face)
    np.testing.assert_allclose(masks[zone][:, ::-1], masks[mirror_of(zone)], atol=1e-3)


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_holds_its_own_centre_more_than_any_other(face: Face, zone: str) -> None:
    grid = face_grid(face.crop.shape[0], face.to_crop(face.landmarks))
    shape = ZONE_SHAPES[zone]
    row, column = np.unravel_index(np.hypot(grid[..., 0] - shape.x, grid[..., 1] - shape.y).argmin(), grid.shape[:2])
    masks = zone_masks(face)
    assert masks[zone][row, column] > 0.5
    assert max(masks, key=lambda other: masks[other][row, column]) == zone


def test_left_is_the_viewers_left(face: Face) -> None:
    half = face.crop.shape[0] // 2
    masks = zone_masks(face)
    for zone in ("crows_feet", "under_eye", "nasolabial", "lip_corners"):
        assert masks[f"{zone}.left"][:, half:].max() < 0.05
        assert masks[f"{zone}.right"][:, :half].max() < 0.05


def test_zones_sit_where_their_names_say(face: Face) -> None:
    masks, dense = zone_masks(face), face.to_crop(face.dense_landmarks)

    def near(zone: str, landmarks: list[int], right: float = 0.0, down: float = 0.0) -> float:
        """The mask beside the mean of some landmarks, by parts of the distance between the eyes."""
        moved = dense[landmarks].mean(0) + np.array([right, down]) * face.crop.shape[0] / FACE_PER_CROP
        x, y = np.rint(moved).astype(int)
        return float(masks[zone][y, x])

    assert near("under_eye.left", [40, 41], down=0.2) > 0.5
    assert near("crows_feet.left", [36], right=-0.25) > 0.5
    assert near("interocular", [27]) > 0.5
    assert near("glabella", [21, 22]) > 0.5
    assert near("upper_lip", [33, 51]) > 0.5
    assert near("lip_corners.right", [54], right=0.1, down=0.25) > 0.5  # this mouth smiles: its corners are high
    assert near("nasolabial.right", [35, 54], right=0.05) > 0.5
    assert near("forehead", [21, 22], down=-0.5) > 0.5


# Face units


@pytest.mark.parametrize("side", [64, 65, 256])
def test_grid_and_points_agree(side: int) -> None:
    grid = face_grid(side)
    points = np.array([grid[3, 5], grid[side // 2, side - 1]])
    np.testing.assert_allclose(template_points(points, side), [(5, 3), (side - 1, side // 2)], atol=1e-3)
    np.testing.assert_allclose(grid[:, ::-1, 0], -grid[..., 0], atol=1e-5)


def test_eyes_are_one_unit_apart_and_level_about_their_place() -> None:
    eyes = FIVE_POINTS[:4].reshape(2, 2, 2).mean(1)
    np.testing.assert_allclose(eyes, [(-0.5, 0), (0.5, 0)], atol=1e-6)
    middle = template_points(eyes.mean(0, keepdims=True), 200)[0]
    np.testing.assert_allclose(middle, np.array(EYES_IN_CROP) * 200 - 0.5, atol=1e-3)


@pytest.mark.parametrize("longer", [0.9, 1.0, 1.1])
def test_long_noses_stretch_what_lies_below_the_eyes(longer: float) -> None:
    landmarks = template_points(FIVE_POINTS * [1, longer], 420)
    grid = face_grid(420, landmarks)
    x, y = np.rint(landmarks[4]).astype(int)
    assert grid[y, x, 1] == pytest.approx(FIVE_POINTS[4, 1], abs=0.01)
    np.testing.assert_array_equal(grid[:150], face_grid(420)[:150])


def test_masks_follow_the_crop_of_any_size(cut_face: Callable[..., Face], photo: Pixels) -> None:
    small, large = (zone_masks(cut_face(photo, (225.0, 103.0), 43.0, side_px=side)) for side in (96, 192))
    for zone in ZONES:
        np.testing.assert_allclose(small[zone].mean(), large[zone].mean(), rtol=0.02)


# Ellipses


def test_ellipse_is_half_at_its_border_and_turns_clockwise() -> None:
    grid = face_grid(840)
    mask = ellipse_mask(grid, Ellipse(0.2, -0.1, 0.8, 0.2, 90.0), 0.3)

    def at(x: float, y: float) -> float:
        column, row = np.rint(template_points(np.array([[x, y]]), 840)[0]).astype(int)
        return float(mask[row, column])

    assert at(0.2, -0.1) == 1
    assert at(0.2, 0.7) == pytest.approx(0.5, abs=0.03)
    assert at(0.2, 0.3) == 1
    assert at(0.6, -0.1) == 0
    tilted = ellipse_mask(grid, Ellipse(0.0, 0.0, 0.8, 0.2, 30.0), 0.3)
    rows, columns = np.nonzero(tilted > 0.5)
    assert np.corrcoef(columns, rows)[0, 1] > 0.5  # y grows downward: clockwise tips the right end down


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 2))
def test_smoothstep_rises_between_its_ends(value: float, zero_at: float, width: float) -> None:
    values = np.array([zero_at - width, zero_at, zero_at + width / 2, zero_at + width, zero_at + 2 * width], np.float32)
    np.testing.assert_allclose(smoothstep(values, zero_at, zero_at + width), [0, 0, 0.5, 1, 1], atol=1e-3)
    np.testing.assert_allclose(smoothstep(values, zero_at + width, zero_at), [1, 1, 0.5, 0, 0], atol=1e-3)
    one = np.float32(value)
    assert 0 <= float(smoothstep(np.array([one]), zero_at, zero_at + width)[0]) <= 1


# Aging maps

ages = st.floats(1, 100)
orders = st.dictionaries(st.sampled_from(ZONES), st.floats(0, 1))


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


@given(ages, orders, st.floats(0.85, 1.15))
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


def test_fill_ends_where_the_oval_of_the_face_does() -> None:
    points = template_points(FIVE_POINTS, 256)
    np.testing.assert_array_equal(draw_map(80, {}, 256) > 0.5, geometry.blur(face_oval(256, points), 0.02 * 256) > 0.5)


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


@given(ages, orders)
def test_map_of_a_mirrored_order_is_mirrored(age: float, scores: dict[str, float]) -> None:
    mirrored = draw_map(age, {mirror_of(zone): score for zone, score in scores.items()}, 64)
    np.testing.assert_allclose(draw_map(age, scores, 64)[:, ::-1], mirrored, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(ages, orders, st.floats(0.85, 1.15))
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
