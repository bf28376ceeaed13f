"""Whether aged faces look as old as was asked, judged by an estimator with its own errors.

Convention:
    ages, readings and biases in years. A reading is an estimator's expected age of a face. A result is NaN where
    nothing is known, and NaN in a reading makes it NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

NEAR_YEARS = 5.0
"""Real faces so near in age tell the estimator's bias at an age."""


def estimator_bias(readings: Values, ages: Values, at_years: Values, near_years: float = NEAR_YEARS) -> Values:
    """How much too old an estimator reads people of given ages.

    Args:
        readings: (N,) of real faces.
        ages: (N,) their true ages.
        at_years: (T,) ages at which the bias is wanted.
        near_years: a face counts up to so far from such an age.

    Returns:
        (T,) mean of reading less true age; NaN where no real face is near.
    """
    ages, errors = np.asarray(ages), np.asarray(readings) - np.asarray(ages)
    near = np.abs(ages - np.asarray(at_years, np.float64)[:, None]) <= near_years
    return np.array([errors[row].mean() if row.any() else math.nan for row in near])


def age_errors(readings: Values, targets: Values, bias: Values | float = 0.0) -> Values:
    """How far each aged face's reading is from its target: their mean is the age MAE.

    Args:
        readings: (N,) of aged faces.
        targets: (N,) ages asked for; for a group the mean age of its real faces.
        bias: (N,) or one number: what the estimator reads too much at those ages, see `estimator_bias`; 0 leaves the
            errors raw.

    Returns:
        (N,) years, 0 or more.
    """
    return np.abs(np.asarray(readings) - bias - targets)


def share_within(errors: Values, years: float = 5.0) -> float:
    """CS5: share in [0, 1] of errors (N,) of either sign that are at most so large; NaN without errors."""
    errors = np.abs(errors)
    return float((errors <= years).mean()) if len(errors) and not np.isnan(errors).any() else math.nan
