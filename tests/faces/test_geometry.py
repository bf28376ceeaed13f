"""Face units, the crop grid, and the masks of zones: they share out the face, the same on both sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.faces.geometry import (
    EYES_IN_CROP,
    FACE_PER_CROP,
    FIVE_POINTS,
    ellipse_mask,
    face_grid,
    smoothstep,
    template_points,
    zone_masks,
)
from reage.types import Face, Pixels, Plane
from reage.zones import ZONE_SHAPES, ZONES, Ellipse, mirrored_zone

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


@pytest.mark.parametrize("zone", ZONES)
def test_the_other_side_is_the_mirror_image(face: Face, zone: str) -> None:
    masks = zone_masks(face)
    np.testing.assert_allclose(masks[zone][:, ::-1], masks[mirrored_zone(zone)], atol=1e-3)


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


def test_zones_sit_where_their_names_say(face: Face, ibug: Plane) -> None:
    masks = zone_masks(face)

    def near(zone: str, landmarks: list[int], right: float = 0.0, down: float = 0.0) -> float:
        """The mask beside the mean of some landmarks, by parts of the distance between the eyes."""
        moved = ibug[landmarks].mean(0) + np.array([right, down]) * face.crop.shape[0] / FACE_PER_CROP
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
