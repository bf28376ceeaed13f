"""Trains the autoencoder of a latent diffusion base on crops of zones, faces and skin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.dataset import CROP_KINDS, CropDataset, CropDatasetConfig
from reage.training.diffusion.losses import detail_loss, kl_loss, reconstruction_loss
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, local_rows, process_state

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class AutoencoderTrainingConfig:
    """Everything that decides on the weights of the autoencoder, except its size.

    Args:
        seed: of the run.
        trainer: length and optimisation.
        dataset: how crops are cut and augmented.
        learning_rate: highest learning rate.
        detail_weight: weight of the loss on detail; the reconstruction loss has weight 1.
        kl_weight: weight of the KL divergence between the latents and a normal distribution.
        num_scaling_samples: number of crops on which the latents' standard deviation is measured at the end.
    """

    seed: int = 0
    trainer: TrainerConfig = TrainerConfig(
        steps=1800, batch_size=16, weight_decay=0.0, ema_decay=0.995, max_grad_norm=1.0
    )
    dataset: CropDatasetConfig = field(default_factory=CropDatasetConfig)
    learning_rate: float = 1.5e-3
    detail_weight: float = 1.0
    kl_weight: float = 1e-6
    num_scaling_samples: int = 512


def train_autoencoder(
    config: AutoencoderTrainingConfig,
    base: DiffusionBase,
    crops: CropDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains `base.vae` in place, and sets its scaling factor so that latents have unit standard deviation.

    Args:
        config: of the run.
        base: whose autoencoder is trained.
        crops: of training people.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step, see `reage.training.trainer.Trainer`.
    """
    torch.manual_seed(config.seed)
    device = process_state().device
    vae = base.vae.to(device, memory_format=torch.channels_last)

    def loss_fn(generator: Generator) -> StepLoss:
        return autoencoder_loss(vae, sample_images(config, crops, generator).to(device), config)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(vae, loss_fn, [(vae, config.learning_rate)])
    vae.load_state_dict(ema.state_dict())
    vae.eval().requires_grad_(False)
    vae.register_to_config(scaling_factor=1 / measure_latent_std(vae, config, crops))


def sample_images(config: AutoencoderTrainingConfig, crops: CropDataset, generator: Generator) -> Tensor:
    """This process's part of a batch (B, 3, P, P): rows and kinds are drawn uniformly."""
    num = config.trainer.batch_size
    rows, kinds = (torch.randint(most, (num,), generator=generator) for most in (len(crops), len(CROP_KINDS)))
    return crops.cut(rows, kinds, config.dataset, generator).x[local_rows(num)]


def autoencoder_loss(vae: AutoencoderKL, x: Tensor, config: AutoencoderTrainingConfig) -> StepLoss:
    """The weighted sum of reconstruction, detail and KL loss of images (B, 3, P, P)."""
    latent_dist = vae.encode(x).latent_dist
    decoded = vae.decode(latent_dist.sample()).sample
    reconstruction, detail = reconstruction_loss(decoded, x), detail_loss(decoded, x)
    kl = kl_loss(latent_dist)
    total = reconstruction + config.detail_weight * detail + config.kl_weight * kl
    return StepLoss(total, {"reconstruction": reconstruction, "detail": detail, "kl": kl})


@torch.no_grad()
def measure_latent_std(vae: AutoencoderKL, config: AutoencoderTrainingConfig, crops: CropDataset) -> float:
    """The standard deviation of unscaled latents, over `num_scaling_samples` crops."""
    generator = Generator().manual_seed(config.seed)
    num_batches = -(-config.num_scaling_samples // config.trainer.batch_size)
    device = next(vae.parameters()).device
    batches = [sample_images(config, crops, generator).to(device) for _ in range(num_batches)]
    return float(torch.cat([vae.encode(x).latent_dist.mode() for x in batches]).std())
