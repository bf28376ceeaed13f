"""Progressions that rise, fall, jump and stand still."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.evaluation.metrics.progression import (
    TOLERANCE_YEARS,
    largest_step_ratio,
    rising_faces,
    rising_steps,
    slopes,
)

READINGS = np.array([[20.0, 30, 40, 50], [20, 30, 29.5, 50], [20, 30, 25, 24]])


def test_steps_and_faces_that_rise() -> None:
    np.testing.assert_allclose(rising_steps(READINGS, TOLERANCE_YEARS), [1, 1, 1 / 3 + 1 / 3])
    np.testing.assert_allclose(rising_steps(READINGS, 0), [1, 2 / 3, 1 / 3])
    assert rising_faces(READINGS, TOLERANCE_YEARS).tolist() == [True, True, False]
    assert rising_faces(READINGS, 0).tolist() == [True, False, False]


@given(st.lists(st.lists(st.integers(0, 100), min_size=4, max_size=4), min_size=1, max_size=6), st.integers(0, 5))
def test_a_face_rises_when_all_its_steps_do(rows: list[list[int]], tolerance: int) -> None:
    readings = np.array(rows)
    steps = rising_steps(readings, tolerance)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (rising_faces(readings, tolerance) == (steps == 1)).all()


def test_largest_step_ratio() -> None:
    steps = np.array([[0.1, 0.1, 0.1], [0.0, 0.3, 0.0], [0.1, 0.4, 0.1], [0, 0, 0]])
    np.testing.assert_allclose(largest_step_ratio(steps), [1, 3, 2, 1])


def test_slopes_of_each_face() -> None:
    levels = np.array([20, 30, 40, 60])
    scores = np.stack([1 - 0.01 * (levels - 20), np.full(4, 0.7), 0.2 + 0.005 * levels])
    np.testing.assert_allclose(slopes(levels, scores), [-0.01, 0, 0.005], atol=1e-15)


def test_slopes_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    levels, scores = np.arange(20.0, 81, 10), rng.normal(size=(5, 7))
    np.testing.assert_allclose(slopes(levels, scores), np.polyfit(levels, scores.T, 1)[0])
    assert slopes(levels, scores)[2] == pytest.approx(slopes(levels, scores[2:3])[0])
