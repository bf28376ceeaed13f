"""Portraits drawn by rules."""

from __future__ import annotations

import numpy as np
import pytest

from reage.errors import ReageError
from reage.faces.drawn_sketch import STYLES, Drafting, draw_portrait
from reage.faces.segmentation import FaceParser
from reage.images import geometry, regions
from reage.types import Face


@pytest.fixture(scope="module")
def parser() -> FaceParser:
    return FaceParser.load()


def draw(face: Face, parser: FaceParser, side_px: int = 128, **settings: object) -> np.ndarray:
    crop = geometry.resize(face.crop, side_px, side_px)
    mesh = geometry.move_points(face.to_crop(face.mesh), geometry.resize_matrix(len(face.crop), side_px))
    return draw_portrait(crop, mesh, parser, Drafting(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("style", STYLES)
def test_a_drawing_is_dark_where_the_face_is_and_light_around_it(face: Face, parser: FaceParser, style: str) -> None:
    drawn = draw(face, parser, style=style)
    assert drawn.shape == (128, 128)
    assert drawn.dtype == np.uint8
    eyes = face.to_crop(face.landmarks)[:4].mean(0) / 4
    hair = geometry.resize(face.hair, 128, 128) > 0.9
    assert np.median(drawn[hair]) < 150
    assert drawn[round(eyes[1]) - 4 : round(eyes[1]) + 4].min() < 90
    assert (drawn > 225).mean() > 0.15


def test_the_same_seed_draws_the_same(face: Face, parser: FaceParser) -> None:
    first, second, other = (draw(face, parser, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_pencil_has_strokes_and_a_composite_has_none(face: Face, parser: FaceParser) -> None:
    fine = {}
    for style in STYLES:
        light = draw(face, parser, style=style).astype(np.float32)
        fine[style] = np.abs(light - geometry.blur(light, 1.0)).mean()
    assert fine["pencil"] > 1.5 * fine["composite"]
    plain = draw(face, parser, strokes=0.0).astype(int)
    assert np.abs(plain - draw(face, parser)).mean() > 1


def test_errors_in_proportion_move_the_face_and_keep_the_border(face: Face, parser: FaceParser) -> None:
    right, wrong = (draw(face, parser, proportion_error=error).astype(int) for error in (0.0, 0.08))
    change = np.abs(right - wrong)
    assert change[40:90, 40:90].mean() > 5
    assert change[:4].mean() < 1


def test_light_from_one_side_changes_a_drawing_less_than_the_photo(face: Face, parser: FaceParser) -> None:
    side = np.linspace(0.5, 1.2, 128, dtype=np.float32)[:, None]
    crop = geometry.resize(face.crop, 128, 128)
    lit = regions.to_pixels(crop * side)
    mesh = geometry.move_points(face.to_crop(face.mesh), geometry.resize_matrix(len(face.crop), 128))
    skin = geometry.resize(face.bare, 128, 128) > 0.9
    drawn = [draw_portrait(one, mesh, parser, Drafting(style="composite")) for one in (crop, lit)]
    changes = [np.abs(a.astype(float) - b)[skin].mean() for a, b in ((crop, lit), (drawn[0], drawn[1]))]
    assert changes[1] < 0.7 * changes[0]


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ReageError, match="no style 'oil'; use pencil or composite"):
        Drafting(style="oil")
