"""Training of the autoencoder."""

from __future__ import annotations

import numpy as np
import pytest

from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, measure_latent_std, train_autoencoder
from reage.training.diffusion.dataset import CropDataset
from reage.training.trainer import TrainerConfig


def test_the_loss_falls_and_latents_are_scaled(base: DiffusionBase, crops: CropDataset) -> None:
    losses: list[float] = []
    trainer = TrainerConfig(steps=12, batch_size=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)
    config = AutoencoderTrainingConfig(trainer=trainer, learning_rate=3e-3, num_scaling_samples=8)
    train_autoencoder(config, base, crops, callbacks=[lambda step, found, ema: losses.append(found["loss"])])
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert measure_latent_std(base.vae, config, crops) * base.vae.config.scaling_factor == pytest.approx(1.0)


def test_the_losses_are_reported_unweighted(base: DiffusionBase, crops: CropDataset) -> None:
    found: list[dict[str, float]] = []
    trainer = TrainerConfig(steps=1, batch_size=2, bf16=False)
    config = AutoencoderTrainingConfig(trainer=trainer, detail_weight=0.5, kl_weight=0.01, num_scaling_samples=2)
    train_autoencoder(config, base, crops, callbacks=[lambda step, losses, ema: found.append(dict(losses))])
    (losses,) = found
    total = losses["reconstruction"] + 0.5 * losses["detail"] + 0.01 * losses["kl"]
    assert losses["loss"] == pytest.approx(total, rel=1e-5)
