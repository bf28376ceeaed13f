"""The stage that learns from pairs alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from reage.nets.diffusion import DiffusionBase
from reage.training.ldla.dataset import PairedLatentBatch, PairedLatents, sample_pairs
from reage.training.ldla.pretrain import PretrainBatch, PretrainConfig, make_pretrain_batch, pretrain
from reage.training.trainer import TrainerConfig

CONFIG = PretrainConfig(prompt_dropout=0.2, unchanged_share=0.3, interpolated_share=0.5, no_noise_share=0.25)


@pytest.fixture(scope="module")
def drawn(pairs: PairedLatents) -> tuple[PairedLatentBatch, PretrainBatch]:
    generator = torch.Generator().manual_seed(0)
    sampled = sample_pairs(pairs, 400, generator)
    return sampled, make_pretrain_batch(sampled, CONFIG, generator)


def all_equal(one: Tensor, other: Tensor) -> Tensor:
    """(B,) whether both have the same latents."""
    return (one == other).flatten(1).all(1)


def test_zones_without_a_prompt_or_with_their_own_score_stay(
    drawn: tuple[PairedLatentBatch, PretrainBatch],
) -> None:
    sampled, batch = drawn
    stays = all_equal(batch.targets, sampled.values)
    differ = ~all_equal(sampled.values, sampled.paired_values)  # two of the three versions are alike
    assert batch.is_uncond.float().mean() == pytest.approx(CONFIG.prompt_dropout, abs=0.07)
    assert (stays & differ).float().mean() == pytest.approx(0.5 * differ.float().mean().item(), abs=0.07)
    assert stays[batch.is_uncond].all()
    assert torch.equal(batch.scores[stays & differ], sampled.scores[stays & differ])


def test_the_other_zones_become_their_partners(drawn: tuple[PairedLatentBatch, PretrainBatch]) -> None:
    sampled, batch = drawn
    moves = ~all_equal(batch.targets, sampled.values)
    assert torch.equal(batch.scores[moves], sampled.paired_scores[moves])


def test_a_share_of_them_starts_anywhere_between_both_versions(
    drawn: tuple[PairedLatentBatch, PretrainBatch],
) -> None:
    sampled, batch = drawn
    moves = ~all_equal(batch.targets, sampled.values)
    interpolated = moves & ~all_equal(batch.values, sampled.values)
    assert interpolated[moves].float().mean() == pytest.approx(CONFIG.interpolated_share, abs=0.1)
    moved, distance = (
        (latents - sampled.values)[interpolated].flatten(1).norm(dim=1)
        for latents in (batch.values, sampled.paired_values)
    )
    weights = moved / distance
    assert 0 < weights.min() < 0.2 < 0.8 < weights.max() < 1


def test_a_share_has_no_noise(drawn: tuple[PairedLatentBatch, PretrainBatch]) -> None:
    _, batch = drawn
    assert (batch.noise == 0).flatten(1).all(1).float().mean() == pytest.approx(CONFIG.no_noise_share, abs=0.07)


def test_half_of_the_timesteps_lie_in_the_first_quarter(drawn: tuple[PairedLatentBatch, PretrainBatch]) -> None:
    _, batch = drawn
    first, last = CONFIG.noise_steps
    assert first <= batch.timesteps.min() <= batch.timesteps.max() <= last
    assert (batch.timesteps < first + (last - first) / 4).float().mean() == pytest.approx(0.5, abs=0.08)


def test_the_pair_loss_falls(pairs: PairedLatents, build_tiny_base: Callable[[], DiffusionBase]) -> None:
    base, losses = build_tiny_base(), []
    trainer = TrainerConfig(steps=30, batch_size=16, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)
    config = PretrainConfig(trainer=trainer, learning_rate=3e-3, noise_steps=(50, 400))
    base.unet.requires_grad_(True)
    pretrain(config, base, pairs, 0, callbacks=[lambda step, found, ema: losses.append(found["pair"])])
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
