"""The expression follows the points of the mesh, whatever their frame."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.expression import EXPRESSIONS, measure_expression
from reage.types import Face


def test_the_demo_face_smiles(face: Face) -> None:
    assert tuple(face.expression) == EXPRESSIONS
    assert len(EXPRESSIONS) == 52
    assert all(0 <= score <= 1 for score in face.expression.values())
    assert min(face.expression["mouthSmileLeft"], face.expression["mouthSmileRight"]) > 0.5
    assert max(face.expression["eyeBlinkLeft"], face.expression["mouthPucker"]) < 0.5


def test_the_frame_does_not_matter(face: Face) -> None:
    moved = measure_expression(face.to_crop(face.mesh))
    assert [moved[name] for name in EXPRESSIONS] == pytest.approx(list(face.expression.values()), abs=0.02)


def test_an_open_jaw_and_shut_eyes_are_seen(face: Face) -> None:
    mesh = face.mesh.copy()
    mesh[[145, 153, 144, 154, 163]] = mesh[[159, 158, 160, 157, 161]]  # the lids of the eye on the left of the picture
    shut = measure_expression(mesh)
    assert shut["eyeBlinkRight"] > face.expression["eyeBlinkRight"] + 0.1
    assert abs(shut["eyeBlinkLeft"] - face.expression["eyeBlinkLeft"]) < 0.1
    mesh = face.mesh.copy()
    height = np.linalg.norm(mesh[152] - mesh[10])
    mesh[[14, 87, 317, 17, 84, 314, 152, 148, 377, 176, 400, 149, 378, 150, 379, 178, 402], 1] += 0.15 * height
    assert measure_expression(mesh)["jawOpen"] > face.expression["jawOpen"] + 0.1
