"""Each formula against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from reage.evaluation.metrics.statistics import (
    bootstrap_interval,
    individual_typology_angle,
    is_rising,
    kendall_tau,
    rank_correlation,
    thirds,
)

# Skin tone


@pytest.mark.parametrize(
    ("skin", "degrees"),
    [
        # L* and b* by the formulas of CIE 1976 from sRGB: (81.5, 20.1), (68.0, 21.4), (37.0, 19.6)
        ((0.96, 0.75, 0.65), 57.5),
        ((0.82, 0.60, 0.50), 40.0),
        ((0.45, 0.31, 0.22), -33.6),
    ],
)
def test_typology_angle(skin: tuple[float, float, float], degrees: float) -> None:
    assert individual_typology_angle(np.array(skin)) == pytest.approx(degrees, abs=0.5)


def test_darker_skin_has_the_smaller_angle() -> None:
    angles = [individual_typology_angle(share * np.array([0.95, 0.78, 0.68])) for share in (1, 0.8, 0.6, 0.4)]
    assert angles == sorted(angles, reverse=True)


# Ranks


@pytest.mark.parametrize(
    ("levels", "readings", "expected"),
    [
        ([1, 2, 3, 4, 5], [10, 11, 30, 31, 90], 1.0),
        ([1, 2, 3, 4, 5], [9, 8, 7, 1, 0], -1.0),
        ([1, 2, 3, 4, 5], [10, 30, 20, 40, 50], 0.9),  # 1 - 6 * 2 / (5 * 24)
        ([1, 2, 3, 4], [1, 2, 2, 3], 0.9486833),  # ranks 1, 2.5, 2.5, 4: 4.5 / sqrt(5 * 4.5)
        ([3, 1, 2], [30, 10, 20], 1.0),
        ([1, 2, 3], [7, 7, 7], 0.0),
    ],
)
def test_rank_correlation(levels: list[float], readings: list[float], expected: float) -> None:
    assert rank_correlation(np.array(levels), np.array(readings)) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=12, unique=True))
def test_rank_correlation_depends_on_order_alone(readings: list[int]) -> None:
    levels, values = np.arange(len(readings)), np.array(readings, float)
    expected = rank_correlation(levels, values)
    assert -1 <= expected <= 1 + 1e-9
    assert rank_correlation(levels, values**3 + 5) == pytest.approx(expected)
    assert rank_correlation(levels, -values) == pytest.approx(-expected)


@pytest.mark.parametrize(
    ("levels", "readings", "expected"),
    [
        ([1, 2, 3, 4], [10, 30, 20, 40], 4 / 6),  # 5 pairs rise, 1 falls
        ([1, 2, 3, 4], [1, 2, 2, 3], 5 / (6 * 5) ** 0.5),
        ([1, 1, 2, 2], [3, 3, 9, 1], 0.0),  # of the four untied pairs two rise and two fall
        ([4, 3, 2, 1], [1, 2, 3, 4], -1.0),
        ([1, 2, 3], [7, 7, 7], 0.0),
    ],
)
def test_kendall_tau(levels: list[float], readings: list[float], expected: float) -> None:
    assert kendall_tau(np.array(levels), np.array(readings)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_kendall_tau_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    levels, readings = np.array(pairs).T
    expected = scipy.stats.kendalltau(levels, readings, variant="b").statistic
    assert kendall_tau(levels, readings) == pytest.approx(0 if np.isnan(expected) else expected)


@pytest.mark.parametrize(
    ("readings", "tolerance", "expected"),
    [
        ([20, 30, 40], 0, True),
        ([20, 30, 30], 0, True),
        ([20, 30, 29.5], 0, False),
        ([20, 30, 29.5], 1, True),
        ([20, 30, 28.9], 1, False),
        ([42], 0, True),
    ],
)
def test_is_rising(readings: list[float], tolerance: float, expected: bool) -> None:
    assert is_rising(np.array(readings), tolerance) is expected


# Groups and intervals


def test_thirds_are_as_large_as_they_can_be() -> None:
    values = np.array([5.0, 1, 9, 2, 8, 3])
    np.testing.assert_array_equal(thirds(values), [1, 0, 2, 0, 2, 1])
    assert thirds(np.array([4.0, 4, 4])).tolist() == [2, 2, 2]


def test_interval_of_equal_values_is_a_point() -> None:
    assert bootstrap_interval(np.full(9, 3.0), list("aabbccdde")) == (3.0, 3.0)


def test_interval_is_the_same_for_the_same_seed_and_takes_any_statistic() -> None:
    values, people = np.random.default_rng(0).normal(size=60), [str(i // 2) for i in range(60)]
    assert bootstrap_interval(values, people, seed=3) == bootstrap_interval(values, people, seed=3)
    assert bootstrap_interval(values, people, seed=3) != bootstrap_interval(values, people, seed=4)
    low, high = bootstrap_interval(values, people, lambda drawn: float(np.median(drawn)))
    assert low < np.median(values) < high


def test_pictures_of_one_person_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    own = np.repeat(rng.normal(size=30), 5)
    low, high = bootstrap_interval(own, [str(i // 5) for i in range(150)])
    alone_low, alone_high = bootstrap_interval(own, [str(i) for i in range(150)])
    assert (high - low) / (alone_high - alone_low) == pytest.approx(5**0.5, rel=0.25)


def test_intervals_cover_the_truth_nearly_as_often_as_promised() -> None:
    rng = np.random.default_rng(2)
    people = [str(i // 3) for i in range(120)]
    covered = 0
    for seed in range(60):
        values = np.repeat(rng.normal(5, 2, 40), 3) + rng.normal(0, 0.5, 120)
        low, high = bootstrap_interval(values, people, draws=200, seed=seed)
        covered += low <= 5 <= high
    assert covered >= 51  # 95 % of 60 is 57, with a standard deviation of 1.7
