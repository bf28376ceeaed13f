"""The losses of identity-preserving aging: known values, and that gradient descent lowers them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from reage.training.dreambooth.losses import (
    TEMPERATURE,
    biometric_loss,
    biometric_weights,
    contrastive_loss,
    cosine_loss,
    noise_mse,
    prior_preservation_loss,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def biometric(noise_pred: Tensor, noise: Tensor) -> Tensor:
    return biometric_loss(noise_pred.flatten(1), noise.flatten(1), torch.ones(len(noise_pred)))


LOSSES = (noise_mse, prior_preservation_loss, cosine_loss, contrastive_loss, biometric)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_descent_lowers_a_loss_and_it_is_low_at_the_target(loss: Callable[..., Tensor]) -> None:
    noise, noise_pred = draw(4, 2, 6, 6), draw(4, 2, 6, 6, seed=1).requires_grad_(True)
    values = []
    for _ in range(60):
        value = loss(noise_pred, noise)
        (gradient,) = torch.autograd.grad(value, noise_pred)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
        values.append(value.item())
        noise_pred = (noise_pred - 2.0 * gradient / gradient.norm()).detach().requires_grad_(True)
    assert values[-1] < 0.7 * values[0]
    assert loss(noise, noise) < 0.5 * values[0]


def test_cosine_is_zero_at_the_target_and_two_at_its_opposite() -> None:
    noise = draw(3, 4, 5, 5)
    assert cosine_loss(3 * noise, noise).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(-noise, noise).item() == pytest.approx(2, abs=1e-6)


def test_contrastive_has_a_known_value_where_all_vectors_are_orthogonal() -> None:
    """The cosine of every positive pair is 1, all others are 0."""
    noise = torch.eye(16).reshape(4, 4, 4, 4).transpose(0, 1)
    wanted = -math.log(math.exp(1 / TEMPERATURE) / (math.exp(1 / TEMPERATURE) + 2 * 4 - 2))
    assert contrastive_loss(noise, noise).item() == pytest.approx(wanted, abs=1e-5)


def test_contrastive_distinguishes_images() -> None:
    noise = draw(4, 2, 8, 8)
    assert contrastive_loss(noise, noise) < contrastive_loss(noise.roll(1, 0), noise)


def test_contrastive_needs_two_images() -> None:
    with pytest.raises(AssertionError):
        contrastive_loss(draw(1, 2, 4, 4), draw(1, 2, 4, 4))


def test_biometric_counts_images_by_their_weights() -> None:
    one, other = draw(3, 8), draw(3, 8, seed=1)
    assert biometric_loss(one, other, torch.zeros(3)) == 0
    alone = biometric_loss(one[:1], other[:1], torch.ones(1))
    assert biometric_loss(one, other, torch.tensor([1.0, 0, 0])).item() == pytest.approx(alone.item() / 3, abs=1e-6)


def test_biometric_does_not_depend_on_length() -> None:
    one, other = draw(3, 8), draw(3, 8, seed=1)
    longer = biometric_loss(5 * one, 0.1 * other, torch.ones(3))
    torch.testing.assert_close(longer, biometric_loss(one, other, torch.ones(3)))


def test_biometric_weights_are_alpha_bar_up_to_a_timestep() -> None:
    weights = biometric_weights(torch.tensor([0, 400, 401]), torch.tensor([1.0, 0.5, 0.5]), max_step=400)
    assert weights.tolist() == [1.0, 0.25, 0.0]
