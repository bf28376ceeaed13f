"""Each loss of the age-invariant encoder: its value, what its gradient reaches, and that it falls."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.nets.aifd import AgeHead, tiny
from reage.training.aifd.losses import (
    COSFACE_MARGIN,
    COSFACE_SCALE,
    LossWeights,
    age_loss,
    cosface_loss,
    distillation_loss,
    reverse_gradient,
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def fit(parameters: list[Tensor], loss: Callable[[], Tensor], steps: int = 60, learning_rate: float = 0.05) -> Tensor:
    """The loss after some steps."""
    optimizer = torch.optim.Adam(parameters, learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return loss()


def test_weights_are_those_of_the_paper() -> None:
    weights = LossWeights()
    assert (weights.identity, weights.age, weights.reversed_age) == (1.0, 0.001, 0.002)
    assert (COSFACE_SCALE, COSFACE_MARGIN) == (64.0, 0.35)


def test_cosface_is_a_softmax_with_a_margin() -> None:
    embeddings, centres = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    loss = cosface_loss(embeddings, centres, torch.tensor([0]), scale=4.0, margin=0.25)
    assert loss.item() == pytest.approx(-math.log(math.exp(3) / (math.exp(3) + 1)), abs=1e-6)
    wrong = cosface_loss(embeddings, centres, torch.tensor([1]), scale=4.0, margin=0.25)
    assert wrong.item() == pytest.approx(-math.log(math.exp(-1) / (math.exp(-1) + math.exp(4))), abs=1e-6)


def test_cosface_gathers_people_around_their_centres() -> None:
    person = torch.arange(6) % 3
    embeddings, centres = (torch.randn(num, 8, requires_grad=True) for num in (6, 3))
    before = cosface_loss(embeddings, centres, person)
    before.backward()
    assert embeddings.grad is not None
    assert centres.grad is not None
    assert (embeddings.grad.abs().sum(1) > 0).all()
    assert (centres.grad.abs().sum(1) > 0).all()
    assert fit([embeddings, centres], lambda: cosface_loss(embeddings, centres, person)) < 0.1 * before
    cosines = F.normalize(embeddings) @ F.normalize(centres).T
    assert (cosines.argmax(1) == person).all()


def test_the_age_loss_is_the_squared_error_and_the_group() -> None:
    logits = torch.full((1, 101), -50.0)
    logits[0, 30] = 0.0
    groups = torch.zeros(1, 7)
    assert age_loss(logits, groups, torch.tensor([33.0])).item() == pytest.approx(9 + math.log(7), abs=1e-4)
    groups[0, 3] = 50.0
    assert age_loss(logits, groups, torch.tensor([33.0])).item() == pytest.approx(9, abs=1e-4)


def test_the_age_loss_teaches_the_whole_head() -> None:
    head, features = AgeHead(tiny()), torch.randn(6, 8, 3, 3)
    ages = torch.tensor([5.0, 15, 35, 45, 65, 80])
    before = age_loss(*head(features), ages)
    before.backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in head.parameters())
    assert fit(list(head.parameters()), lambda: age_loss(*head(features), ages)) < 0.1 * before


def test_a_reversed_gradient_is_the_negative_one() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    assert torch.equal(reverse_gradient(x), x)
    (plain,) = torch.autograd.grad(x.pow(3).sum(), x)
    (flipped,) = torch.autograd.grad(reverse_gradient(x).pow(3).sum(), x)
    (halved,) = torch.autograd.grad(reverse_gradient(x, 0.5).pow(3).sum(), x)
    torch.testing.assert_close(flipped, -plain)
    torch.testing.assert_close(halved, -0.5 * plain)


def test_the_head_behind_a_reversal_learns_what_the_features_unlearn() -> None:
    features, head = nn.Linear(4, 8 * 9), AgeHead(tiny())
    x, ages = torch.randn(8, 4), torch.linspace(5, 80, 8)
    for parameters, reversal in ((head.parameters(), False), (features.parameters(), True)):
        plain, flipped = [], []
        for gradients, reverse in ((plain, lambda y: y), (flipped, reverse_gradient)):
            features.zero_grad()
            head.zero_grad()
            age_loss(*head(reverse(features(x).unflatten(1, (8, 3, 3)))), ages).backward()
            gradients += [weight.grad.clone() for weight in (features.weight, head.years.weight)]
        assert list(parameters)
        place = 0 if reversal else 1
        torch.testing.assert_close(flipped[place], -plain[place] if reversal else plain[place])
        assert plain[place].abs().sum() > 0


def test_distillation_keeps_the_teachers_direction() -> None:
    teacher, embeddings = torch.randn(4, 8), torch.randn(4, 8, requires_grad=True)
    assert distillation_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(-teacher, teacher).item() == pytest.approx(2, abs=1e-6)
    before = distillation_loss(embeddings, teacher)
    before.backward()
    assert embeddings.grad is not None
    assert (embeddings.grad.abs().sum(1) > 0).all()
    assert fit([embeddings], lambda: distillation_loss(embeddings, teacher)) < 0.1 * before
