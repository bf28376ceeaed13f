"""Losses of the diffusion base, by hand."""

from __future__ import annotations

import pytest
import torch

from reage.training.diffusion.losses import detail_loss, kl_loss, noise_prediction_loss, reconstruction_loss


def test_the_noise_loss_is_the_mean_squared_error() -> None:
    assert noise_prediction_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])).item() == 2.5


def test_the_reconstruction_loss_is_the_mean_absolute_error() -> None:
    assert reconstruction_loss(torch.tensor([1.0, -3.0]), torch.zeros(2)).item() == 2.0


def test_the_detail_loss_is_blind_to_brightness_and_sees_fine_lines() -> None:
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert detail_loss(images + 0.5, images).item() == pytest.approx(0, abs=1e-6)
    lines = images.clone()
    lines[..., ::4, :] += 1
    assert detail_loss(lines, images).item() > 0.2


def test_the_kl_loss_is_0_for_a_normal_distribution() -> None:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    normal = DiagonalGaussianDistribution(torch.zeros(1, 4, 2, 2))  # means and log variances
    assert kl_loss(normal).item() == 0
    shifted = DiagonalGaussianDistribution(torch.cat([torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)], 1))
    assert kl_loss(shifted).item() == pytest.approx(0.5 * 8)
