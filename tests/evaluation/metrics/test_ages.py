"""Errors of age worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reage.evaluation.metrics.ages import age_errors, cumulative_score, estimator_bias


def test_bias_is_that_of_real_faces_near_in_age() -> None:
    ages, readings = np.array([20.0, 24, 60, 70]), np.array([26.0, 28, 58, 60])
    bias = estimator_bias(readings, ages, np.array([20, 25, 65, 40]))
    np.testing.assert_allclose(bias, [5, 5, -6, math.nan])
    np.testing.assert_allclose(estimator_bias(readings, ages, np.array([20, 61]), window_years=1), [6, -2])


def test_errors_are_raw_or_corrected() -> None:
    readings, targets = np.array([58.0, 66, 75]), np.array([65.0, 65, 75])
    np.testing.assert_allclose(age_errors(readings, targets), [7, 1, 0])
    np.testing.assert_allclose(age_errors(readings, targets, -4), [3, 5, 4])
    np.testing.assert_allclose(age_errors(readings, targets, np.array([-6, -6, 1])), [1, 7, 1])


def test_an_unknown_bias_gives_nan() -> None:
    errors = age_errors(np.array([30.0, 90]), np.array([30, 95]), np.array([0, math.nan]))
    assert math.isnan(errors.mean())
    assert math.isnan(cumulative_score(errors))


def test_the_bias_of_an_estimator_is_subtracted() -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 80, 4000)
    readings = 10 + 0.8 * ages
    bias = estimator_bias(readings, ages, ages)
    assert age_errors(readings, ages).mean() > 2.5
    assert age_errors(readings, ages, bias).mean() < 0.2


def test_cumulative_score() -> None:
    assert cumulative_score(np.array([-5, 5.1, 0, 3, -7])) == pytest.approx(0.6)
    assert cumulative_score(np.array([-5, 5.1, 0, 3, -7]), years=7) == 1
    assert math.isnan(cumulative_score(np.array([])))
