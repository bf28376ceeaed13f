"""Lines that a face has, deeper or gone."""

import numpy as np
import pytest

from reage.faces.geometry import zone_masks
from reage.training.ldla.wrinkles import scale_wrinkles
from reage.types import Face, Pixels

TONE, FAINT, DEEP = 150, 6, 60
FAINT_AT, DEEP_AT, LIGHT_AT = 0.527, 0.665, 0.746
"""Rows, crop sides: under the eyes, on the upper lip, at its corners."""


@pytest.fixture(scope="module")
def lined(face: Face) -> Pixels:
    """Even skin with a faint and a deep line across all of it, and a light one."""
    crop = np.full_like(face.crop, TONE)
    side = len(crop)
    for row, levels in ((FAINT_AT, -FAINT), (DEEP_AT, -DEEP), (LIGHT_AT, FAINT)):
        start = round(row * side)
        crop[start : start + 2] = TONE + levels
    return crop


def line_of(change: np.ndarray, row: float, face: Face) -> float:
    """Mean change along a line, where it crosses zones."""
    inside = np.sum(list(zone_masks(face).values()), axis=0) * face.skin * (1 - face.hair) * face.matte > 0.99
    start = round(row * len(change))
    rows = slice(start, start + 2)
    assert inside[rows].any()
    return float(change[rows][inside[rows]].mean())


def test_faint_lines_become_deeper_and_deep_ones_less_so(lined: Pixels, face: Face) -> None:
    change = scale_wrinkles(lined, face, 1.0).astype(float) - lined
    assert -FAINT < line_of(change, FAINT_AT, face) < -0.3 * FAINT
    assert -12 < line_of(change, DEEP_AT, face) < -5
    assert line_of(change, LIGHT_AT, face) == pytest.approx(0, abs=0.5)


def test_lines_are_filled_in_dark_and_light(lined: Pixels, face: Face) -> None:
    change = scale_wrinkles(lined, face, -0.9).astype(float) - lined
    assert 0.3 * FAINT < line_of(change, FAINT_AT, face) <= FAINT
    assert 0.3 * DEEP < line_of(change, DEEP_AT, face) <= DEEP
    assert -FAINT <= line_of(change, LIGHT_AT, face) < -0.3 * FAINT


@pytest.mark.parametrize("share", [1.0, -0.9])
def test_only_skin_in_zones_is_redrawn(face: Face, share: float) -> None:
    change = scale_wrinkles(face.crop, face, share).astype(int) - face.crop
    outside = np.sum(list(zone_masks(face).values()), axis=0) * face.skin * (1 - face.hair) * face.matte == 0
    assert np.abs(change[outside]).max() == 0
    assert np.abs(change).max() > 3
    assert np.median(np.ptp(change[~outside], axis=-1)) == 0
