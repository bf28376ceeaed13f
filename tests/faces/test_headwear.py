"""Headwear told from hair."""

from __future__ import annotations

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.face_classes import CLASSES
from reage.faces.headwear import CELLS, NUM_LOOKS, HeadwearDetector, measure_cells
from reage.faces.segmentation import FaceParser, take_headwear_from_hair
from reage.faces.window import cut_window, mesh_in_window
from reage.images import geometry
from reage.nets.runtime import load_session
from reage.types import Face, Pixels, Plane

HAIR, HAT = CLASSES.index("hair"), CLASSES.index("hat")


@pytest.fixture(scope="module")
def alone() -> FaceParser:
    """The net of the parser without the detector."""
    return FaceParser(load_session("face-parser"))


@pytest.fixture(scope="module")
def scarf(face: Face) -> Pixels:
    """The crop of the demo photo in a plain blue headscarf with a hole for the face."""
    side = len(face.crop)
    mesh = face.to_crop(face.mesh)[:, :2]
    hole = geometry.grow(geometry.fill_polygon(mesh, side, side), 0.01 * side)
    places = geometry.pixel_grid(side, side) / side
    cloth = ((places[..., 0] - 0.5) ** 2 / 0.13 + np.minimum(places[..., 1] - 0.45, 0) ** 2 / 0.16 < 1) & (hole < 0.5)
    shade = (0.8 + 0.2 * np.sin(places.sum(-1) * 12))[..., None]
    blue = np.array([40, 90, 190]) * shade
    share = geometry.blur(cloth.astype(np.float32), 1.0)[..., None]
    return (face.crop * (1 - share) + blue * share).astype(np.uint8)


def test_hair_is_no_headwear(face: Face, alone: FaceParser) -> None:
    mesh = face.to_crop(face.mesh)
    shares = alone.measure_shares(face.crop, mesh)
    assert not HeadwearDetector.load().find(face.crop, shares, mesh).any()
    np.testing.assert_array_equal(FaceParser.load().measure_shares(face.crop, mesh), shares)


def test_a_headscarf_is_no_hair(face: Face, scarf: Pixels) -> None:
    """As hair by the shares, which is what the detector is there for."""
    mesh = face.to_crop(face.mesh)
    shares = np.zeros((len(CLASSES), 128, 128), np.float32)
    cloth = (np.abs(scarf.astype(int) - face.crop).max(-1) > 12).astype(np.float32)
    shares[HAIR] = geometry.resize(cloth, 128, 128)
    shares[CLASSES.index("skin")] = 1 - shares[HAIR]
    before = shares[HAIR].sum()
    take_headwear_from_hair(HeadwearDetector.load(), shares, scarf, mesh)
    assert shares[HAIR].sum() < 0.2 * before
    assert shares[HAT].sum() > 0.8 * before
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-4)


def test_what_lies_outside_the_crop_is_told_by_what_is_inside(face: Face) -> None:
    """A detector that finds cloth on the left."""

    class Left:
        def find(self, crop: Pixels, shares: Plane, mesh: Plane) -> Plane:
            assert crop.shape == (256, 256, 3)
            assert shares.shape == (len(CLASSES), 64, 64)
            np.testing.assert_allclose(mesh, inner, atol=1e-3)
            found = np.zeros((CELLS, CELLS), np.float32)
            found[:, : CELLS // 2] = 1
            return found

    wide, mesh = cut_window(face, 512, 2.0), mesh_in_window(face, 512, 2.0)
    inner = mesh[:, :2] - 128
    shares = np.zeros((len(CLASSES), 128, 128), np.float32)
    shares[HAIR] = 1
    take_headwear_from_hair(Left(), shares, wide, mesh, 2.0)  # type: ignore[arg-type]
    assert shares[HAIR, :, :60].max() == 0
    assert shares[HAIR, :, 68:].min() == 1


@pytest.mark.parametrize("side_px", [128, 512])
def test_the_looks_have_one_shape_at_every_size(side_px: int, face: Face, alone: FaceParser) -> None:
    crop = geometry.resize(face.crop, side_px, side_px)
    mesh = geometry.move_points(face.to_crop(face.mesh), geometry.resize_matrix(len(face.crop), side_px))
    looks = measure_cells(crop, alone.measure_shares(crop, mesh), mesh)
    assert looks.shape == (CELLS, CELLS, NUM_LOOKS)
    assert np.isfinite(looks).all()


def test_nothing_is_told_without_hair(face: Face) -> None:
    shares = np.zeros((len(CLASSES), 64, 64), np.float32)
    assert not HeadwearDetector.load().find(face.crop, shares, face.to_crop(face.mesh)).any()


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(WeightsError, match="not made for a detector of headwear"):
        HeadwearDetector.load("skin")
