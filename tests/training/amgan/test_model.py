"""The losses of both stages move the nets that they should."""

from __future__ import annotations

from dataclasses import replace

import torch

from reage.data.augment import AugmentConfig
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.amgan.losses import LossWeights
from reage.training.amgan.model import Amgan, measure_zone_scores
from reage.training.amgan.zone_scores import DifferentiableZoneScorer
from reage.training.distillation import DistillationDataset

UNCHANGED_LIGHT = AugmentConfig(
    max_brightness=0.0, max_gamma=0.0, max_contrast=0.0, max_saturation=0.0, max_channel_shift=0.0, side_light_prob=0.0
)


def test_distillation_lowers_the_distance_to_the_teacher(net: Amgan, distillation: DistillationDataset) -> None:
    batch = AmganDataset(distillation, AmganDatasetConfig()).sample_paired(4, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(net.generator.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = net.distill_loss(batch, LossWeights()).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_each_net_gets_gradients_from_its_own_losses_alone(net: Amgan, distillation: DistillationDataset) -> None:
    dataset, generator = AmganDataset(distillation, AmganDatasetConfig()), torch.Generator().manual_seed(0)
    batch, unpaired = dataset.sample_paired(2, generator), dataset.sample_unpaired(2, generator)
    none = LossWeights(reconstruction=0, detail=0, perceptual=0, chroma=0, low_frequency=0, gradient_penalty=0)
    net.finetune_loss(batch, unpaired, none, generator).total.backward()
    assert all(one.grad is None or not one.grad.any() for one in net.generator.parameters())
    assert any(one.grad is not None and one.grad.any() for one in net.critic.parameters())
    for name in ("adversarial", "aging_map", "location", "cycle", "age", "unchanged", "zone_scores", "direction"):
        net.zero_grad()
        step = net.finetune_loss(batch, unpaired, replace(none, **{name: 1.0}), generator)
        step.total.backward()
        assert any(one.grad is not None and one.grad.any() for one in net.generator.parameters()), name
        assert name in step.parts


def test_weights_of_the_critics_loss_reach_its_heads(net: Amgan, distillation: DistillationDataset) -> None:
    dataset, generator = AmganDataset(distillation, AmganDatasetConfig()), torch.Generator().manual_seed(0)
    batch, unpaired = dataset.sample_paired(2, generator), dataset.sample_unpaired(2, generator)
    weights = LossWeights(critic_aging_map=0.0, critic_location=0.0)
    net.finetune_loss(batch, unpaired, weights, generator).total.backward()
    for head, weight in ((net.critic.aging_map, "critic_aging_map"), (net.critic.location, "critic_location")):
        assert head.weight.grad is None or not head.weight.grad.any()
        net.zero_grad()
        net.finetune_loss(batch, unpaired, replace(weights, **{weight: 10.0}), generator).total.backward()
        assert head.weight.grad is not None
        assert head.weight.grad.any()
        net.zero_grad()


def test_zone_scores_of_pictures_are_those_of_the_scorer(distillation: DistillationDataset) -> None:
    batch = AmganDataset(distillation, AmganDatasetConfig(augment=UNCHANGED_LIGHT)).sample_unpaired(
        8, torch.Generator().manual_seed(0)
    )
    x = batch.x.clone().requires_grad_(True)
    measured = measure_zone_scores(DifferentiableZoneScorer.load("zones-a"), x, batch)
    far = (measured.detach()[:, None] - torch.from_numpy(distillation.zone_scores)).abs().nanmean(2).amin(1)
    assert far.max() < 0.2  # crops of 64 px are enlarged by another rule
    measured.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0
