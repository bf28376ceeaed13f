"""The common face: features lie at the same place whoever's face it is, and hidden skin is known to be hidden."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.common_face import (
    align_mesh,
    common_points,
    fit_common_face,
    mean_mesh,
    mirrored_points,
)
from reage.images import geometry
from reage.mesh_points import FACE_OUTLINE
from reage.types import Plane

SIDE = 400
NOSE, CHIN, LEFT_CHEEK, RIGHT_CHEEK = 1, 152, 50, 280
INNER = [33, 133, 362, 263, NOSE, 61, 291, LEFT_CHEEK, RIGHT_CHEEK]


def place_mean_mesh(yaw_degrees: float = 0.0, px: float = 80.0) -> Plane:
    """(478, 3) px of the mean mesh turned to the right of the picture, in the middle of a picture of `SIDE`."""
    angle = np.deg2rad(yaw_degrees)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return (mean_mesh() @ turn.T * px + [SIDE / 2, SIDE / 2 - 40, 0]).astype(np.float32)


def test_the_mean_mesh_is_symmetric_with_eyes_one_unit_apart() -> None:
    points, mirrored = mean_mesh(), mirrored_points()
    np.testing.assert_array_equal(mirrored[mirrored], np.arange(478))
    np.testing.assert_allclose(points[mirrored] * [-1, 1, 1], points, atol=2e-3)
    eyes = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("yaw", [0.0, 20.0, -35.0])
def test_mesh_points_lie_at_their_place_in_the_plane(yaw: float) -> None:
    mesh = place_mean_mesh(yaw)
    straight = fit_common_face(mesh).straighten(512)
    at_points = geometry.sample(straight, (common_points()[INNER] * 512 - 0.5).astype(np.float32)[None])[0]
    np.testing.assert_allclose(at_points, mesh[INNER, :2], atol=3.0)


@pytest.mark.parametrize("yaw", [0.0, 20.0])
def test_both_maps_are_inverse_where_the_face_is_seen(face_mesh: Plane, yaw: float) -> None:
    for mesh in (place_mean_mesh(yaw), face_mesh):
        places = fit_common_face(mesh).unroll(SIDE)
        found = geometry.sample(places, mesh[INNER, :2][None].astype(np.float32))[0]
        np.testing.assert_allclose(found, common_points()[INNER], atol=0.012)


@pytest.fixture
def face_mesh(mesh: Plane) -> Plane:
    """The mesh of the demo photo in a picture of `SIDE`."""
    return (mesh * np.float32(SIDE / 512)).astype(np.float32)


def test_the_far_cheek_of_a_turned_head_is_hidden() -> None:
    common = fit_common_face(place_mean_mesh(50.0))
    visible = common.visibility(200)
    left, right = (common_points()[[234, 454]] * 200).astype(int)
    assert visible[left[1], left[0] + 4] > 0.9
    assert visible[right[1], right[0] - 4] < 0.1
    frontal = fit_common_face(place_mean_mesh()).visibility(200)
    np.testing.assert_allclose(frontal, frontal[:, ::-1], atol=0.05)


def test_moved_points_shift_the_picture_and_nothing_far_from_the_face() -> None:
    mesh = place_mean_mesh()
    common = fit_common_face(mesh)
    assert not common.move(np.zeros((478, 2)), SIDE).any()
    moves = np.zeros((478, 2))
    moves[:, 1] = 0.01
    shift = common.move(moves, SIDE)
    x, y = mesh[NOSE, :2].astype(int)
    down_px = 0.01 * 4.0 * 80
    np.testing.assert_allclose(shift[y, x], [0, -down_px], atol=0.4)
    assert not shift[0].any()
    assert not shift[:, 0].any()
    half = common.move(moves, SIDE, SIDE // 2)
    np.testing.assert_allclose(half[y // 2, x // 2], shift[y, x] / 2, atol=0.1)


def test_the_outline_of_the_mesh_lies_inside_the_plane() -> None:
    places = common_points()[list(FACE_OUTLINE)]
    assert places.min() > 0.02
    assert places.max() < 0.98


def test_a_turned_and_scaled_mean_mesh_has_the_mean_shape() -> None:
    angle = 0.4
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    mesh = (mean_mesh() @ turn.T * 70 + [200, 90, 5]).astype(np.float32)
    np.testing.assert_allclose(align_mesh(mesh), common_points(), atol=1e-4)
