"""Proportions of faces: the same in every pose, and moves that reach them."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.common_face import mean_mesh, mirrored_points
from reage.faces.head_pose import turn_mesh
from reage.faces.proportions import measure_proportions, proportions_shift
from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Face, Plane

CHIN, NOSE_BASE = 152, LANDMARK_POINTS[4]
SIDE = 200


def mesh_in_picture(yaw: float = 0.0) -> Plane:
    """The mean face, 50 px between the eyes."""
    mesh = (mean_mesh() * 50 + np.array([100, 90, 0])).astype(np.float32)
    return turn_mesh(mesh, (yaw, 0.0, 0.0))


def shorten_chin() -> Plane:
    """Moves that bring what lies below the nose nearer to it."""
    points = measure_proportions(mesh_in_picture())
    below = np.maximum(points[:, 1] - points[NOSE_BASE, 1], 0)
    return np.stack([np.zeros_like(below), -0.3 * below, np.zeros_like(below)], 1)


def test_the_eyes_are_the_unit_and_the_face_is_symmetric() -> None:
    points = measure_proportions(mesh_in_picture())
    corners = points[list(LANDMARK_POINTS[:4])]
    left, right = corners[:2].mean(0), corners[2:].mean(0)
    np.testing.assert_allclose((left + right) / 2, 0, atol=1e-5)
    assert np.linalg.norm(right - left) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(points, points[mirrored_points()] * [-1, 1, 1], atol=1e-5)


@pytest.mark.parametrize(("scale", "yaw"), [(2.0, 0.0), (1.0, 25.0)])
def test_neither_size_nor_pose_changes_them(scale: float, yaw: float) -> None:
    straight, other = measure_proportions(mesh_in_picture()), measure_proportions(mesh_in_picture(yaw) * scale)
    np.testing.assert_allclose(other, straight, atol=0.02)


def test_the_shift_brings_the_points_where_they_belong() -> None:
    mesh, moves = mesh_in_picture(), shorten_chin()
    shift = proportions_shift(mesh, moves, SIDE)
    by = moves[CHIN, :2] * np.linalg.norm(measure_eyes(mesh))
    x, y = np.round(mesh[CHIN, :2] + by).astype(int)
    np.testing.assert_allclose(shift[y, x], -by, atol=0.8)
    left, right = np.round(mesh[[33, 263], :2]).astype(int)
    for x, y in (left, right):
        assert np.abs(shift[y, x]).max() < 0.6


def measure_eyes(mesh: Plane) -> Plane:
    corners = mesh[list(LANDMARK_POINTS[:4])]
    return np.asarray(corners[2:].mean(0) - corners[:2].mean(0))


def test_a_turned_face_is_moved_less_across() -> None:
    widen = np.zeros((478, 3), np.float32)
    widen[:, 0] = 0.1 * measure_proportions(mesh_in_picture())[:, 0]
    straight, turned = (np.abs(proportions_shift(mesh_in_picture(yaw), widen, SIDE)[..., 0]).max() for yaw in (0, 40))
    assert turned < 0.9 * straight


def test_the_border_stays(face: Face) -> None:
    side = len(face.crop)
    shift = proportions_shift(face.in_crop_frame().mesh, 1.6 * shorten_chin(), side)
    assert np.abs(shift).max() > 0.02 * side
    for edge in (shift[0], shift[-1], shift[:, 0], shift[:, -1]):
        assert np.abs(edge).max() < 0.002 * side
    places = geometry.pixel_grid(side, side) + shift
    assert (np.diff(places[..., 0], axis=1) > 0).all()
    assert (np.diff(places[..., 1], axis=0) > 0).all()
