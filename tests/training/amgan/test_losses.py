"""Each loss of AMGAN on pictures whose loss is known."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from reage.training.amgan import losses
from reage.training.amgan.dataset import AmganDataset
from reage.training.amgan.losses import LossWeights, finetune_loss_weights, pool_map


def pictures(num: int = 2, side: int = 32) -> torch.Tensor:
    return 2 * torch.rand(num, 3, side, side) - 1


def test_distances_to_the_same_picture_are_zero() -> None:
    x = pictures()
    for loss in (
        losses.reconstruction_loss,
        losses.detail_loss,
        losses.chroma_loss,
        losses.low_frequency_loss,
        losses.cycle_loss,
    ):
        assert loss(x, x) == 0, loss
    assert losses.reconstruction_loss(x, x + 0.5).item() == pytest.approx(0.25)


def test_each_distance_reacts_to_its_part_of_a_change() -> None:
    x = pictures()
    brighter = x + 0.2
    assert losses.low_frequency_loss(brighter, x).item() == pytest.approx(0.1, rel=1e-4)
    assert losses.chroma_loss(brighter, x) < 1e-3
    assert losses.detail_loss(brighter, x) < 1e-3
    noisy = x + 0.2 * torch.randn(x.shape[0], 1, *x.shape[2:])
    assert losses.detail_loss(noisy, x) > 4 * losses.low_frequency_loss(noisy, x)


def test_estimators_reach_the_light_of_lines_alone() -> None:
    change = torch.randn(1, 3, 128, 128, requires_grad=True)
    through = losses.lines_alone(change)
    torch.testing.assert_close(through, change)
    through.mean().backward()
    assert change.grad is not None
    assert change.grad.abs().max() < 1e-6
    change.grad = None
    losses.lines_alone(change)[..., ::2, :].sum().backward()
    assert change.grad.abs().max() > 0.1
    change.grad = None
    (losses.lines_alone(change)[:, 0] - losses.lines_alone(change)[:, 2])[..., 5, 5].sum().backward()
    assert change.grad.abs().max() < 1e-6


def test_light_and_shade_may_not_go_beyond_the_teachers() -> None:
    teacher = torch.full((1, 3, 128, 128), -0.1)
    lines = 0.5 * (-1.0) ** torch.arange(128)
    assert losses.shade_loss(teacher + lines, teacher) == 0
    assert losses.shade_loss(-teacher, teacher) == 0
    assert losses.shade_loss(3 * teacher, teacher).item() == pytest.approx(0.3 - 0.12 - losses.FREE_SHADE, rel=1e-3)


def test_texture_counts_the_strength_of_lines_and_not_their_place() -> None:
    x, usable = torch.zeros(1, 3, 256, 256), torch.ones(1, 1, 256, 256)
    lines = 0.1 * torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0)).expand(1, 3, 256, 256)
    shifted = lines.roll(3, -1)
    same, other = (losses.texture_loss(x + lines, x + one, usable) for one in (shifted, 0.3 * lines))
    assert same < 0.3 * other
    assert losses.texture_loss(x + lines, x, 0 * usable) == 0


def test_features_aim_beyond_the_teacher() -> None:
    source, teacher = ([torch.rand(2, 4, 8, 8) for _ in range(3)] for _ in range(2))
    beyond = [before + 1.15 * (after - before) for before, after in zip(source, teacher, strict=True)]
    assert losses.perceptual_loss(beyond, source, teacher) < 1e-6
    assert losses.perceptual_loss(teacher, source, teacher) > 1e-3
    assert losses.perceptual_loss(teacher, source, teacher, overshoot=1.0) < 1e-6


def test_change_counts_only_where_there_should_be_none() -> None:
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :8] = 1
    assert losses.unchanged_loss(torch.full((2, 3, 32, 32), 0.4), mask).item() == pytest.approx(0.05, rel=1e-4)
    planes = torch.zeros(2, 4, 32, 32)
    planes[:, 0, :, 8:] = 0.1
    assert torch.equal(losses.same_map(planes).float(), mask)


def test_ages_aim_beyond_the_teacher() -> None:
    before, teacher = torch.tensor([30.0, 60.0]), torch.tensor([50.0, 40.0])
    beyond = torch.tensor([53.0, 37.0])
    assert losses.age_loss(beyond, before, teacher) < 1e-9
    assert losses.age_loss(beyond + 12, before, teacher).item() == pytest.approx(1.5, rel=1e-5)


def test_hidden_zones_are_left_out() -> None:
    target = torch.tensor([[0.5, torch.nan, 0.2]])
    assert losses.zone_scores_loss(torch.tensor([[0.5, 0.9, 0.2]]), target) == 0
    assert losses.zone_scores_loss(torch.tensor([[0.9, 0.9, 0.2]]), target).item() == pytest.approx(0.35 / 2)


def test_generator_and_critic_want_opposite_scores() -> None:
    fake, real = torch.tensor([1.0, 3.0]), torch.tensor([5.0])
    assert losses.adversarial_generator_loss(fake) == -2
    assert losses.adversarial_critic_loss(fake, real) == -3


def test_gradient_penalty_is_zero_for_a_critic_of_slope_one() -> None:
    fake, real = torch.rand(4, 1, 4, 4), torch.rand(4, 1, 4, 4)
    direction = torch.randn(1, 4, 4)
    direction /= direction.norm()
    shares = torch.rand(4, 1, 1, 1)

    def penalty(slope: float) -> float:
        return losses.gradient_penalty(lambda x: slope * (x * direction).sum((1, 2, 3)), fake, real, shares).item()

    assert penalty(1.0) == pytest.approx(0, abs=1e-6)
    assert penalty(3.0) == pytest.approx(4, rel=1e-4)


def test_maps_are_pooled_to_what_the_critic_predicts() -> None:
    pooled = pool_map(2 * torch.ones(1, 1, 32, 32) - 1, torch.zeros(1, 1, 4, 4))
    assert torch.equal(pooled, torch.ones(1, 1, 4, 4))
    assert losses.aging_map_loss(pooled, torch.ones(1, 1, 32, 32)) == 0
    assert losses.location_loss(torch.tensor([[0.5, 0.7]]), torch.tensor([[0.5, 0.5]])).item() == pytest.approx(0.02)


def test_a_zone_may_change_by_any_multiple_of_the_teachers_change_and_nothing_else(dataset: AmganDataset) -> None:
    faces = dataset.sample_faces(4, torch.Generator().manual_seed(0))
    teacher_change = faces.teacher_change
    chroma = 0.1 * torch.tensor([0.114, 0.0, -0.299])[:, None, None]  # without luma

    def distance(change: torch.Tensor) -> float:
        return float(losses.direction_loss(change, teacher_change, faces.zone_weights))

    assert distance(0.5 * teacher_change) == pytest.approx(distance(2 * teacher_change), abs=2e-3)
    assert distance(teacher_change) < 0.2 * distance(-teacher_change)
    for other in (chroma, 0.02 * torch.ones(3, 1, 1), 0.05 * torch.randn(teacher_change.shape)):
        assert distance(teacher_change + other) > distance(teacher_change) + 0.005


def test_the_first_stage_has_no_adversarial_loss() -> None:
    first, second = asdict(LossWeights()), asdict(finetune_loss_weights())
    assert first["adversarial"] == 0
    assert all(weight > 0 for weight in second.values())
