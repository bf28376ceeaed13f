"""Trains the denoiser and the text encoder of a base from nothing, on captioned latents (Rombach et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.faces.patches import FACE
from reage.nets.diffusion import DiffusionBase
from reage.nets.tokens import tokenize
from reage.prompts import UNCONDITIONAL, label_of
from reage.training.diffusion.dataset import KINDS
from reage.training.diffusion.latents import LatentBatch, Latents, add_noise, caption, draw_latents, zone_rows
from reage.training.logger import Watch
from reage.training.trainer import TrainerConfig, fit, local_rows, process_state

_FACE = KINDS.index(FACE)


@dataclass(frozen=True, kw_only=True)
class DenoiserTrainingConfig:
    """Everything that decides which weights come out, beside the sizes and the latents.

    Args:
        seed: of the run.
        schedule: length and batch.
        rate: highest learning rate.
        silent: share of pictures shown without a caption.
        shares: of pictures that are zones, whole faces, and skin.
        labels: share of faces that are called by their label; the others by their years.
        evenly: of faces, as many from each label's years; otherwise as many as there are.
        text: the text encoder learns too.
    """

    seed: int = 0
    schedule: TrainerConfig = TrainerConfig(steps=3500, batch=32, weight_decay=0.01, ema_decay=0.999, max_grad_norm=1.0)
    rate: float = 4e-4
    silent: float = 0.1
    shares: tuple[float, float, float] = (0.75, 0.125, 0.125)
    labels: float = 0.5
    evenly: bool = False
    text: bool = True


FACES = DenoiserTrainingConfig(
    schedule=TrainerConfig(steps=1300, batch=32, weight_decay=0.01, ema_decay=0.999, max_grad_norm=1.0),
    shares=(0.35, 0.6, 0.05),
    labels=0.7,
    evenly=True,
    text=False,
)
"""What follows on the first recipe: more of faces and their labels."""


class Denoiser(nn.Module):
    """What is trained together: the denoiser and the text encoder of a base."""

    def __init__(self, base: DiffusionBase) -> None:
        super().__init__()
        self.unet, self.text_encoder = base.unet, base.text_encoder
        self.signal: Tensor
        self.register_buffer("signal", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self._tokenizer, self._max_tokens = base.tokenizer, base.max_tokens

    def forward(self, values: Tensor, captions: list[str], steps: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the noise found in (B, c, h, w) latents at steps (B,)."""
        ids = tokenize(self._tokenizer, captions, self._max_tokens).to(values.device)
        text = self.text_encoder(ids)[0]
        noisy = add_noise(values, noise, self.signal[steps])
        return F.mse_loss(self.unet(noisy, steps, encoder_hidden_states=text).sample.float(), noise)


def train_denoiser(
    recipe: DenoiserTrainingConfig,
    base: DiffusionBase,
    latents: Latents,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> None:
    """Trains `base.unet`, and by most recipes `base.text_encoder`, in place.

    Args:
        recipe: of the run.
        base: whose autoencoder made the latents.
        latents: of training people.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its loss.
    """
    torch.manual_seed(recipe.seed)
    device = process_state().device
    net = Denoiser(base).to(device).requires_grad_(True)
    net.text_encoder.requires_grad_(recipe.text)
    rows = split_rows(latents, recipe.evenly)

    def loss_of(generator: Generator) -> Tensor:
        batch = draw_mixed(latents, rows, recipe, generator)
        num = len(batch.values)
        coins, silent, place = torch.rand(3, num, generator=generator)
        captions = [
            UNCONDITIONAL if quiet < recipe.silent else caption(kind, score, years, coin, recipe.labels)
            for kind, score, years, coin, quiet in zip(
                batch.kinds.tolist(),
                batch.scores.tolist(),
                batch.years.tolist(),
                coins.tolist(),
                silent.tolist(),
                strict=True,
            )
        ]
        steps = (place * base.scheduler.config.num_train_timesteps).long()
        noise = torch.randn(batch.values.shape, generator=generator)
        own = local_rows(num)
        return net(batch.values[own].to(device), captions[own], steps[own].to(device), noise[own].to(device))

    def tell(step: int, loss: float, mean: nn.Module) -> None:
        if watch:
            watch(step, {"denoiser": loss})

    mean = fit(net, loss_of, [(net, recipe.rate)], recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=tell)
    net.load_state_dict(mean.state_dict())
    net.eval().requires_grad_(False)


def split_rows(latents: Latents, evenly: bool = False) -> tuple[NDArray[np.int64], ...]:
    """The rows that show zones, whole faces and skin; `evenly`, faces of rare labels are there as often as others."""
    faces = np.flatnonzero(latents.kinds == _FACE)
    if evenly:
        labels = np.array([label_of(years) for years in latents.years[faces].tolist()])
        found, nums = np.unique(labels, return_counts=True)
        times = dict(zip(found, np.rint(nums.max() / nums).astype(int), strict=True))
        faces = np.repeat(faces, [times[label] for label in labels])
    return zone_rows(latents), faces, np.flatnonzero(latents.kinds > _FACE)


def draw_mixed(
    latents: Latents, rows: Sequence[NDArray[np.int64]], recipe: DenoiserTrainingConfig, generator: Generator
) -> LatentBatch:
    """A batch of zones, faces and skin (see `split_rows`), in the recipe's proportions."""
    num = recipe.schedule.batch
    kinds = torch.multinomial(torch.tensor(recipe.shares), num, replacement=True, generator=generator)
    drawn = [draw_latents(latents, some, int((kinds == place).sum()), generator) for place, some in enumerate(rows)]
    order = torch.randperm(num, generator=generator)
    return LatentBatch(
        *(torch.cat([getattr(one, name) for one in drawn])[order] for name in ("values", "kinds", "scores", "years"))
    )
