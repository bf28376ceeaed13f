"""Losses of the nets that measure, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from reage.training.measures.losses import (
    SMOOTH_YEARS,
    UNLABELLED,
    anchor_loss,
    dice_loss,
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


LABELS = torch.tensor([[[0, 1, 1, 2], [0, 1, 2, 2]], [[0, 0, 1, 1], [2, 2, 2, 0]]])


def certain(classes: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Logits (B, C, H, W) that give these classes (B, H, W) all of the share."""
    return 50 * F.one_hot(classes, num_classes).permute(0, 3, 1, 2).float()


def test_the_dice_loss_is_0_when_all_is_right_and_1_when_all_is_wrong() -> None:
    assert dice_loss(certain(LABELS, 3), LABELS).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(certain((LABELS + 1) % 3, 3), LABELS).item() == pytest.approx(1, abs=1e-6)


def test_the_dice_loss_is_twice_the_shared_over_the_sum_for_each_class_alike() -> None:
    logits = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    shares, there = logits.softmax(1), F.one_hot(LABELS, 3).permute(0, 3, 1, 2).float()
    sums = [(2 * (shares[:, k] * there[:, k]).sum() / (shares[:, k] + there[:, k]).sum()).item() for k in range(3)]
    assert dice_loss(logits, LABELS).item() == pytest.approx(1 - sum(sums) / 3)
    one_large_class = torch.zeros_like(LABELS)
    one_large_class[0, 0, 0] = 1
    assert dice_loss(certain(torch.zeros_like(LABELS), 2), one_large_class).item() == pytest.approx(
        1 - (30 / 31 + 0) / 2, abs=1e-6
    )


def test_the_dice_loss_ignores_unlabelled_pixels() -> None:
    """Whatever is said of them."""
    labels = LABELS.clone()
    labels[1] = UNLABELLED
    logits = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    assert dice_loss(logits, labels).item() == pytest.approx(dice_loss(logits[:1], labels[:1]).item())
    assert dice_loss(logits, labels).item() != pytest.approx(dice_loss(logits, LABELS).item())
    nowhere = torch.full_like(LABELS, UNLABELLED)
    assert torch.isfinite(dice_loss(logits, nowhere))


def test_classes_that_no_pixel_has_do_not_count_in_the_dice_loss() -> None:
    assert dice_loss(certain(LABELS, 7), LABELS).item() == pytest.approx(0, abs=1e-6)
    halves = certain(torch.where(LABELS == 2, 5, LABELS), 7)  # class 2 is never found
    assert dice_loss(halves, LABELS).item() == pytest.approx(1 / 3, abs=1e-6)


def test_the_dice_loss_teaches() -> None:
    logits = torch.zeros(2, 3, 2, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.5)
    for _ in range(60):
        optimizer.zero_grad()
        dice_loss(logits, LABELS).backward()
        optimizer.step()
    assert torch.equal(logits.argmax(1), LABELS)


def test_views_of_a_person_are_compared_with_all_others() -> None:
    identities = torch.tensor([[0.0, 0], [1, 0], [0, 0], [1, 0]])
    wanted = -math.log(1 / (1 + 2 * math.exp(-1 / 0.5)))
    assert two_view_contrastive_loss(identities, 0.5).item() == pytest.approx(wanted, abs=1e-6)


def test_only_anchored_samples_are_held() -> None:
    identities, anchors = torch.ones(4, 8), torch.zeros(4, 8)
    assert anchor_loss(identities, anchors, torch.tensor([True, False, False, False])).item() == pytest.approx(2)
