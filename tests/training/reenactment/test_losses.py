"""Each loss of the face generator: what it measures, where its gradient goes, and that it can fall."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reage.training.reenactment import losses


@pytest.fixture
def hidden() -> Tensor:
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    return mask


def fall(loss: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, float, Tensor]:
    """The loss before and after 60 steps on `x`, and its first gradient."""
    x = x.clone().requires_grad_()
    optimizer, values, first = torch.optim.Adam([x], 0.05), [], None
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        first = x.grad.clone() if first is None else first
        optimizer.step()
        values.append(value.item())
    return values[0], values[-1], first


def test_the_hidden_loss_looks_at_hidden_pixels_alone(hidden: Tensor) -> None:
    truth = torch.rand(2, 3, 8, 8)
    before, after, gradient = fall(lambda x: losses.hidden_loss(x, truth, hidden), torch.zeros(2, 3, 8, 8))
    assert before == pytest.approx(truth[..., :4].mean().item(), rel=1e-5)
    assert after < 0.5 * before
    assert gradient[..., 4:].abs().max() == 0
    assert gradient[..., :4].abs().min() > 0


def test_the_visible_loss_looks_at_the_others(hidden: Tensor) -> None:
    given = torch.rand(2, 3, 8, 8)
    before, after, gradient = fall(lambda x: losses.visible_loss(x, given, hidden), torch.zeros(2, 3, 8, 8))
    assert after < 0.5 * before
    assert gradient[..., :4].abs().max() == 0
    assert gradient[..., 4:].abs().min() > 0


def test_hidden_pixels_are_drawn_into_the_truth(hidden: Tensor) -> None:
    composed = losses.compose(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8), hidden)
    torch.testing.assert_close(composed, (1 - hidden).expand(2, 3, 8, 8))


def test_the_perceptual_loss_does_not_depend_on_the_scale_of_features() -> None:
    maps = [torch.rand(2, 4, 5, 5), torch.rand(2, 6, 3, 3)]
    assert losses.perceptual_loss(maps, maps) == 0
    other = [torch.rand_like(x) for x in maps]
    expected = losses.perceptual_loss(other, maps)
    scaled = losses.perceptual_loss([10 * x for x in other], [10 * x for x in maps])
    torch.testing.assert_close(scaled, expected)
    before, after, gradient = fall(lambda x: losses.perceptual_loss([x], maps[:1]), torch.zeros(2, 4, 5, 5))
    assert after < 0.5 * before
    assert gradient.abs().min() > 0


def test_the_identity_loss_is_one_minus_the_cosine() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])
    assert losses.identity_loss(a, b) == pytest.approx(0.5)
    before, after, gradient = fall(lambda x: losses.identity_loss(x, b), torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    assert after < 0.2 * before
    assert gradient.abs().max() > 0


def test_adversarial_losses_pull_in_opposite_directions(hidden: Tensor) -> None:
    score = torch.zeros(2, 1, 2, 2)
    before, after, gradient = fall(lambda x: losses.adversarial_generator_loss(x, hidden), score)
    assert after < before
    assert (gradient[..., 0] < 0).all()
    assert gradient[..., 1].abs().max() == 0, "patches without hidden pixels do not count"
    before, after, gradient = fall(lambda x: losses.adversarial_critic_loss(x, -x, hidden), score)
    assert after < before
    assert (gradient[..., 0] > 0).all()


def test_the_r1_penalty_is_half_the_squared_gradient() -> None:
    pictures = torch.rand(2, 3, 4, 4, requires_grad=True)
    slope = torch.tensor(0.5, requires_grad=True)
    penalty = losses.r1_penalty((slope * pictures).sum((1, 2, 3)), pictures)
    assert penalty.item() == pytest.approx(0.25 * 48 / 2)
    penalty.backward()
    assert slope.grad.item() == pytest.approx(0.5 * 48)
