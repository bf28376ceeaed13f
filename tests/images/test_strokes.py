"""Filters that draw."""

from __future__ import annotations

import numpy as np

from reage.images import strokes


def make_edge() -> np.ndarray:
    light = np.full((64, 64), 0.8, np.float32)
    light[:, 32:] = 0.3
    return light


def test_dodge_makes_paper_of_flat_parts_and_keeps_dark_details() -> None:
    light = np.full((64, 64), 0.4, np.float32)
    light[30:33, 30:33] = 0.1
    dodged = strokes.dodge(light, 8.0)
    assert dodged[5, 5] > 0.99
    assert dodged[31, 31] < 0.4


def test_contours_are_dark_at_edges_alone() -> None:
    lines = strokes.draw_contours(make_edge() + 0.2, 1.0, sharpness=8.0, threshold=0.45, slope=2.0)
    assert lines[32, 5] == lines[32, 60] == 1
    assert lines[32, 30:36].min() < 0.7


def test_directions_run_along_an_edge() -> None:
    directions, coherence = strokes.find_directions(make_edge(), 2.0)
    assert abs(directions[32, 32, 1]) > 0.99
    assert coherence[32, 32] > 0.9
    assert coherence[32, 5] < 0.1


def test_strokes_run_along_the_directions() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    across = np.broadcast_to(np.array([1, 0], np.float32), (64, 64, 2)).copy()
    drawn = strokes.draw_strokes(noise, across, 12)
    assert np.abs(np.diff(drawn, axis=1)).mean() < 0.5 * np.abs(np.diff(drawn, axis=0)).mean()
    assert abs(drawn.mean()) < 1e-3
    np.testing.assert_allclose(drawn.std(), 1, atol=1e-3)


def test_paper_is_the_same_for_the_same_generator() -> None:
    first, second = (strokes.make_paper(32, 48, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (32, 48)


def test_smoothing_keeps_edges_and_removes_noise() -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    smooth = strokes.smooth_keeping_edges(make_edge() + noise, 4, 0.1)
    assert smooth[:, 5:25].std() < 0.008
    assert smooth[32, 26] - smooth[32, 38] > 0.4
