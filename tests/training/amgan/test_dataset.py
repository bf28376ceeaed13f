"""Batches of AMGAN: pictures, maps and scores agree."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.distillation import MAP_PX, DistillationDataset, make_map_weights
from reage.zones import ZONES


def test_pictures_change_as_their_maps_do(distillation: DistillationDataset) -> None:
    dataset = AmganDataset(distillation, AmganDatasetConfig(own_age_share=0.0, zoned_share=0.0, unscored_share=1.0))
    batch = dataset.sample_paired(32, torch.Generator().manual_seed(1))
    gap = batch.years - torch.from_numpy(distillation.estimated_years).mean()
    assert batch.planes.shape == (32, 4, 64, 64)
    assert batch.x.min() >= -1
    assert batch.x.max() <= 1
    middle = (slice(None), slice(None), slice(24, 40), slice(24, 40))
    difference = (batch.planes[:, :1] - batch.planes[:, 1:2])[middle].mean((1, 2, 3))
    assert (torch.sign(difference) == torch.sign(gap))[gap.abs() > 5].all()
    changed = (batch.y - batch.x).abs().mean((1, 2, 3))
    far, near = gap.abs() > 25, gap.abs() < 8
    assert changed[far].mean() > 2 * changed[near].mean()


def test_the_own_age_changes_nothing(distillation: DistillationDataset) -> None:
    dataset = AmganDataset(distillation, AmganDatasetConfig(own_age_share=1.0, zoned_share=0.0))
    batch = dataset.sample_paired(8, torch.Generator().manual_seed(0))
    torch.testing.assert_close(batch.planes[:, 0], batch.planes[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.x, batch.y, atol=1e-5, rtol=0)


def test_the_same_seed_draws_the_same_batch(distillation: DistillationDataset) -> None:
    dataset = AmganDataset(distillation, AmganDatasetConfig())
    for sample in (dataset.sample_paired, dataset.sample_unpaired):
        first, second = (sample(4, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(first.planes, second.planes)
        assert torch.equal(first.x, second.x)


def test_the_map_changes_where_the_zone_with_a_new_score_is(distillation: DistillationDataset) -> None:
    batch = AmganDataset(distillation, AmganDatasetConfig(one_zone_share=1.0)).sample_unpaired(
        16, torch.Generator().manual_seed(0)
    )
    assert batch.scores.shape == (16, len(ZONES))
    assert batch.skin_weights.shape[:2] == (16, len(ZONES))
    assert 0 <= batch.skin_weights.min() < batch.skin_weights.max() <= 1
    masks = torch.from_numpy(make_map_weights(distillation.landmarks[0], distillation.hair[0]))[: len(ZONES)]
    moved = F.adaptive_avg_pool2d((batch.planes[:, 0] - batch.planes[:, 1]).abs(), MAP_PX)
    found = torch.einsum("bhw,zhw->bz", moved, masks / masks.sum((1, 2), keepdim=True)).argmax(1)
    now = torch.from_numpy(np.stack([distillation.zone_scores] * 1)[0])
    expected = [(batch.scores[i] - now).abs().amin(0).nan_to_num(0).argmax() for i in range(16)]
    assert sum(int(a == b) for a, b in zip(found, expected, strict=True)) >= 14
