"""Skin features: what changes them, what does not, and that left and right are mirror images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reage.faces.geometry import face_grid
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import FAMILIES, SkinView, make_skin_view, mirror_features, skin_tone
from reage.images import geometry
from reage.types import Face, Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONES


def view_of(face: Face, crop: Pixels | None = None) -> SkinView:
    return make_skin_view(face.crop if crop is None else crop, face.to_crop(face.landmarks), face.bare, face.hair)


def to_pixels(levels: np.ndarray) -> Pixels:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def test_sides_are_each_others_mirror_image() -> None:
    assert [MIRRORED_ZONES[i] for i in MIRRORED_ZONES] == list(range(len(ZONES)))
    assert ZONES[MIRRORED_ZONES[ZONES.index("under_eye.left")]] == "under_eye.right"
    assert ZONES[MIRRORED_ZONES[ZONES.index("forehead")]] == "forehead"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mirrored_face_has_mirrored_features(face: Face, family: str) -> None:
    points = (face.to_crop(face.landmarks) * (-1, 1) + (len(face.crop) - 1, 0))[[3, 2, 1, 0, 4]].astype(np.float32)
    pictures = [np.ascontiguousarray(plane[:, ::-1]) for plane in (face.crop, face.bare, face.hair)]
    mirrored = FAMILIES[family](make_skin_view(pictures[0], points, *pictures[1:]))
    features = FAMILIES[family](view_of(face))
    np.testing.assert_allclose(mirror_features(features, family), mirrored, atol=1e-3)
    assert np.abs(features - mirrored).max() > 0.1
    np.testing.assert_array_equal(mirror_features(mirror_features(features, family), family), features)


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_lines_raise_the_wrinkle_feature_of_their_zone(face: Face, family: str) -> None:
    lined = face.crop.astype(np.float32)
    for row in range(270, 340, 9):
        lined[row : row + 2, 150:240] *= 0.6
    before, after = (FAMILIES[family](view_of(face, crop))[:, 0] for crop in (face.crop, to_pixels(lined)))
    rise = dict(zip(ZONES, after - before, strict=True))
    assert rise["under_eye.left"] > 1
    assert max(abs(rise[zone]) for zone in ("forehead", "under_eye.right", "lip_corners.right")) < 0.1


def test_glasses_hide_what_they_cross(face: Face, mesh: Plane) -> None:
    x, y = np.moveaxis(face_grid(len(face.crop), face.to_crop(face.landmarks)), -1, 0)
    frames = np.abs(np.hypot(np.abs(x) - 0.5, y - 0.05) - 0.4) < 0.02
    frames |= (np.abs(x) < 0.12) & (np.abs(y - 0.02) < 0.02)
    worn = face.crop.copy()
    worn[frames] = 20
    parser, points = FaceParser.load(), face.to_crop(face.landmarks)
    views = [make_skin_view(crop, points, parser.parse(crop, mesh).bare, face.hair) for crop in (face.crop, worn)]
    bare, hidden = (dict(zip(ZONES, view.visible, strict=True)) for view in views)
    for zone in ("interocular", "under_eye.left", "under_eye.right"):
        assert hidden[zone] < bare[zone] - 0.12
    assert hidden["upper_lip"] == pytest.approx(bare["upper_lip"], abs=0.02)


def test_lines_that_an_edit_draws_hide_nothing(face: Face) -> None:
    lined = face.crop.copy()
    lined[225:285:6, 130:165] = 20
    np.testing.assert_array_equal(view_of(face, lined).weights, view_of(face).weights)


@pytest.mark.parametrize("family", FAMILIES)
def test_contrast_does_not_change_the_features(face: Face, family: str) -> None:
    soft = to_pixels(255 * (face.crop / 255) ** 0.8)
    before, after = (FAMILIES[family](view_of(face, crop)) for crop in (face.crop, soft))
    blurred = to_pixels(geometry.blur(face.crop.astype(np.float32), 3))
    assert np.abs(after - before)[:, 0].mean() < 0.12
    assert (FAMILIES[family](view_of(face, blurred))[:, 0] < before[:, 0]).mean() > 0.8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_crop_has_finite_features(face: Face, family: str, level: int) -> None:
    assert np.isfinite(FAMILIES[family](view_of(face, np.full_like(face.crop, level)))).all()


def test_skin_tone_follows_the_skin(face: Face) -> None:
    darker = to_pixels(face.crop * 0.5)
    assert 0 < skin_tone(view_of(face)) < 80
    assert skin_tone(view_of(face, darker)) < skin_tone(view_of(face)) - 20
    grey = np.repeat(face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    assert math.isnan(skin_tone(view_of(face, grey)))


def test_hair_hides_its_zone(face: Face) -> None:
    hair = np.zeros_like(face.hair)
    hair[:230] = 1
    visible = make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, hair).visible
    assert visible[ZONES.index("forehead")] < 0.1
    assert visible[ZONES.index("nasolabial.left")] > 0.8
