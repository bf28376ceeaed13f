"""Whether aged faces look as old as was asked, read by an age estimator that has errors of its own.

Convention:
    ages, readings and biases in years. A reading is an estimator's expected age of a face. A result is NaN where
    nothing is known, and NaN in a reading makes it NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

BIAS_WINDOW_YEARS = 5.0
"""The bias at an age is measured on real faces up to so many years from it."""


def estimator_bias(readings: Values, ages: Values, at_years: Values, window_years: float = BIAS_WINDOW_YEARS) -> Values:
    """By how much an estimator reads people of given ages too old.

    Args:
        readings: (N,) of real faces.
        ages: (N,) their true ages.
        at_years: (T,) ages at which the bias is wanted.
        window_years: a face counts when its age is at most so far from such an age.

    Returns:
        (T,) mean of reading minus true age; NaN where no real face is in the window.
    """
    ages, errors = np.asarray(ages), np.asarray(readings) - np.asarray(ages)
    near = np.abs(ages - np.asarray(at_years, np.float64)[:, None]) <= window_years
    return np.array([errors[row].mean() if row.any() else math.nan for row in near])


def age_errors(readings: Values, targets: Values, bias: Values | float = 0.0) -> Values:
    """Absolute error of each aged face: |reading - bias - target|, whose mean is the age MAE.

    Args:
        readings: (N,) of aged faces.
        targets: (N,) ages asked for.
        bias: (N,) or one number: what the estimator reads too much at those ages, see `estimator_bias`; 0 leaves the
            errors raw.

    Returns:
        (N,) years, 0 or more.
    """
    return np.abs(np.asarray(readings) - bias - targets)


def cumulative_score(errors: Values, years: float = 5.0) -> float:
    """CS_k: share in [0, 1] of errors (N,), of either sign, that are at most k years; NaN without errors."""
    errors = np.abs(errors)
    return float((errors <= years).mean()) if len(errors) and not np.isnan(errors).any() else math.nan
