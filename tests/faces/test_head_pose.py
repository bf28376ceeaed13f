"""Pose taken from a mesh and given to it again."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.common_face import mean_mesh
from reage.faces.head_pose import fit_pose, rotation_of, turn_mesh
from reage.mesh_points import measure_pose
from reage.types import Plane


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (25.0, -10.0, 15.0), (-40.0, 20.0, -30.0)])
def test_the_angles_of_a_rotation_are_those_it_was_made_of(angles: tuple[float, float, float]) -> None:
    rotation = rotation_of(*angles)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    pose = fit_pose(80 * mean_mesh() @ rotation.T + [300, 200, 0])
    assert pose.angles == pytest.approx(angles, abs=1e-3)
    assert pose.scale == pytest.approx(80, rel=1e-3)


def test_a_mesh_taken_to_units_and_back_is_the_same(mesh: Plane) -> None:
    pose = fit_pose(mesh)
    np.testing.assert_allclose(pose.to_picture(pose.to_units(mesh)), mesh, atol=1e-2)
    eyes = pose.to_units(mesh)[[33, 263]]
    assert np.abs(eyes.mean(0)[:2]).max() < 0.1


def test_a_turned_mesh_has_the_angles_and_keeps_its_size_and_place(mesh: Plane) -> None:
    turned = turn_mesh(mesh, (20.0, 10.0, -15.0))
    assert measure_pose(turned) == pytest.approx((20, 10, -15), abs=1.5)
    assert fit_pose(turned).scale == pytest.approx(fit_pose(mesh).scale, rel=0.01)
    unit = fit_pose(mesh).scale
    assert np.abs(turned.mean(0) - mesh.mean(0))[:2].max() < 0.5 * unit


def test_an_open_jaw_does_not_change_the_angles(mesh: Plane) -> None:
    jaw = mesh.copy()
    jaw[[152, 148, 377, 176, 400, 17, 14, 84, 314], 1] += 0.4 * fit_pose(mesh).scale
    jaw[[152, 148, 377, 176, 400], 2] += 0.3 * fit_pose(mesh).scale
    assert fit_pose(jaw).angles == pytest.approx(fit_pose(mesh).angles, abs=1e-6)
    assert abs(measure_pose(jaw)[1] - measure_pose(mesh)[1]) > 2
