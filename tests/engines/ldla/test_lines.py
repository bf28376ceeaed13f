"""Lines that are drawn in the common face: their bounds and their scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.engines.exemplar.view import FaceView, view_photo
from reage.engines.ldla.lines import COARSEST_PARTS, Lines, bound_lines
from reage.engines.ldla.redraw import PatchEdit
from reage.faces.patches import zone_map
from reage.faces.skin_detail import coarser_than, fill_unusable, log_luminance
from reage.types import Face

ZONE = "nasolabial.left"


@pytest.fixture(scope="module")
def view(face: Face) -> FaceView:
    return view_photo(face, 0.5)


def detail_of(view: FaceView) -> np.ndarray:
    light = fill_unusable(log_luminance(view.levels), view.usable)
    return light - coarser_than(light, COARSEST_PARTS)


def test_a_zone_that_falls_loses_its_own_detail_and_no_more(view: FaceView) -> None:
    detail = detail_of(view)
    drawn = np.where(detail < 0, 1.0, -1.0)[..., None].repeat(3, -1).astype(np.float32)
    lines = Lines(drawn, *bound_lines(view, [PatchEdit(ZONE, 0.8, 0.1)]))
    inside = zone_map([ZONE], len(detail)) > 0.5
    left = (detail[..., None] + lines.scaled(5.0))[inside]
    assert np.abs(left).max() < 0.05 * np.abs(detail[inside]).max() + 1e-3


def test_a_zone_that_rises_may_get_more_than_its_own(view: FaceView) -> None:
    drawn = np.full((*view.usable.shape, 3), -0.2, np.float32)
    lines = Lines(drawn, *bound_lines(view, [PatchEdit(ZONE, 0.1, 0.8)]))
    np.testing.assert_allclose(lines.scaled(1.0), -0.6 * np.tanh(0.2 / 0.6), atol=1e-4)
    assert lines.scaled(100.0).min() == pytest.approx(-0.6, abs=1e-4)
    assert (lines.scaled(-100.0) < 0.3 + 1e-4).all()


def test_lines_are_scaled_place_by_place(view: FaceView) -> None:
    drawn = np.full((*view.usable.shape, 3), -0.01, np.float32)
    lines = Lines(drawn, *bound_lines(view, []))
    factor = np.ones((*view.usable.shape, 1), np.float32)
    factor[: len(factor) // 2] = 3.0
    scaled = lines.scaled(factor)
    assert scaled[0].mean() == pytest.approx(-0.03, rel=0.01)
    assert scaled[-1].mean() == pytest.approx(-0.01, rel=0.01)
    np.testing.assert_array_equal(replace(lines, drawn=0 * drawn).scaled(2.0), 0)
