"""Energy ratios and hue shifts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reage.evaluation.metrics.skin import MIN_REAL_PEOPLE, energy_ratios, hue_shift, resolved_bands, share_between
from reage.faces.skin_detail import BAND_SIGMAS
from reage.images import regions


def test_a_band_is_resolved_where_its_wider_blur_is_a_pixel() -> None:
    found = resolved_bands(np.array([1 / BAND_SIGMAS[0] + 1e-6, 50.0, 1.0, np.nan]))
    assert found.sum(1).tolist() == [6, 4, 0, 0]
    assert found[1].tolist() == [False, False, True, True, True, True]


def test_energy_is_divided_by_the_mean_of_other_people() -> None:
    real = np.arange(1.0, 10.0).reshape(9, 1, 1)
    people = np.array([f"P{number}" for number in range(1, 10)])
    ratios = energy_ratios(np.full((2, 1, 1), 3.0), np.array(["P9", "A"]), real, people)
    # without P9 the mean of 1 to 8 is 4.5; with everybody it is 5
    np.testing.assert_allclose(ratios.ravel(), [3 / 4.5, 3 / 5])


def test_photos_of_a_person_count_as_one() -> None:
    real = np.array([*[2.0] * MIN_REAL_PEOPLE, 8.0, 14.0]).reshape(-1, 1, 1)
    people = np.array([*[f"P{number}" for number in range(MIN_REAL_PEOPLE)], "B", "B"])
    ratios = energy_ratios(np.ones((1, 1, 1)), np.array(["A"]), real, people)
    assert ratios.item() == pytest.approx((MIN_REAL_PEOPLE + 1) / (2 * MIN_REAL_PEOPLE + 11))


def test_too_few_real_people_give_no_ratio() -> None:
    real = np.ones((MIN_REAL_PEOPLE, 2, 1))
    real[0, 1] = np.nan
    people = np.array([f"P{number}" for number in range(MIN_REAL_PEOPLE)])
    ratios = energy_ratios(np.full((1, 2, 1), 0.5), np.array(["A"]), real, people)
    assert ratios[0, 0, 0] == 0.5
    assert math.isnan(ratios[0, 1, 0])
    assert np.isnan(energy_ratios(np.ones((1, 2, 1)), np.array(["P0"]), real, people)).all(), "P0 is left out"
    assert np.isnan(energy_ratios(np.ones((1, 2, 1)), np.array(["A"]), real[:0], people[:0])).all()


def test_shares_are_of_what_is_known() -> None:
    ratios = np.array([[0.5, 0.7, 1.3, np.nan], [1.0, 1.0, 1.0, 1.0], [np.nan] * 4])
    np.testing.assert_allclose(share_between(ratios, 0.7, 1.3), [1 / 3, 1, np.nan])
    np.testing.assert_allclose(share_between(ratios, 0, 0.7), [1 / 3, 0, np.nan])
    np.testing.assert_allclose(share_between(ratios, 1.3, math.inf), [1 / 3, 0, np.nan])
    assert np.isnan(share_between(np.empty((2, 3, 0)), 0.7, 1.3)).all()
    assert len(share_between(np.empty((0, 3, 0)), 0.7, 1.3)) == 0


# Hue


def test_hue_shift_is_the_angle_weighted_by_chroma() -> None:
    before, after = np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 3), np.uint8)
    before[0], after[0] = ((200, 150, 120), (180, 160, 150)), ((200, 150, 120), (160, 180, 150))
    (a1, b1), (a2, b2) = regions.to_lab(before)[0, 1, 1:], regions.to_lab(after)[0, 1, 1:]
    turned = abs(math.degrees(math.atan2(b2, a2) - math.atan2(b1, a1)))
    weights = math.hypot(*regions.to_lab(before)[0, 0, 1:]), math.sqrt(math.hypot(a1, b1) * math.hypot(a2, b2))
    both = np.ones((1, 2), bool)
    assert hue_shift(before, after, both) == pytest.approx(turned * weights[1] / sum(weights), rel=1e-5)
    assert hue_shift(before, after, np.array([[False, True]])) == pytest.approx(turned, rel=1e-5)
    assert hue_shift(before, after, np.array([[True, False]])) == pytest.approx(0, abs=1e-6)


def test_angles_are_measured_the_short_way() -> None:
    # both hues lie near 180 degrees, one on either side of it
    before, after = np.full((4, 4, 3), (90, 160, 120), np.uint8), np.full((4, 4, 3), (90, 160, 150), np.uint8)
    angles = [math.degrees(math.atan2(*regions.to_lab(own)[0, 0, :0:-1])) for own in (before, after)]
    assert angles[0] > 0 > angles[1]
    assert hue_shift(before, after, np.ones((4, 4), bool)) == pytest.approx(360 - angles[0] + angles[1], rel=1e-5)


def test_grey_and_hidden_skin_has_no_hue() -> None:
    grey, skin = np.full((4, 4, 3), 120, np.uint8), np.full((4, 4, 3), (200, 150, 120), np.uint8)
    everywhere = np.ones((4, 4), bool)
    assert math.isnan(hue_shift(grey, grey, everywhere))
    assert math.isnan(hue_shift(skin, grey, everywhere))
    assert math.isnan(hue_shift(skin, skin, ~everywhere))
    assert hue_shift(skin, (skin * 0.8).astype(np.uint8), everywhere) < 4
