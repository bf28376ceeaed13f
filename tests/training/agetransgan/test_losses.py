"""Each loss of AgeTransGAN: known values, the way its gradient goes, and that it falls on a toy case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from reage.nets.agetransgan import build_generator
from reage.nets.agetransgan_config import NUM_GROUPS, tiny
from reage.training.agetransgan import losses
from reage.training.agetransgan.dataset import AgeTransGanDataset
from reage.training.agetransgan.losses import LossWeights, published_weights, teaching_weights
from reage.training.agetransgan.model import AgeTransGan


def falls(loss: Callable[[Tensor], Tensor], start: Tensor, steps: int = 60, learning_rate: float = 0.05) -> float:
    """Share of a loss that is left after gradient descent on its argument."""
    value = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([value], learning_rate)
    first = loss(value).item()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(value).backward()
        optimizer.step()
    return loss(value).item() / first


def pictures(num: int = 2, side: int = 16) -> Tensor:
    return 2 * torch.rand(num, 3, side, side) - 1


# Values


def test_adversarial_losses_are_softplus_of_the_scores() -> None:
    nought, high = torch.zeros(3), torch.full((3,), 20.0)
    assert losses.adversarial_discriminator_loss(nought, nought).item() == pytest.approx(2 * 0.6931, abs=1e-3)
    assert losses.adversarial_discriminator_loss(high, -high).item() < 1e-6
    assert losses.adversarial_generator_loss(high).item() < 1e-6
    assert losses.adversarial_generator_loss(-high).item() == pytest.approx(20)


def test_r1_is_half_the_squared_gradient() -> None:
    slope = pictures(1, 8)
    found = losses.r1_loss(lambda x: (x * slope).sum((1, 2, 3)), pictures(3, 8))
    assert found.item() == pytest.approx(slope.square().sum().item() / 2, rel=1e-5)


def test_identity_losses_are_nought_for_the_same_person() -> None:
    first, second = torch.randn(2, 16), torch.randn(2, 16)
    for loss in (losses.identity_loss, losses.mutual_identity_loss):
        assert loss(first, first).item() == pytest.approx(0, abs=1e-6)
        assert loss(first, second) > 0.1
    assert losses.mutual_identity_loss(first, 3 * first).item() == pytest.approx(0, abs=1e-6)
    assert losses.mutual_identity_loss(first, -first).item() == pytest.approx(2)


def test_the_triplet_wants_the_aged_content_farther_than_the_restored() -> None:
    f = torch.zeros(2, 4, 4, 4)
    assert losses.triplet_loss(f, f + 0.5, f).item() == pytest.approx(0, abs=1e-3)
    assert losses.triplet_loss(f, f, f).item() == pytest.approx(0.5)
    assert losses.triplet_loss(f, f, f + 0.2).item() == pytest.approx(0.7, abs=1e-3)


def test_detail_counts_at_every_size_and_light_does_not() -> None:
    x = pictures(2, 32)
    assert losses.multiscale_detail_loss(x + 0.2, x) < 1e-3
    coarse = torch.nn.functional.interpolate(torch.randn(2, 3, 8, 8), scale_factor=4.0)
    alone = losses.reconstruction_loss(losses.high_pass(x + coarse), losses.high_pass(x))
    assert losses.multiscale_detail_loss(x + coarse, x) > 1.5 * alone


def test_path_lengths_are_compared_with_their_mean() -> None:
    """A linear generator whose every style has the same length of path: only the running mean is off."""
    style = torch.randn(64, 3, requires_grad=True)
    picture = (style * 2)[:, :, None, None].expand(-1, -1, 4, 4)
    loss, mean = losses.path_length_loss(picture, style, torch.tensor(3.0), torch.Generator().manual_seed(0))
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0)) / 4
    lengths = (2 * noise.sum((2, 3))).square().sum(1).sqrt()
    assert mean.item() == pytest.approx(0.99 * 3 + 0.01 * lengths.mean().item(), rel=1e-4)
    assert loss.item() == pytest.approx((lengths - mean).square().mean().item(), rel=1e-3)


def test_ages_are_compared_from_adults_to_what_estimators_read_of_the_oldest() -> None:
    assert losses.age_loss(torch.tensor([30.0]), torch.tensor([30.0])) == 0
    assert losses.age_loss(torch.tensor([76.0]), torch.tensor([90.0])) == 0
    assert losses.age_loss(torch.tensor([50.0]), torch.tensor([9.0])) == 0
    assert losses.age_loss(torch.tensor([50.0]), torch.tensor([20.0])).item() == pytest.approx(30 / 6 - 0.5)


# They fall


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (losses.pixel_loss, (2, 3, 8, 8)),
        (losses.cycle_loss, (2, 3, 8, 8)),
        (losses.multiscale_detail_loss, (2, 3, 32, 32)),
        (losses.identity_loss, (2, 8)),
    ],
)
def test_distances_fall(loss: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
    target = torch.randn(shape) / 2
    assert falls(lambda value: loss(value, target), torch.randn(shape) / 2) < 0.5


def test_losses_of_scores_and_embeddings_fall() -> None:
    labels, start = torch.eye(NUM_GROUPS)[:2], torch.randn(2, NUM_GROUPS)
    assert falls(lambda value: losses.class_loss(value, labels), start) < 0.6
    assert falls(lambda value: losses.age_loss(20 * value, torch.tensor([20.0, 60.0])), torch.ones(2)) < 0.5
    assert falls(losses.adversarial_generator_loss, torch.randn(4)) < 0.5
    assert falls(lambda value: losses.adversarial_discriminator_loss(value, -value), torch.randn(4)) < 0.5
    assert falls(lambda value: losses.mutual_identity_loss(start, value), torch.randn(2, NUM_GROUPS)) < 0.2
    f = torch.randn(2, 4, 4, 4)
    assert falls(lambda value: losses.triplet_loss(f, value, f), f + 0.01) < 0.5


def test_the_r1_loss_flattens_a_discriminator() -> None:
    real = pictures(2, 8)
    assert falls(lambda slope: losses.r1_loss(lambda x: (x * slope).sum((1, 2, 3)), real), torch.randn(3, 8, 8)) < 0.3


def test_the_path_length_loss_evens_a_generator() -> None:
    torch.manual_seed(1)
    style = torch.randn(8, 4, requires_grad=True)

    def loss(weights: Tensor) -> Tensor:
        made = ((style * weights) @ torch.ones(4, 48)).view(8, 3, 4, 4)
        return losses.path_length_loss(made, style, torch.tensor(1.0), torch.Generator().manual_seed(0))[0]

    assert falls(loss, torch.full((4,), 3.0), learning_rate=0.2) < 0.5


# What their gradients reach


ALL = LossWeights(
    **dict.fromkeys(asdict(LossWeights()), 1.0),
)


@pytest.mark.parametrize("name", [name for name in asdict(LossWeights()) if name not in {"r1", "discriminator_class"}])
def test_each_loss_of_the_generator_reaches_it_and_not_the_discriminator(
    name: str, net: AgeTransGan, dataset: AgeTransGanDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "PATH_LENGTH_STEPS", 1)
    nought = replace(ALL, **dict.fromkeys(asdict(ALL), 0.0))
    batch = dataset.sample_photos(4, torch.Generator().manual_seed(0))
    step = net.adversarial_loss(batch, replace(nought, **{name: 1.0}), torch.Generator().manual_seed(0))
    assert step.parts[name] > 0
    step.parts[name].backward()
    assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.generator.parameters())
    assert all(weight.grad is None for weight in net.discriminator.parameters())


@pytest.mark.parametrize("name", ["discriminator", "discriminator_class", "r1"])
def test_each_loss_of_the_discriminator_reaches_it_alone(
    name: str, net: AgeTransGan, dataset: AgeTransGanDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "R1_STEPS", 1)
    batch = dataset.sample_photos(4, torch.Generator().manual_seed(0))
    step = net.adversarial_loss(batch, ALL, torch.Generator().manual_seed(0))
    step.parts[name].backward()
    assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.discriminator.parameters())
    assert all(weight.grad is None for weight in net.generator.parameters())


def test_lazy_losses_come_once_in_so_many_steps(net: AgeTransGan, dataset: AgeTransGanDataset) -> None:
    generator, weights = torch.Generator().manual_seed(0), LossWeights(adversarial=1.0)
    batch = dataset.sample_photos(2, generator)
    drawn = ["r1" in net.adversarial_loss(batch, weights, generator).parts for _ in range(64)]
    assert 1 <= sum(drawn) <= 10


def test_weights_are_those_of_the_paper_and_a_weight_of_nought_leaves_a_loss_out(
    net: AgeTransGan, dataset: AgeTransGanDataset
) -> None:
    weights = published_weights()
    assert (weights.pixel, weights.cycle, weights.triplet, weights.identity, weights.r1) == (10, 10, 0.1, 1, 10)
    assert weights.mutual_identity == weights.path_length == 0
    generator = torch.Generator().manual_seed(0)
    off = replace(teaching_weights(), r1=0.0)
    parts = net.adversarial_loss(dataset.sample_photos(2, generator), off, generator).parts
    assert not {"adversarial", "age_class", "triplet", "identity", "mutual_identity", "discriminator"} & set(parts)


def test_the_style_takes_the_path_length_loss_in_a_real_generator() -> None:
    net, labels = build_generator(tiny().generator), torch.eye(NUM_GROUPS)[:2]
    x = pictures(2, 32)
    trunk = net.run_trunk(x, labels)
    style = net.make_style(trunk[-1], labels)
    aged = net.decode(x, trunk, net.identity(trunk[-1]), style)
    loss, _ = losses.path_length_loss(aged, style, torch.zeros(()), torch.Generator().manual_seed(0))
    loss.backward()
    assert net.content.modulated.scale.weight.grad.abs().max() > 0
