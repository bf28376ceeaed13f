"""The losses of both stages move the nets that they should."""

from __future__ import annotations

from dataclasses import replace

import torch

from reage.training.amgan.dataset import AmganDataset
from reage.training.amgan.losses import LossWeights
from reage.training.amgan.model import Amgan, measure_zone_scores, see_in_crops
from reage.training.amgan.zone_scores import DifferentiableZoneScorer
from reage.training.skin_changes import SkinChangeDataset


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_distillation_lowers_the_distance_to_the_teacher(net: Amgan, dataset: AmganDataset) -> None:
    batch = dataset.sample_patches(4, draws())
    optimizer = torch.optim.Adam(net.generator.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = net.distill_loss(batch, LossWeights()).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_only_visible_skin_changes(net: Amgan, dataset: AmganDataset) -> None:
    faces = dataset.request_age(torch.tensor([0]), 80.0)
    aged, change = net.age(faces.x, faces.planes, faces.usable)
    assert change.any()
    hidden = (faces.usable == 0).expand_as(aged)
    torch.testing.assert_close(aged[hidden], faces.x[hidden], atol=1e-6, rtol=0)
    seen = see_in_crops(faces, torch.ones_like(change))
    still = (faces.on_skin == 0).expand_as(seen)
    torch.testing.assert_close(seen[still], faces.crops[still], atol=1e-6, rtol=0)
    assert (seen >= faces.crops - 1e-6).all()
    assert (seen - faces.crops).max() > 0.5


def test_each_net_gets_gradients_from_its_own_losses_alone(net: Amgan, dataset: AmganDataset) -> None:
    generator = draws()
    batches = (
        dataset.sample_patches(2, generator),
        dataset.sample_aged_faces(2, generator),
        dataset.sample_faces(2, generator),
    )
    first_stage = dict.fromkeys(("reconstruction", "detail", "texture", "perceptual", "chroma", "low_frequency"), 0.0)
    none = LossWeights(**first_stage, gradient_penalty=0)
    net.finetune_loss(*batches, none, generator).total.backward()
    assert all(one.grad is None or not one.grad.any() for one in net.generator.parameters())
    assert any(one.grad is not None and one.grad.any() for one in net.critic.parameters())
    for name in ("adversarial", "aging_map", "location", "cycle", "age", "unchanged", "zone_scores", "direction"):
        net.zero_grad()
        step = net.finetune_loss(*batches, replace(none, **{name: 1.0}), generator)
        step.total.backward()
        assert any(one.grad is not None and one.grad.any() for one in net.generator.parameters()), name
        assert name in step.parts


def test_weights_of_the_critics_loss_reach_its_heads(net: Amgan, dataset: AmganDataset) -> None:
    generator = draws()
    batches = (
        dataset.sample_patches(2, generator),
        dataset.sample_aged_faces(2, generator),
        dataset.sample_faces(2, generator),
    )
    weights = LossWeights(critic_aging_map=0.0, critic_location=0.0)
    net.finetune_loss(*batches, weights, generator).total.backward()
    for head, weight in ((net.critic.aging_map, "critic_aging_map"), (net.critic.location, "critic_location")):
        assert head.weight.grad is None or not head.weight.grad.any()
        net.zero_grad()
        net.finetune_loss(*batches, replace(weights, **{weight: 10.0}), generator).total.backward()
        assert head.weight.grad is not None
        assert head.weight.grad.any()
        net.zero_grad()


def test_zone_scores_of_pictures_are_those_of_the_scorer(
    dataset: AmganDataset, skin_changes: SkinChangeDataset
) -> None:
    faces = dataset.request_age(torch.tensor([0, 1]), 50.0)
    crops = faces.crops.clone().requires_grad_(True)
    measured = measure_zone_scores(DifferentiableZoneScorer.load("zones-a"), crops, faces)
    far = (measured.detach() - torch.from_numpy(skin_changes.zone_scores)).abs().nanmean(1)
    assert far.max() < 0.2  # crops of 64 px are enlarged by another rule
    measured.sum().backward()
    assert crops.grad is not None
    assert torch.isfinite(crops.grad).all()
    assert crops.grad.abs().sum() > 0
