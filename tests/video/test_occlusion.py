"""What passes before a face."""

from __future__ import annotations

import numpy as np

from reage.face_classes import CLASSES
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.types import Face, Pixels
from reage.video.looking import find_shares, place_window
from reage.video.occlusion import FaceModel, hide, look_straight


def test_a_hand_before_the_face_is_no_skin(photo: Pixels, face: Face) -> None:
    random = np.random.default_rng(0)

    def shoot(pixels: Pixels, light: float) -> Pixels:
        noisy = pixels * light + random.normal(0, 2, pixels.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    looks = [look_straight(shoot(photo, 1 + 0.05 * np.sin(index)), face.mesh) for index in range(9)]
    assert FaceModel.learn(looks[:4]) is None
    model = FaceModel.learn(looks)
    assert model is not None
    assert model.find_strange(shoot(photo, 1.1), face.mesh) is None
    left, top = (face.mesh[:, :2].mean(0) - [0, 10]).astype(int).tolist()
    covered = photo.copy()
    covered[top : top + 45, left : left + 40] = np.median(photo[top : top + 10, left : left + 10], (0, 1))
    strange = model.find_strange(shoot(covered, 1.0), face.mesh)
    assert strange is not None
    shares = find_shares(covered, face.mesh, FaceParser.load())
    window = place_window(face.mesh, shares.shape[-1])
    hidden = hide(shares, strange, geometry.move_points(face.mesh, window))
    skin = CLASSES.index("skin")
    inside = np.array([[left + 20.0, top + 22.0], [left - 30.0, top + 10.0]])
    (x, y), (away_x, away_y) = np.rint(geometry.move_points(inside, window)).astype(int).tolist()
    assert hidden[skin, y, x] < 0.3 * max(shares[skin, y, x], 0.1)
    assert hidden[skin, away_y, away_x] > 0.7 * shares[skin, away_y, away_x]
    np.testing.assert_array_equal(hidden[CLASSES.index("hair")], shares[CLASSES.index("hair")])
