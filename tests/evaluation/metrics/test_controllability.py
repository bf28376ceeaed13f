"""Zone controllability of engines that do what is asked, too much, the opposite, or change other zones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.evaluation.metrics.controllability import (
    cross_talk,
    cross_talk_ratio,
    direction_accuracy,
    fit_response,
    mirror_ratio,
    overlapping_zones,
    zone_errors,
)
from reage.faces.geometry import zone_masks
from reage.types import Face
from reage.zones import ZONES

GRID = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_zone_errors_are_those_of_what_was_asked_for() -> None:
    nan = math.nan
    measured = np.array([[0.5, 0.1, 0.3], [0.9, 0.2, 0.3]])
    requested = np.array([[0.4, nan, nan], [0.6, 0.6, nan]])
    np.testing.assert_allclose(zone_errors(measured, requested), [0.2, 0.4, nan])
    assert not zone_errors(measured, measured).any()


# Response


def test_response_of_an_engine_that_does_seven_tenths() -> None:
    response = fit_response(GRID, 0.1 + 0.7 * GRID)
    assert (response.slope, response.offset, response.r_squared) == pytest.approx((0.7, 0.1, 1))


def test_response_by_hand() -> None:
    response = fit_response(np.array([0, 0, 1, 1]), np.array([0.0, 0.2, 0.6, 0.8]))
    # deviations -0.4, -0.2, 0.2, 0.4 from 0.4: covariance 0.6, variances 1 and 0.4
    assert (response.slope, response.offset, response.r_squared) == pytest.approx((0.6, 0.1, 0.9))


def test_response_of_an_engine_that_does_nothing() -> None:
    response = fit_response(GRID, np.full(6, 0.3))
    assert (response.slope, response.r_squared) == pytest.approx((0, 0))
    assert response.offset == pytest.approx(0.3)


def test_one_requested_score_gives_no_response() -> None:
    response = fit_response(np.full(4, 0.1), np.array([0.1, 0.2, 0.3, 0.4]))
    assert all(math.isnan(value) for value in (response.slope, response.offset, response.r_squared))


@given(st.lists(st.integers(0, 100), min_size=6, max_size=6))
def test_r_squared_is_a_share(percent: list[int]) -> None:
    measured = np.array(percent) / 100
    response = fit_response(GRID, measured)
    assert 0 <= response.r_squared <= 1 + 1e-9
    assert response.r_squared == pytest.approx(
        1 - np.var(measured - response.offset - response.slope * GRID) / max(np.var(measured), 1e-9)
        if np.ptp(measured)
        else 0,
        abs=1e-6,
    )


# Direction


def test_direction_counts_requests_for_a_large_enough_change() -> None:
    source = np.array([0.5, 0.5, 0.5, 0.5, 0.4])
    requested = np.array([0.9, 0.1, 0.7, 0.55, 0.6])
    measured = np.array([0.6, 0.6, 0.5, 0.1, 0.41])
    assert direction_accuracy(source, requested, measured) == pytest.approx(2 / 4)
    assert direction_accuracy(source, requested, measured, min_step=0.3) == pytest.approx(1 / 2)
    assert math.isnan(direction_accuracy(source, source, measured))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_the_requested_change_is_right_and_its_opposite_wrong(scores: list[tuple[float, float]]) -> None:
    source, requested = np.array(scores).T
    if (np.abs(requested - source) >= 0.2).any():
        assert direction_accuracy(source, requested, requested) == 1
        assert direction_accuracy(source, requested, 2 * source - requested) == 0


# Cross-talk


def test_cross_talk_is_the_mean_change() -> None:
    at_zero = np.zeros((2, 2, 2))
    at_one = np.array([[[0.8, 0.1], [0.0, 0.6]], [[0.6, 0.3], [-0.2, 0.8]]])
    changes = cross_talk(at_zero, at_one)
    np.testing.assert_allclose(changes, [[0.7, 0.2], [-0.1, 0.7]])
    assert cross_talk_ratio(changes) == pytest.approx(0.15 / 0.7)


def test_overlapping_zones_are_not_counted() -> None:
    changes = np.array([[0.8, 0.4, 0.0], [0.4, 0.8, 0.1], [0.1, 0.0, 0.8]])
    overlapping = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    assert cross_talk_ratio(changes) == pytest.approx(1 / 6 / 0.8)
    assert cross_talk_ratio(changes, overlapping) == pytest.approx(0.05 / 0.8)
    assert math.isnan(cross_talk_ratio(changes, np.ones((3, 3), bool)))


@pytest.mark.parametrize("requested", [0.0, -0.2])
def test_an_engine_that_never_does_what_is_asked_has_no_ratio(requested: float) -> None:
    assert math.isnan(cross_talk_ratio(np.eye(12) * requested))
    assert math.isnan(mirror_ratio(np.eye(12) * requested))


def test_perfect_control_has_no_cross_talk() -> None:
    assert cross_talk_ratio(np.eye(12)) == 0
    assert mirror_ratio(np.eye(12)) == 0


def test_mirror_ratio_sees_pairs_only() -> None:
    zones = ("forehead", "cheek.left", "chin", "cheek.right")
    changes = np.full((4, 4), 9.0)
    changes[1, 1], changes[3, 3] = 0.5, 0.7
    changes[1, 3], changes[3, 1] = 0.3, -0.1
    assert mirror_ratio(changes, zones) == pytest.approx(0.2 / 0.6)
    assert math.isnan(mirror_ratio(np.eye(2), ("forehead", "chin")))


def test_an_engine_that_always_does_both_sides_is_not_independent() -> None:
    pair = np.array([[zone.split(".")[0] == other.split(".")[0] for other in ZONES] for zone in ZONES])
    assert mirror_ratio(pair.astype(float)) == 1


def test_overlap_is_a_share_of_the_smaller_zone() -> None:
    masks = np.zeros((3, 10, 10))
    masks[0, :5] = 1  # 50 px
    masks[1, 4:6, :5] = 0.6  # 10 px, 5 of them in the first
    masks[2, 9] = 0.4  # never inside
    expected = np.zeros((3, 3), bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(overlapping_zones(masks), expected)
    np.testing.assert_array_equal(overlapping_zones(masks, min_overlap=0.6), np.diag([True, True, False]))


def test_zones_of_a_face_hardly_overlap_across_its_middle(face: Face) -> None:
    overlapping = overlapping_zones(np.stack(list(zone_masks(face).values())))
    np.testing.assert_array_equal(overlapping, overlapping.T)
    assert overlapping.diagonal().all()
    assert not overlapping[ZONES.index("under_eye.left"), ZONES.index("under_eye.right")]
    assert not overlapping[ZONES.index("forehead"), ZONES.index("upper_lip")]
