"""Trains the autoencoder of a latent diffusion base on pictures of zones, faces and skin: wrinkles must survive it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.dataset import KINDS, CropDataset, CropDatasetConfig
from reage.training.logger import Watch
from reage.training.trainer import TrainerConfig, fit, local_rows, process_state

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class AutoencoderTrainingConfig:
    """Everything that decides which weights come out, beside the sizes.

    Args:
        seed: of the run.
        schedule: length and batch.
        album: accidents of the pictures.
        rate: highest learning rate.
        detail: weight of what is finer than 4 px, beside the pictures themselves.
        divergence: weight of the latents' distance to a normal distribution.
        num_measured: pictures whose latents are brought to unit deviation.
    """

    seed: int = 0
    schedule: TrainerConfig = TrainerConfig(steps=1800, batch=16, weight_decay=0.0, ema_decay=0.995, max_grad_norm=1.0)
    album: CropDatasetConfig = field(default_factory=CropDatasetConfig)
    rate: float = 1.5e-3
    detail: float = 1.0
    divergence: float = 1e-6
    num_measured: int = 512


def train_autoencoder(
    recipe: AutoencoderTrainingConfig,
    base: DiffusionBase,
    album: CropDataset,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> None:
    """Trains `base.vae` in place, and scales its latents to unit deviation.

    Args:
        recipe: of the run.
        base: whose autoencoder is trained.
        album: of training people.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its loss.
    """
    torch.manual_seed(recipe.seed)
    device = process_state().device
    vae = base.vae.to(device, memory_format=torch.channels_last)

    def loss_of(generator: Generator) -> Tensor:
        return autoencoder_loss(vae, draw_pictures(recipe, album, generator).to(device), recipe)

    def tell(step: int, loss: float, mean: torch.nn.Module) -> None:
        if watch:
            watch(step, {"autoencoder": loss})

    mean = fit(vae, loss_of, [(vae, recipe.rate)], recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=tell)
    vae.load_state_dict(mean.state_dict())
    vae.eval().requires_grad_(False)
    vae.register_to_config(scaling_factor=1 / measure_deviation(vae, recipe, album))


def draw_pictures(recipe: AutoencoderTrainingConfig, album: CropDataset, generator: Generator) -> Tensor:
    """This process's share of a batch (B, 3, P, P): all kinds alike."""
    num = recipe.schedule.batch
    rows, kinds = (torch.randint(most, (num,), generator=generator) for most in (len(album), len(KINDS)))
    return album.cut(rows, kinds, recipe.album, generator).x[local_rows(num)]


def autoencoder_loss(vae: AutoencoderKL, x: Tensor, recipe: AutoencoderTrainingConfig) -> Tensor:
    """Mean absolute error of (B, 3, P, P) and of its detail, and how far the latents are from a normal distribution."""
    latents = vae.encode(x).latent_dist
    y = vae.decode(latents.sample()).sample
    likeness = (y - x).abs().mean() + recipe.detail * (_fine(y) - _fine(x)).abs().mean()
    return likeness + recipe.divergence * latents.kl().mean()


@torch.no_grad()
def measure_deviation(vae: AutoencoderKL, recipe: AutoencoderTrainingConfig, album: CropDataset) -> float:
    """Standard deviation of the latents of some pictures."""
    generator = Generator().manual_seed(recipe.seed)
    num = -(-recipe.num_measured // recipe.schedule.batch)
    device = next(vae.parameters()).device
    batches = [draw_pictures(recipe, album, generator).to(device) for _ in range(num)]
    return float(torch.cat([vae.encode(x).latent_dist.mode() for x in batches]).std())


def _fine(x: Tensor) -> Tensor:
    return x - F.interpolate(F.avg_pool2d(x, 4), x.shape[-2:], mode="bilinear", align_corners=False)
