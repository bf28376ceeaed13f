"""Training of the denoiser and the text encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.faces.patches import FACE, ZONE_PATCHES
from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.dataset import CROP_KINDS, SKIN, CropDataset
from reage.training.diffusion.denoiser import (
    Denoiser,
    DenoiserTrainingConfig,
    choose_named,
    sample_mixed_latents,
    split_rows,
    train_denoiser,
)
from reage.training.diffusion.latents import Latents, encode_crops
from reage.training.trainer import TrainerConfig

TRAINER = TrainerConfig(steps=12, batch_size=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)


@pytest.fixture(scope="module")
def latents(crops: CropDataset, build_tiny_base: Callable[[], DiffusionBase]) -> Latents:
    return encode_crops(build_tiny_base(), crops, 1)


@pytest.fixture(scope="module")
def identities() -> np.ndarray:
    """(2, 128) of two portraits."""
    return np.random.default_rng(0).normal(0, 0.1, (2, 128)).astype(np.float32)


def state_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: torch.nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_loss_falls_and_both_nets_change(base: DiffusionBase, latents: Latents) -> None:
    unet, text = state_of(base.unet), state_of(base.text_encoder)
    losses: list[float] = []
    config = DenoiserTrainingConfig(trainer=TRAINER, learning_rate=2e-3)
    train_denoiser(config, base, latents, callbacks=[lambda step, found, ema: losses.append(found["loss"])])
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert changed(base.unet, unet)
    assert changed(base.text_encoder, text)


def test_identities_are_learned_from_named_faces(base: DiffusionBase, latents: Latents, identities: np.ndarray) -> None:
    assert base.identity is not None
    before = state_of(base.identity)
    config = DenoiserTrainingConfig(trainer=TRAINER, learning_rate=2e-3, identity_dropout=0.0, prompt_dropout=0.0)
    train_denoiser(config, base, latents, identities)
    assert changed(base.identity, before)
    before = state_of(base.identity)
    train_denoiser(replace(config, identity_dropout=1.0), base, latents, identities)
    assert not changed(base.identity, before)


def test_a_crop_without_identity_does_not_see_its_tokens(base: DiffusionBase, identities: np.ndarray) -> None:
    net = Denoiser(base)
    generator = torch.Generator().manual_seed(0)
    values, noise = torch.randn(2, 2, 4, 8, 8, generator=generator)
    timesteps, persons = torch.tensor([100, 700]), torch.from_numpy(identities)
    with torch.inference_mode():
        plain = net(values, ["a", "b"], timesteps, noise)
        hidden = net(values, ["a", "b"], timesteps, noise, persons, torch.tensor([False, False]))
        shown = net(values, ["a", "b"], timesteps, noise, persons, torch.tensor([True, False]))
    torch.testing.assert_close(hidden, plain)
    assert shown != hidden


def test_only_faces_with_a_caption_have_identities() -> None:
    config = DenoiserTrainingConfig(prompt_dropout=0.1, identity_dropout=0.5)
    kinds = torch.tensor([CROP_KINDS.index(name) for name in (FACE, FACE, FACE, SKIN, ZONE_PATCHES[0])])
    dropouts, hidden = torch.tensor([0.5, 0.05, 0.5, 0.5, 0.5]), torch.tensor([0.7, 0.7, 0.3, 0.7, 0.7])
    assert choose_named(kinds, dropouts, hidden, config).tolist() == [True, False, False, False, False]


def test_the_text_encoder_can_be_frozen(base: DiffusionBase, latents: Latents) -> None:
    text = state_of(base.text_encoder)
    train_denoiser(DenoiserTrainingConfig(trainer=TRAINER), base, latents, train_text_encoder=False)
    assert not changed(base.text_encoder, text)


def test_batches_keep_the_shares_of_zones_faces_and_skin(latents: Latents) -> None:
    trainer = replace(TRAINER, batch_size=400)
    config = DenoiserTrainingConfig(trainer=trainer, crop_kind_shares=(0.7, 0.2, 0.1))
    batch = sample_mixed_latents(latents, split_rows(latents), config, torch.Generator().manual_seed(0))
    assert len(batch.values) == 400
    is_kind = (
        batch.kinds < len(ZONE_PATCHES),
        batch.kinds == CROP_KINDS.index(FACE),
        batch.kinds == CROP_KINDS.index(SKIN),
    )
    assert [float(one.float().mean()) for one in is_kind] == pytest.approx(config.crop_kind_shares, abs=0.08)
    assert batch.scores.isnan().sum() == (batch.kinds >= len(ZONE_PATCHES)).sum()


def test_faces_of_rare_labels_are_as_frequent_as_others(crops: CropDataset, base: DiffusionBase) -> None:
    age_years = np.array([30.0, *[70.0] * 4], np.float32)
    columns = {name: getattr(crops, name)[[0, 1, 1, 1, 1]] for name in ("crops", "planes", "landmarks", "scores")}
    latents = encode_crops(base, replace(crops, **columns, age_years=age_years), 1, num_extra_faces=2)
    ages = {balance: latents.age_years[split_rows(latents, balance)[1]] for balance in (False, True)}
    assert [(ages[False] == age).sum() for age in (30, 70)] == [3, 12]
    assert [(ages[True] == age).sum() for age in (30, 70)] == [12, 12]
