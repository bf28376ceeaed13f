"""Differences of pixels by hand; PSNR and SSIM beside those of other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.data
import skimage.metrics
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from reage.errors import ReageError
from reage.evaluation.metrics.image_similarity import (
    LUMA,
    background_share_of_change,
    changed_share,
    find_backdrop,
    make_background,
    mean_absolute_difference,
    peak_signal_to_noise_ratio,
    structural_similarity,
)
from reage.types import Pixels


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return skimage.data.astronaut()[100:196, 150:262].copy()


@pytest.fixture(scope="module")
def noisy(photo: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 12, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def test_mean_absolute_difference_by_hand() -> None:
    before, after = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    after[0, 0] = (255, 0, 51)
    assert mean_absolute_difference(before, after) == pytest.approx(1.2 / 12)
    assert mean_absolute_difference(after, before) == pytest.approx(1.2 / 12)
    assert mean_absolute_difference(before, after, np.array([[1, 1], [0, 0]], bool)) == pytest.approx(1.2 / 6)
    assert mean_absolute_difference(before, after, np.array([[0, 1], [1, 1]], bool)) == 0
    assert math.isnan(mean_absolute_difference(before, after, np.zeros((2, 2), bool)))


def test_signal_to_noise_by_hand() -> None:
    grey = np.zeros((4, 4), np.uint8)
    assert peak_signal_to_noise_ratio(grey, grey + 255) == pytest.approx(0)
    # 51 is a fifth of the range: 10 log10(25)
    assert peak_signal_to_noise_ratio(grey, grey + 51) == pytest.approx(13.9794)
    assert peak_signal_to_noise_ratio(grey, grey) == math.inf
    half = np.zeros((4, 4), bool)
    half[:2] = True
    after = grey + np.where(half, 51, 0).astype(np.uint8)
    assert peak_signal_to_noise_ratio(grey, after, half) == pytest.approx(13.9794)
    assert peak_signal_to_noise_ratio(grey, after) == pytest.approx(13.9794 + 10 * math.log10(2), abs=1e-4)
    assert peak_signal_to_noise_ratio(grey, after, ~half) == math.inf
    assert math.isnan(peak_signal_to_noise_ratio(grey, after, np.zeros((4, 4), bool)))


def test_signal_to_noise_is_that_of_torchmetrics(photo: Pixels, noisy: Pixels) -> None:
    first, second = (torch.from_numpy(pixels.astype(np.float64)) / 255 for pixels in (photo, noisy))
    expected = float(peak_signal_noise_ratio(first, second, data_range=1.0))
    assert peak_signal_to_noise_ratio(photo, noisy) == pytest.approx(expected, abs=1e-4)


def test_similarity_is_that_of_scikit_image(photo: Pixels, noisy: Pixels) -> None:
    first, second = (pixels / 255 @ np.array(LUMA) for pixels in (photo, noisy))
    expected = skimage.metrics.structural_similarity(
        first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert structural_similarity(photo, noisy) == pytest.approx(expected, abs=1e-4)
    assert 0.3 < expected < 0.95


def test_similarity_of_equal_pictures_is_one_and_grey_is_taken(photo: Pixels, noisy: Pixels) -> None:
    assert structural_similarity(photo, photo) == pytest.approx(1)
    grey = photo[..., 1]
    assert structural_similarity(grey, noisy[..., 1]) == pytest.approx(
        structural_similarity(np.repeat(grey[..., None], 3, 2), np.repeat(noisy[..., 1:2], 3, 2)), abs=1e-6
    )


def test_similarity_of_flat_pictures_is_that_of_their_means() -> None:
    dark, light = np.full((16, 16), 51, np.uint8), np.full((16, 16), 102, np.uint8)
    assert structural_similarity(dark, light) == pytest.approx((2 * 0.2 * 0.4 + 1e-4) / (0.04 + 0.16 + 1e-4), abs=1e-4)


def test_similarity_needs_whole_windows() -> None:
    small = np.zeros((8, 20, 3), np.uint8)
    with pytest.raises(ReageError, match="20 x 8 px; SSIM needs at least 11 px"):
        structural_similarity(small, small)


# Changed pixels


def test_changed_share_counts_pixels_of_the_mask_that_changed_more_than_the_limit() -> None:
    before = np.full((4, 5, 3), 100, np.uint8)
    after = before.copy()
    after[0, 0] = 255  # outside the mask
    after[1, 0, 2] = 105
    after[1, 1, 0] = 95
    after[1, 2] = 104
    where = np.zeros((4, 5), bool)
    where[1:3] = True
    assert changed_share(before, after, where) == pytest.approx(2 / 10)
    assert changed_share(after, before, where) == pytest.approx(2 / 10)
    assert changed_share(before, after, where, more_than=3) == pytest.approx(3 / 10)
    assert changed_share(before, after, where, more_than=5) == 0
    assert changed_share(before, after, np.zeros((4, 5), bool)) == 0


def test_changed_share_does_not_wrap_around() -> None:
    before, after = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert changed_share(before, after, np.ones((2, 2), bool), more_than=254) == 1


# Background


def test_share_of_change_in_the_background() -> None:
    before = np.full((4, 4, 3), 100, np.uint8)
    background = np.zeros((4, 4), bool)
    background[0] = True
    after = before.copy()
    assert background_share_of_change(before, after, background) == 0
    after[2, 2] = 160  # 3 * 60 inside
    after[0, 0, 1] = 80  # 20 outside
    assert background_share_of_change(before, after, background) == pytest.approx(20 / 200)
    assert background_share_of_change(before, after, ~background) == pytest.approx(180 / 200)
    assert background_share_of_change(before[..., 1], after[..., 1], background) == pytest.approx(20 / 80)


def test_background_keeps_its_distance_from_the_person() -> None:
    person = np.zeros((50, 100), np.float32)
    person[20:30, 40:60] = 0.1
    background = make_background(person, margin=0.05)
    rows, columns = np.nonzero(~background)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 34, 35, 64)
    np.testing.assert_array_equal(make_background(person, margin=0), person == 0)
    assert make_background(np.zeros((20, 20), np.float32)).all()
    assert not make_background(np.ones((20, 20), np.float32)).any()


def test_backdrop_is_what_is_surely_not_the_person() -> None:
    rows, columns = np.mgrid[0:128, 0:128]
    person = (columns - 64) ** 2 + (rows - 75) ** 2 < 40**2
    portrait = np.where(person[..., None], (205, 150, 125), (40, 70, 150)).astype(np.uint8)
    backdrop = find_backdrop(portrait)
    assert backdrop is not None
    np.testing.assert_array_equal(backdrop, ~person)
    assert find_backdrop(np.where(person[..., None], (205, 150, 125), (130, 130, 130)).astype(np.uint8)) is None
