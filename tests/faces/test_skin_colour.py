"""Dark spots and redness of painted skin in the common face."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from reage.faces.common_face import COMMON_UNITS, fit_common_face, to_places
from reage.faces.common_view import CommonView
from reage.faces.skin_colour import (
    VIEW_PX,
    find_dark_spots,
    measure_dark_spots,
    measure_redness,
    redness_regions,
    spot_region,
    view_skin,
)
from reage.faces.skin_detail import skin_region
from reage.images import geometry, shapes
from reage.types import Face, Plane

SKIN = np.array([205.0, 155.0, 130.0], np.float32)
BROWN = np.array([0.93, 0.85, 0.74], np.float32)
SPOTS = ((-0.9, 0.45), (-0.75, 0.6), (0.8, 0.5), (0.95, 0.62), (0.3, -0.85), (-0.35, -0.9))
"""Places in face units."""
UNIT_PX = VIEW_PX / COMMON_UNITS


@pytest.fixture(scope="module")
def bare(face: Face) -> CommonView:
    """Even skin with a little texture, mirror-symmetric."""
    texture = np.random.default_rng(0).normal(0, 2.0, (VIEW_PX, VIEW_PX, 1)).astype(np.float32)
    levels = np.clip(SKIN + (texture + texture[:, ::-1]) / 2, 0, 255).astype(np.uint8)
    common = fit_common_face(face.to_crop(face.mesh))
    return CommonView(common, levels, skin_region(VIEW_PX).copy())


def paint(view: CommonView, share: Plane, factor: np.ndarray) -> CommonView:
    """The view with its levels times a factor (3,) where the share (N, N) is 1."""
    factors = 1 + share[..., None] * (factor - 1)
    return replace(view, levels=np.clip(view.levels * factors, 0, 255).astype(np.uint8))


def discs(radius_px: float, places: tuple[tuple[float, float], ...] = SPOTS) -> Plane:
    points = (to_places(np.array(places)) * VIEW_PX - 0.5).astype(np.float32)
    drawn = shapes.join([shapes.draw_disc(point, radius_px, VIEW_PX) for point in points])
    return geometry.blur((drawn > 0).astype(np.float32), 1.0)


def test_more_and_darker_spots_are_more(bare: CommonView) -> None:
    none = measure_dark_spots(bare)
    few = measure_dark_spots(paint(bare, discs(3, SPOTS[:2]), BROWN))
    many = measure_dark_spots(paint(bare, discs(3), BROWN))
    faint = measure_dark_spots(paint(bare, discs(3), 1 - (1 - BROWN) / 2))
    assert none + 0.5 < few < many - 0.5
    assert none < faint < many - 0.3


def test_spots_are_found_where_they_are(bare: CommonView) -> None:
    painted = discs(3)
    found = find_dark_spots(paint(bare, painted, BROWN)) * spot_region(VIEW_PX)
    assert found[painted > 0.9].mean() > 0.01
    assert found[geometry.grow(painted, 6) < 0.1].max() < 0.003


def test_lines_and_what_is_not_browner_are_no_spots(bare: CommonView) -> None:
    spots = measure_dark_spots(paint(bare, discs(3), BROWN))
    ends = (to_places(np.array([[-0.6, -0.85], [0.6, -0.85]])) * VIEW_PX - 0.5).astype(np.float32)
    line = (shapes.draw_line(ends, VIEW_PX, 4) > 0).astype(np.float32)
    assert measure_dark_spots(paint(bare, geometry.blur(line, 1.0), BROWN)) < spots - 1
    assert measure_dark_spots(paint(bare, discs(3), np.full(3, 0.8, np.float32))) < spots - 1
    assert measure_dark_spots(paint(bare, discs(3), 1 / BROWN)) < spots - 1


def test_a_mole_does_not_outweigh_many_spots(bare: CommonView) -> None:
    mole = measure_dark_spots(paint(bare, discs(3, SPOTS[:1]), BROWN**4))
    assert mole < measure_dark_spots(paint(bare, discs(3), BROWN))


def test_red_cheeks_are_redder_and_melanin_is_not_red(bare: CommonView) -> None:
    cheeks = geometry.resize(redness_regions()[0], VIEW_PX, VIEW_PX)
    red = measure_redness(paint(bare, cheeks, np.array([0.98, 0.9, 0.91], np.float32)))
    tanned = measure_redness(paint(bare, cheeks, np.array([0.93, 0.86, 0.8], np.float32)))
    shaded = measure_redness(paint(bare, cheeks, np.full(3, 0.8, np.float32)))
    assert red > measure_redness(bare) + 0.08
    assert abs(tanned - measure_redness(bare)) < 0.02
    assert abs(shaded - measure_redness(bare)) < 0.02


def test_light_and_white_balance_hardly_matter(bare: CommonView) -> None:
    everywhere = np.ones((VIEW_PX, VIEW_PX), np.float32)
    marked = paint(paint(bare, discs(3), BROWN), geometry.resize(redness_regions()[0], VIEW_PX, VIEW_PX), BROWN**0.3)
    for factor in ((0.8, 0.8, 0.8), (1.05, 1.0, 0.92), (0.94, 1.0, 1.05)):
        other = paint(marked, everywhere, np.array(factor, np.float32))
        assert measure_dark_spots(other) == pytest.approx(measure_dark_spots(marked), abs=0.25)
        assert measure_redness(other) == pytest.approx(measure_redness(marked), abs=0.01)


def test_a_mirrored_face_has_the_same(bare: CommonView) -> None:
    painted = paint(bare, discs(3, SPOTS[:3]), BROWN)
    mirrored = replace(painted, levels=np.ascontiguousarray(painted.levels[:, ::-1]))
    assert measure_dark_spots(mirrored) == pytest.approx(measure_dark_spots(painted), abs=0.05)
    assert measure_redness(mirrored) == pytest.approx(measure_redness(painted), abs=0.003)


def test_hidden_skin_is_not_measured(bare: CommonView) -> None:
    hidden = bare.usable.copy()
    hidden[: VIEW_PX // 2] = 0
    covered = replace(bare, usable=hidden)
    assert math.isnan(measure_redness(covered))
    assert math.isnan(measure_dark_spots(replace(bare, usable=np.zeros_like(hidden))))


def test_the_demo_face_is_seen(face: Face) -> None:
    view = view_skin(face)
    assert view.levels.shape == (VIEW_PX, VIEW_PX, 3)
    assert math.isfinite(measure_dark_spots(view))
    assert -0.3 < measure_redness(view) < 0.3
