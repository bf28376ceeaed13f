"""Losses of LDLA, by hand."""

from __future__ import annotations

import pytest
import torch

from reage.training.ldla.losses import (
    cycle_loss,
    estimate_score_loss,
    noise_loss,
    pair_loss,
    sample_rmse,
    score_loss,
    score_net_loss,
)

ZEROS = torch.zeros(2, 1, 2, 2)


def with_errors(first: float, second: float) -> torch.Tensor:
    return ZEROS + torch.tensor([first, second])[:, None, None, None]


def test_squared_and_absolute_errors() -> None:
    assert noise_loss(with_errors(1, 3), ZEROS).item() == 5
    assert cycle_loss(with_errors(1, -3), ZEROS).item() == 2
    scores, targets = torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0])
    assert score_loss(scores, targets).item() == 0.125
    assert score_net_loss(scores, targets).item() == 0.125


def test_the_pair_loss_is_the_mean_of_each_samples_rmse() -> None:
    assert sample_rmse(with_errors(1, 3), ZEROS).tolist() == pytest.approx([1, 3])
    assert pair_loss(with_errors(1, 3), ZEROS).item() == pytest.approx(2)


def test_only_samples_with_a_paired_target_count() -> None:
    assert pair_loss(with_errors(1, 3), ZEROS, torch.tensor([True, False])).item() == pytest.approx(0.5)


def test_the_pair_loss_has_a_finite_gradient_at_0() -> None:
    noise_pred = ZEROS.clone().requires_grad_(True)
    pair_loss(noise_pred, ZEROS).backward()
    assert noise_pred.grad is not None
    assert not noise_pred.grad.isnan().any()


def test_only_clear_estimates_count() -> None:
    scores, targets = torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0])
    assert estimate_score_loss(scores, targets, torch.tensor([True, False])).item() == 0.125
