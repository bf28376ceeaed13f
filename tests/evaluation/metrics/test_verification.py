"""Thresholds, rates and summaries against scores whose answer is plain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.evaluation.metrics.verification import (
    group_thresholds,
    impostors_needed,
    match_rate,
    non_match_rate,
    summarise_scores,
    threshold_at,
)

HUNDRED = np.arange(100) / 100
"""Scores 0 to 0.99."""

# Thresholds


@pytest.mark.parametrize(("rate", "expected"), [(1e-3, 10_000), (1e-4, 100_000), (0.1, 100), (0.3, 34)])
def test_impostors_needed(rate: float, expected: int) -> None:
    assert impostors_needed(rate) == expected


def test_threshold_lies_just_above_the_first_rejected_impostor() -> None:
    threshold = threshold_at(HUNDRED, 0.1)
    assert threshold == pytest.approx(0.89)
    assert threshold > 0.89
    assert match_rate(HUNDRED, threshold) == 0.1


def test_tied_impostors_are_rejected_together() -> None:
    tied = np.concatenate([np.zeros(85), np.full(10, 0.5), np.full(5, 0.9)])
    assert match_rate(tied, threshold_at(tied, 0.1)) == 0.05
    assert match_rate(np.ones(100), threshold_at(np.ones(100), 0.1)) == 0


def test_too_few_impostors_resolve_nothing() -> None:
    assert math.isnan(threshold_at(HUNDRED[:99], 0.1))
    assert math.isnan(threshold_at(np.array([]), 0.1))


def test_faces_not_found_are_no_impostors() -> None:
    assert math.isnan(threshold_at(np.append(HUNDRED[:99], math.nan), 0.1))
    assert threshold_at(np.append(HUNDRED, [math.nan] * 50), 0.1) == threshold_at(HUNDRED, 0.1)


def test_threshold_of_single_precision_scores_keeps_its_side() -> None:
    scores = HUNDRED.astype(np.float32)
    assert match_rate(scores, threshold_at(scores, 0.1)) == 0.1


@given(st.lists(st.floats(-1, 1, width=32), min_size=50, max_size=80), st.floats(0.2, 0.9))
def test_no_lower_threshold_keeps_the_rate(impostors: list[float], rate: float) -> None:
    scores = np.array(impostors)
    threshold = threshold_at(scores, rate)
    assert match_rate(scores, threshold) <= rate + 1e-7
    assert match_rate(scores, np.nextafter(threshold, -math.inf)) > rate


def test_groups_pool_their_neighbours_only_when_they_must() -> None:
    impostors = {
        "child": HUNDRED[:40],
        "teen": HUNDRED[40:],
        "adult": HUNDRED,
        "old": HUNDRED[:10],
    }
    found = group_thresholds(impostors, 0.1)
    assert list(found) == list(impostors)
    assert found["adult"].groups == ("adult",)
    assert found["child"].groups == ("child", "teen")
    assert found["teen"].groups == ("child", "teen", "adult")
    assert found["old"].groups == ("adult", "old")
    assert [found[name].num_impostors for name in impostors] == [100, 200, 100, 110]
    assert found["child"].score == found["adult"].score == threshold_at(HUNDRED, 0.1)


def test_all_groups_together_may_be_too_few() -> None:
    found = group_thresholds({"young": HUNDRED[:30], "old": HUNDRED[:60]}, 0.1)
    assert all(math.isnan(one.score) and one.num_impostors == 90 for one in found.values())


# Rates


def test_rates_of_one_threshold() -> None:
    scores = np.array([0.2, 0.5, 0.7, 0.9])
    assert match_rate(scores, 0.5) == 0.75
    assert non_match_rate(scores, 0.5) == 0.25
    assert non_match_rate(scores, 0.95) == 1


def test_faces_not_found_never_match() -> None:
    scores = np.array([0.9, math.nan, 0.8, math.nan])
    assert match_rate(scores, -1) == 0.5
    assert non_match_rate(scores, -1) == 0.5


def test_nothing_is_known_without_scores_or_threshold() -> None:
    for rate in (match_rate, non_match_rate):
        assert math.isnan(rate(np.array([]), 0.5))
        assert math.isnan(rate(HUNDRED, math.nan))


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_threshold_refuses_no_fewer(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert non_match_rate(HUNDRED, low) <= non_match_rate(HUNDRED, high)


# Summaries


def test_summary_counts_and_leaves_out_what_is_missing() -> None:
    summary = summarise_scores(np.append(np.arange(101.0), [math.nan] * 3))
    assert (summary.num, summary.num_missing) == (101, 3)
    assert (summary.mean, summary.quantile_05, summary.median, summary.quantile_95) == pytest.approx((50, 5, 50, 95))


def test_summary_of_nothing() -> None:
    summary = summarise_scores(np.array([math.nan]))
    assert (summary.num, summary.num_missing) == (0, 1)
    assert math.isnan(summary.mean)
    assert math.isnan(summary.quantile_05)
