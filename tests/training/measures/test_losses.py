"""Losses of the nets that measure, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from reage.training.measures.losses import (
    SMOOTH_YEARS,
    UNLABELLED,
    anchor_loss,
    expected_age_loss,
    label_distribution_loss,
    segmentation_loss,
    sex_loss,
    two_view_contrastive_loss,
)


def test_the_label_distribution_is_a_gaussian_around_the_age() -> None:
    ages = torch.arange(101.0)
    target = torch.exp(-0.5 * ((ages - 50) / 3) ** 2)
    target = target / target.sum()
    entropy = -(target * target.log().clamp(min=-200)).sum().item()
    age_years = torch.tensor([50.0])
    assert label_distribution_loss(target.log().clamp(min=-200)[None], age_years, 3.0).item() == pytest.approx(entropy)
    flat = label_distribution_loss(torch.zeros(1, 101), age_years, 3.0)
    assert flat.item() == pytest.approx(math.log(101), rel=1e-5)


def test_the_expected_age_has_a_smooth_l1_loss() -> None:
    truth = torch.tensor([50.0])
    near, far = (expected_age_loss(truth + years, truth).item() for years in (0.5 * SMOOTH_YEARS, 3 * SMOOTH_YEARS))
    assert near == pytest.approx(0.125)
    assert far == pytest.approx(2.5)


def test_the_sex_has_a_binary_cross_entropy() -> None:
    assert sex_loss(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(math.log(2))
    assert sex_loss(torch.tensor([9.0]), torch.tensor([1.0])) < sex_loss(torch.tensor([9.0]), torch.tensor([0.0]))


def test_unlabelled_pixels_are_ignored() -> None:
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[1, UNLABELLED], [UNLABELLED, UNLABELLED]]])
    assert segmentation_loss(logits, labels).item() == pytest.approx(-logits.log_softmax(1)[0, 1, 0, 0].item())


def test_classes_count_by_their_weights() -> None:
    logits = torch.randn(1, 2, 1, 2, generator=torch.Generator().manual_seed(0))
    labels, costs = torch.tensor([[[0, 1]]]), -logits.log_softmax(1)
    first, second = costs[0, 0, 0, 0].item(), costs[0, 1, 0, 1].item()
    weighted = segmentation_loss(logits, labels, torch.tensor([1.0, 3.0])).item()
    assert weighted == pytest.approx((first + 3 * second) / 4)
    assert segmentation_loss(logits, labels).item() == pytest.approx((first + second) / 2)


def test_views_of_a_person_are_compared_with_all_others() -> None:
    identities = torch.tensor([[0.0, 0], [1, 0], [0, 0], [1, 0]])
    wanted = -math.log(1 / (1 + 2 * math.exp(-1 / 0.5)))
    assert two_view_contrastive_loss(identities, 0.5).item() == pytest.approx(wanted, abs=1e-6)


def test_only_anchored_samples_are_held() -> None:
    identities, anchors = torch.ones(4, 8), torch.zeros(4, 8)
    assert anchor_loss(identities, anchors, torch.tensor([True, False, False, False])).item() == pytest.approx(2)
