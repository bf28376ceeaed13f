"""Where a head looks, and turning it."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.common_face import mean_mesh
from reage.faces.head_pose import STABLE_POINTS, fit_pose, rotation_of, turn_mesh
from reage.mesh_points import FACE_OUTLINE, measure_pose
from reage.types import Plane


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (0, -15, 0), (0, 0, 30), (-20, 10, 12)])
def test_a_turned_mesh_has_the_angles_that_were_asked_for(mesh: Plane, angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(measure_pose(turn_mesh(mesh, angles)), angles, atol=0.5)


def test_the_pose_it_has_already_moves_nothing(mesh: Plane) -> None:
    np.testing.assert_allclose(turn_mesh(mesh, measure_pose(mesh)), mesh, atol=0.05)


def test_turning_there_and_back_is_no_change(mesh: Plane) -> None:
    there = turn_mesh(mesh, (30, -10, 5))
    assert np.abs(there - mesh).max() > 20
    np.testing.assert_allclose(turn_mesh(there, measure_pose(mesh)), mesh, atol=1)


def test_a_head_turns_about_its_middle(mesh: Plane) -> None:
    """The nose moves to where the face looks, and the outline stays about where it is."""
    by = (turn_mesh(mesh, (20, 0, 0)) - turn_mesh(mesh, (0, 0, 0)))[:, 0]
    eyes = np.linalg.norm(mesh[33] - mesh[263])
    assert by[4] > 0.25 * eyes
    assert np.abs(by[list(FACE_OUTLINE)]).mean() < 0.6 * by[4]


def test_the_pose_of_the_mean_mesh_is_what_moved_it() -> None:
    moved = 80 * mean_mesh() @ rotation_of(15, -8, 20).T + [300, 200, 10]
    pose = fit_pose(moved)
    assert pose.scale == pytest.approx(80)
    np.testing.assert_allclose(pose.rotation, rotation_of(15, -8, 20), atol=1e-6)
    np.testing.assert_allclose(pose.to_units(moved), mean_mesh(), atol=1e-4)
    np.testing.assert_allclose(pose.to_picture(mean_mesh()), moved, atol=1e-2)


def test_the_pose_does_not_follow_an_open_mouth(mesh: Plane) -> None:
    opened = mesh.copy()
    lower = [point for point in range(468) if mesh[point, 1] > mesh[14, 1] and point not in STABLE_POINTS]
    opened[lower, 1] += 30
    np.testing.assert_allclose(fit_pose(opened).rotation, fit_pose(mesh).rotation)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (25.0, -10.0, 15.0), (-40.0, 20.0, -30.0)])
def test_the_angles_of_a_pose_are_those_it_was_made_of(angles: tuple[float, float, float]) -> None:
    pose = fit_pose(80 * mean_mesh() @ rotation_of(*angles).T + [300, 200, 0])
    assert pose.angles == pytest.approx(angles, abs=1e-3)
