"""The age that a portrait teaches: the true one, or the best guess where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reage.data.shards import Portraits

QUERY_AGES: tuple[tuple[str, float], ...] = (
    ("10 month old baby", 0.8),
    ("2.5 year old toddler", 2.5),
    ("16 year old teenager", 16.0),
    ("30 year old adult", 30.0),
    ("wrinkly 70 year old senior", 72.0),
)
"""Ages in years of generated pictures, by the words they were asked for with."""
_TRUSTED_QUERY_AGE = 5.0
"""A picture of a baby or toddler was asked for, and the predictor reads many of them too old."""


def with_taught_ages(portraits: Portraits, query_ages: Mapping[str, float]) -> Portraits:
    """The portraits from which an age can be taught, with that age as `age_years`.

    Args:
        portraits: of true, prompted or predicted age.
        query_ages: ages of generated pictures by their query; below `_TRUSTED_QUERY_AGE` they count alone, else
            together with the prediction.
    """
    asked = np.array([query_ages.get(query, np.nan) for query in portraits.query.tolist()], np.float32)
    prompted = np.where(np.isnan(asked), portraits.age_prompted_years, asked)
    predicted = portraits.age_predicted_years
    both = np.where(np.isnan(prompted), predicted, np.where(np.isnan(predicted), prompted, (prompted + predicted) / 2))
    both = np.where(prompted < _TRUSTED_QUERY_AGE, prompted, both)
    taught = np.where(np.isnan(portraits.age_years), both, portraits.age_years).astype(np.float32)
    return replace(portraits, age_years=taught).pick(~np.isnan(taught))
