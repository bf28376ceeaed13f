"""Drawn shapes cover the pixels that they should, whatever is cut off by the border."""

import numpy as np
import pytest

from reage.images import geometry, shapes

SIDE = 48


def distances(x, y):
    return np.linalg.norm(geometry.pixel_grid(SIDE, SIDE) - (x, y), axis=-1)


def test_an_outline_may_be_concave():
    mask = shapes.fill_polygon(np.array([[10.0, 10], [30, 10], [30, 30], [20, 15], [10, 30]]), 40, SIDE)
    assert mask.shape == (40, SIDE)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert mask[12, 20] == mask[25, 11] == mask[25, 29] == 255
    assert mask[25, 20] == mask[5, 20] == mask[12, 31] == 0


def test_a_polygon_includes_its_corners_rounded_to_pixels():
    mask = shapes.fill_polygon(np.array([[9.6, 5.4], [20.4, 5.4], [20.4, 15.6], [9.6, 15.6]]), SIDE, SIDE)
    np.testing.assert_array_equal(np.argwhere(mask).min(0), (5, 10))
    np.testing.assert_array_equal(np.argwhere(mask).max(0), (16, 20))
    assert (mask > 0).sum() == 12 * 11


def test_what_lies_outside_is_cut_off():
    mask = shapes.fill_polygon(np.array([[-20.0, -20], [10, -20], [10, 10], [-20, 10]]), SIDE, SIDE)
    np.testing.assert_array_equal(mask > 0, np.indices((SIDE, SIDE)).max(0) <= 10)
    assert not shapes.draw_disc(np.array([-30.0, 10]), 8, SIDE).any()


@pytest.mark.parametrize("closed", [False, True])
def test_a_line_returns_to_its_start_only_when_it_is_closed(closed):
    mask = shapes.draw_line(np.array([[8.0, 8], [40, 8], [40, 40]]), SIDE, 2, closed=closed)
    assert mask[8, 24] == mask[24, 40] == 255
    assert (mask[24, 24] > 0) == closed
    assert mask[34, 12] == 0


def test_a_line_is_as_much_thicker_as_it_should_be():
    thin, thick = (shapes.draw_line(np.array([[4.0, 24], [44, 24]]), SIDE, thickness)[:, 24] for thickness in (3, 9))
    assert (thick.sum() - thin.sum()) / 255 == pytest.approx(6, abs=0.1)
    assert (thin[23:26] == 255).all()
    assert thin[:21].max() == thin[28:].max() == 0
    assert (shapes.draw_line(np.array([[4.0, 24], [44, 24]]), SIDE, 0.1)[24] > 0).any()


@pytest.mark.parametrize("radius_px", [3.0, 10.0])
def test_a_disc_reaches_its_radius(radius_px):
    mask = shapes.draw_disc(np.array([20.0, 26.0]), radius_px, SIDE)
    away = distances(20, 26)
    assert (mask[away < radius_px - 1] == 255).all()
    assert (mask[away > radius_px + 1] == 0).all()
    assert shapes.draw_disc(np.array([20.0, 26.0]), 0.0, SIDE)[26, 20] == 255


def test_joined_masks_cover_what_any_of_them_covers():
    left, right = (shapes.draw_disc(np.array([x, 24.0]), 6, SIDE) for x in (12.0, 20.0))
    joined = shapes.join([left, right, np.zeros_like(left)])
    np.testing.assert_array_equal(joined > 0, (left > 0) | (right > 0))
    np.testing.assert_array_equal(shapes.join([left]), left)
