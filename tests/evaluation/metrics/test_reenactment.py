"""Errors of pose, expression and shape by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reage.evaluation.metrics.reenactment import cosine, expression_error, landmark_error, pose_error_degrees
from reage.faces.expression import EXPRESSIONS
from reage.faces.head_pose import fit_pose, turn_mesh
from reage.types import Plane


def test_the_pose_error_is_the_angle_of_a_turn(mesh: Plane) -> None:
    straight = turn_mesh(mesh, (0.0, 0.0, 0.0))
    assert pose_error_degrees(mesh, mesh) == pytest.approx(0, abs=0.05)
    for angles in ((12.0, 0.0, 0.0), (0.0, 12.0, 0.0), (0.0, 0.0, 12.0)):
        assert pose_error_degrees(turn_mesh(mesh, angles), straight) == pytest.approx(12, abs=0.5)


def test_the_expression_error_leaves_the_gaze_out() -> None:
    scores = dict.fromkeys(EXPRESSIONS, 0.0)
    assert expression_error(scores, scores) == 0
    assert expression_error(scores, scores | {"eyeLookUpLeft": 1.0}) == 0
    assert expression_error(scores, scores | {"jawOpen": 0.44}) == pytest.approx(0.01)


def test_the_landmark_error_leaves_pose_and_size_out(mesh: Plane) -> None:
    other = turn_mesh(mesh, (15.0, 5.0, -10.0)) * 2 + 30
    assert landmark_error(other, mesh) == pytest.approx(0, abs=1e-3)
    wide = mesh.copy()
    wide[[61, 291], 1] += 0.468 * fit_pose(mesh).scale
    assert landmark_error(wide, mesh) == pytest.approx(0.002, rel=0.1)


def test_the_cosine_of_vectors() -> None:
    a, b = np.array([1.0, 0.0]), np.array([3.0, 3.0])
    assert cosine(a, 2 * a) == pytest.approx(1)
    assert cosine(a, b) == pytest.approx(np.sqrt(0.5))
