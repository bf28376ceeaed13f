"""The inside of another face's mouth, and the light on both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.faces.head_pose import fit_pose
from reage.faces.mouth import borrow_mouth, is_reshaped, light_gain, mouth_box
from reage.mesh_points import LIP_OUTLINE, MOUTH_OUTLINE
from reage.types import Face, Pixels


def test_the_box_holds_the_lips(face: Face) -> None:
    rows, columns = mouth_box(face.mesh, 512, 512)
    lips = face.mesh[list(LIP_OUTLINE), :2]
    assert columns.start < lips[:, 0].min() < lips[:, 0].max() < columns.stop
    assert rows.start < lips[:, 1].min() < lips[:, 1].max() < rows.stop
    assert columns.stop - columns.start < 2 * np.ptp(lips[:, 0])
    outside = mouth_box(face.mesh - [400, 0, 0], 512, 512)
    assert outside[1].stop - outside[1].start == 0


def test_a_mouth_of_twice_the_size_elsewhere_shows_the_same_teeth(face: Face, photo: Pixels) -> None:
    mesh = (2 * (face.mesh - face.mesh[13]) + [64, 64, 0]).astype(np.float32)
    levels, share = borrow_mouth(face, mesh, 128, 128)
    assert share.max() > 0.9
    inside = mesh[list(MOUTH_OUTLINE), :2]
    rows, columns = np.nonzero(share)
    assert columns.min() >= inside[:, 0].min() - 2
    assert rows.max() <= inside[:, 1].max() + 2
    x, y = np.round((face.mesh[13, :2] + face.mesh[14, :2]) / 2).astype(int)
    at_x, at_y = np.round((mesh[13, :2] + mesh[14, :2]) / 2).astype(int)
    assert np.abs(levels[at_y, at_x] - photo[y, x]).max() < 25


def test_the_light_is_that_of_the_eyes(face: Face) -> None:
    darker = replace(face, crop=(face.crop * 0.8).astype(np.uint8))
    assert light_gain(face, face) == pytest.approx(1)
    assert light_gain(darker, face) == pytest.approx(0.8, abs=0.02)
    assert light_gain(face, replace(face, crop=face.crop // 8)) == pytest.approx(1.6)
    shut = face.mesh.copy()
    shut[[159, 386], 1] = shut[[145, 374], 1] - 0.02 * fit_pose(face.mesh).scale
    assert light_gain(darker, replace(face, mesh=shut)) == 1


def test_a_mouth_that_becomes_round_is_another_one(face: Face) -> None:
    unit = fit_pose(face.mesh).scale
    opened = face.mesh.copy()
    opened[[14, 87, 317], 1] += 0.3 * unit
    assert is_reshaped(face.mesh, opened)
    assert is_reshaped(opened, face.mesh)
    assert not is_reshaped(face.mesh, face.mesh * 2)
