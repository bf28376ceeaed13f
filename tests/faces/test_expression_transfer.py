"""Target meshes: expression and pose of another, shape, size and place of the own face."""

from __future__ import annotations

import numpy as np
import pytest

from reage.errors import PlanError
from reage.faces.expression import measure_expression
from reage.faces.expression_transfer import (
    NAMED_EXPRESSIONS,
    ExpressionTransfer,
    limit_turn,
    snake_case,
)
from reage.faces.head_pose import fit_pose, turn_mesh
from reage.mesh_points import measure_eye_openness, measure_mouth_openness
from reage.types import Plane


@pytest.fixture(scope="module")
def transfer() -> ExpressionTransfer:
    return ExpressionTransfer.load()


def test_a_face_driven_by_itself_stays(transfer: ExpressionTransfer, mesh: Plane) -> None:
    np.testing.assert_allclose(transfer.move(mesh, driver=mesh), mesh, atol=0.05)
    np.testing.assert_allclose(transfer.move(mesh, angles=fit_pose(mesh).angles), mesh, atol=0.05)


@pytest.mark.parametrize(
    ("name", "score", "others"),
    [("jaw_open", 0.5, "mouthSmileLeft"), ("smile", 0.1, "browInnerUp"), ("brows_up", 0.8, "jawOpen")],
)
def test_a_named_expression_is_reached(
    transfer: ExpressionTransfer, mesh: Plane, name: str, score: float, others: str
) -> None:
    scores = transfer.check_scores({name: score})
    moved = measure_expression(transfer.move(mesh, scores=scores))
    assert [moved[one] for one in scores] == pytest.approx(list(scores.values()), abs=0.15)
    assert abs(moved[others] - measure_expression(mesh)[others]) < 0.35


def test_an_open_jaw_leaves_the_upper_lip_and_the_eyes(transfer: ExpressionTransfer, mesh: Plane) -> None:
    moved = transfer.move(mesh, scores=transfer.check_scores({"jaw_open": 0.6}))
    unit = fit_pose(mesh).scale
    assert measure_mouth_openness(moved) > measure_mouth_openness(mesh) + 0.2
    assert np.abs(moved[[0, 37, 267]] - mesh[[0, 37, 267]]).max() < 0.12 * unit
    assert (moved[152, 1] - mesh[152, 1]) > 0.15 * unit
    assert np.abs(moved[[33, 133, 159, 145]] - mesh[[33, 133, 159, 145]]).max() < 0.06 * unit


def test_the_expression_of_another_comes_without_its_shape_and_pose(transfer: ExpressionTransfer, mesh: Plane) -> None:
    other = turn_mesh(transfer.move(mesh, scores={"jawOpen": 0.6}), (15.0, 10.0, -20.0)) * [1.5, 1.5, 1.5] + 40
    moved = transfer.move(mesh, driver=other.astype(np.float32))
    assert measure_expression(moved)["jawOpen"] == pytest.approx(measure_expression(other)["jawOpen"], abs=0.12)
    assert fit_pose(moved).angles == pytest.approx(fit_pose(mesh).angles, abs=0.7)
    assert fit_pose(moved).scale == pytest.approx(fit_pose(mesh).scale, rel=0.02)


def test_shut_eyes_of_another_shut_the_eyes(transfer: ExpressionTransfer, mesh: Plane) -> None:
    shut = mesh.copy()
    for upper, lower in ((159, 145), (158, 153), (160, 144), (161, 163), (157, 154), (246, 7), (173, 155)):
        shut[upper, 1] = shut[lower, 1] - 1
    assert measure_eye_openness(shut)[0] < 0.14
    left, right = measure_eye_openness(transfer.move(mesh, driver=shut))
    assert left == pytest.approx(measure_eye_openness(shut)[0], abs=0.03)
    assert right > 0.15


def test_angles_are_reached_about_the_centre_of_the_head(transfer: ExpressionTransfer, mesh: Plane) -> None:
    moved = transfer.move(mesh, angles=(20.0, -10.0, 15.0))
    assert fit_pose(moved).angles == pytest.approx((20, -10, 15), abs=0.1)
    assert np.abs((moved - mesh).mean(0)[:2]).max() < 0.5 * fit_pose(mesh).scale


def test_names_are_plain_or_those_of_blend_shapes(transfer: ExpressionTransfer) -> None:
    assert snake_case("mouthSmileLeft") == "mouth_smile_left"
    assert transfer.check_scores({"mouth_smile_left": 0.3, "jawOpen": 1}) == {"mouthSmileLeft": 0.3, "jawOpen": 1.0}
    assert transfer.check_scores({"blink": 1}) == {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    for names in NAMED_EXPRESSIONS.values():
        assert set(names) <= set(transfer.known)


@pytest.mark.parametrize(("name", "score"), [("grin", 0.5), ("eye_look_up_left", 0.5), ("smile", 1.2), ("smile", -0.1)])
def test_other_names_and_scores_are_refused(transfer: ExpressionTransfer, name: str, score: float) -> None:
    with pytest.raises(PlanError, match=rf"^(There is no|The) expression '{name}'.*\.$"):
        transfer.check_scores({name: score})


def test_a_turn_is_limited_with_a_note(mesh: Plane) -> None:
    pose = fit_pose(mesh)
    yaw, pitch, roll = pose.angles
    assert limit_turn(pose, (yaw + 20, pitch, roll)) == ((yaw + 20, pitch, roll), "")
    angles, note = limit_turn(pose, (yaw + 50, pitch - 40, roll))
    assert angles == pytest.approx((yaw + 30, pitch - 30, roll))
    assert "yaw" in note
    assert "pitch" in note
    assert "roll" not in note
    assert note.endswith("30 degrees at most.")
