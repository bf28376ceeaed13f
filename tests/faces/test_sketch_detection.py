"""Sketches told from photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.faces.drawn_sketch import Drafting, draw_portrait
from reage.faces.segmentation import FaceParser
from reage.faces.sketch_detection import NUM_LOOKS, SketchDetector, is_sketch, measure_look
from reage.images import geometry
from reage.types import Face


def test_a_photo_is_none_in_colour_or_in_grey(face: Face) -> None:
    grey = np.repeat(face.crop.mean(-1, keepdims=True).round().astype(np.uint8), 3, -1)
    assert not is_sketch(face)
    assert not is_sketch(replace(face, crop=grey))


def test_a_pencil_drawing_is_one(face: Face) -> None:
    crop = geometry.resize(face.crop, 256, 256)
    mesh = geometry.move_points(face.to_crop(face.mesh), geometry.resize_matrix(len(face.crop), 256))
    drawn = draw_portrait(crop, mesh, FaceParser.load(), Drafting())
    side = len(face.crop)
    large = geometry.resize(np.repeat(drawn[..., None], 3, -1), side, side)
    assert is_sketch(replace(face, crop=large))


@pytest.mark.parametrize("side_px", [128, 640])
def test_the_look_has_one_length_at_every_size(side_px: int) -> None:
    look = measure_look(np.full((side_px, side_px, 3), 255, np.uint8))
    assert look.shape == (NUM_LOOKS,)
    assert np.isfinite(look).all()


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(WeightsError, match="not made for a detector of sketches"):
        SketchDetector.load("skin")
