"""Optical flow and affine matrices."""

from __future__ import annotations

import numpy as np
import skimage.data

from reage.images import geometry, regions
from reage.images.motion import fit_affine, follow_points

MOVE = np.array([[1.01, -0.02, 3.4], [0.02, 1.01, -2.3]])


def test_points_are_followed_below_a_pixel() -> None:
    picture = np.ascontiguousarray(skimage.data.astronaut()[:240, 120:360])
    moved = geometry.warp(picture, MOVE, 240, 240)
    before, after = (regions.to_light(one).astype(np.uint8) for one in (picture, moved))
    points = geometry.pixel_grid(8, 8).reshape(-1, 2) * 12 + 70
    found, is_found = follow_points(before, after, points, points)
    assert is_found.mean() > 0.8
    away = np.linalg.norm(found - geometry.move_points(points, MOVE), axis=1)[is_found]
    assert np.median(away) < 0.2


def test_points_that_are_gone_are_not_found() -> None:
    picture = np.ascontiguousarray(skimage.data.astronaut()[:200, 120:320, 0])
    points = np.array([[100.0, 100.0]], np.float32)
    assert not follow_points(picture, np.full_like(picture, 255), points, points)[1].any()


def test_a_matrix_is_fitted_in_spite_of_outliers() -> None:
    points = np.random.default_rng(0).uniform(0, 300, (60, 2))
    target = geometry.move_points(points, MOVE).astype(np.float64)
    target[:10] += 40
    np.testing.assert_allclose(fit_affine(points, target), MOVE, atol=0.1)
