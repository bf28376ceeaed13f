"""Sketches of photos and photos of sketches, by tiny nets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.errors import FaceNotFound, ImageError, ReageError, WeightsError
from reage.faces.drawn_sketch import STYLES, draw_portrait
from reage.faces.segmentation import FaceParser
from reage.images import load_image
from reage.sketch import Sketcher, SketchNet, check_kind, make_card
from reage.types import Face, Pixels


def test_a_sketch_is_a_grey_card(sketcher: Sketcher, photo: Pixels, tmp_path: Path) -> None:
    done = sketcher.sketch(photo)
    assert done.drawn.shape == (512, 512, 3)
    assert np.ptp(done.drawn, axis=-1).max() == 0
    side = len(done.image.pixels)
    assert side == 512 + 2 * round(0.06 * 512)
    assert (done.image.pixels[:20] == 250).all()
    values = done.to_json()
    assert (values["gives"], values["style"], len(values["weights_hash"])) == ("sketch", "pencil", 12)
    assert load_image(done.save(tmp_path / "sketch.png")).pixels.shape == (side, side, 3)


def test_styles_and_scales_differ(sketcher: Sketcher, face: Face) -> None:
    pencil, composite = (sketcher.draw(face.crop, style, scale=1) for style in STYLES)
    assert pencil.shape == (256, 256, 3)
    assert (pencil != composite).any()
    np.testing.assert_array_equal(sketcher.draw(face.crop, "pencil", scale=1), pencil)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_around_the_person_stays_empty(sketcher: Sketcher, face: Face, style: str) -> None:
    whole, cleared = (
        sketcher.draw(face.crop, style, mesh=mesh).astype(int) for mesh in (None, face.to_crop(face.mesh))
    )
    corner, middle = np.s_[:40, :40], np.s_[200:300, 200:300]
    assert np.ptp(cleared[corner]) == 0 < np.ptp(whole[corner])
    np.testing.assert_allclose(cleared[middle], whole[middle], atol=2)


def test_a_drawing_is_put_back_where_the_person_was(sketcher: Sketcher, photo: Pixels, face: Face) -> None:
    done = sketcher.sketch(photo, place="photo")
    assert done.image.pixels.shape == photo.shape
    nose = face.mesh[1, :2].round().astype(int)
    assert (done.image.pixels[nose[1], nose[0]] != photo[nose[1], nose[0]]).any()
    np.testing.assert_array_equal(done.image.pixels[-20:, -20:], photo[-20:, -20:])
    with pytest.raises(ReageError, match="no place 'wall' for a drawing; use card or photo"):
        sketcher.sketch(photo, place="wall")


def test_detail_of_the_photo_is_added_where_something_is_drawn(sketcher: Sketcher, face: Face) -> None:
    blurred = np.repeat(np.repeat(face.crop[::4, ::4], 4, 0), 4, 1)
    lines = [np.abs(np.diff(sketcher.draw(crop, "pencil").astype(int), axis=0)).mean() for crop in (face.crop, blurred)]
    assert lines[0] != lines[1]


def test_a_photo_of_a_sketch_has_colour(sketcher: Sketcher, photo: Pixels) -> None:
    done = sketcher.photo(photo, given_as="sketch", scale=1)
    assert done.drawn.shape == (256, 256, 3)
    assert np.ptp(done.drawn, axis=-1).max() > 0
    assert "style" not in done.to_json()


def test_the_other_kind_is_refused_unless_it_is_named(face: Face) -> None:
    drawing = draw_portrait(face.crop, face.to_crop(face.mesh), FaceParser.load())
    drawn = replace(face, crop=np.repeat(drawing[..., None], 3, -1))
    check_kind(face, "photo", None)
    check_kind(drawn, "photo", "photo")
    check_kind(face, "sketch", "sketch")
    with pytest.raises(ImageError, match="looks like a sketch, and a photo is wanted; use --reverse"):
        check_kind(drawn, "photo", None)
    with pytest.raises(ImageError, match="looks like a photo, and a sketch is wanted; leave out --reverse"):
        check_kind(face, "sketch", None)
    with pytest.raises(ReageError, match="no kind of picture 'oil'; use photo or sketch"):
        check_kind(face, "photo", "oil")


def test_what_cannot_be_drawn_is_refused(sketcher: Sketcher, photo: Pixels) -> None:
    with pytest.raises(FaceNotFound, match="No face"):
        sketcher.sketch(np.full((128, 128, 3), 90, np.uint8))
    with pytest.raises(ReageError, match="no style 'oil'"):
        sketcher.sketch(photo, "oil")
    with pytest.raises(WeightsError, match="not made for a net that gives a photo"):
        SketchNet.load(sketcher._weights, "photo")


def test_a_card_has_a_margin() -> None:
    assert make_card(np.zeros((100, 100, 3), np.uint8)).shape == (112, 112, 3)
