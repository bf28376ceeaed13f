"""Trains the denoiser and the text encoder of a base from nothing, on captioned latents (Rombach et al., CVPR 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.nets.diffusion import Base
from reage.nets.tokens import tokenize
from reage.prompts import NOTHING
from reage.training.journal import Watch
from reage.training.latents import LatentBatch, Latents, add_noise, caption, draw_latents, zone_rows
from reage.training.loop import Schedule, crew, fit, share_of


@dataclass(frozen=True, kw_only=True)
class DenoiserRecipe:
    """Everything that decides which weights come out, beside the sizes and the latents.

    Args:
        seed: of the run.
        schedule: length and batch.
        rate: highest learning rate.
        silent: share of pictures shown without a caption.
        zones: share of pictures that are zones; the others are faces and skin.
    """

    seed: int = 0
    schedule: Schedule = Schedule(steps=3500, batch=32, weight_decay=0.01, mean_decay=0.999, largest_gradient=1.0)
    rate: float = 4e-4
    silent: float = 0.1
    zones: float = 0.75


class Denoiser(nn.Module):
    """What is trained together: the denoiser and the text encoder of a base."""

    def __init__(self, base: Base) -> None:
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
    recipe: DenoiserRecipe,
    base: Base,
    latents: Latents,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> None:
    """Trains `base.unet` and `base.text_encoder` in place.

    Args:
        recipe: of the run.
        base: whose autoencoder made the latents.
        latents: of training people.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its loss.
    """
    torch.manual_seed(recipe.seed)
    device = crew().device
    net = Denoiser(base).to(device).requires_grad_(True)
    zones = zone_rows(latents)
    others = np.setdiff1d(np.arange(len(latents)), zones)

    def loss_of(generator: Generator) -> Tensor:
        batch = draw_mixed(latents, (zones, others), recipe, generator)
        num = len(batch.values)
        coins, silent, place = torch.rand(3, num, generator=generator)
        captions = [
            NOTHING if quiet < recipe.silent else caption(kind, score, years, coin < 0.5)
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
        own = share_of(num)
        return net(batch.values[own].to(device), captions[own], steps[own].to(device), noise[own].to(device))

    def tell(step: int, loss: float, mean: nn.Module) -> None:
        if watch:
            watch(step, {"denoiser": loss})

    mean = fit(net, loss_of, [(net, recipe.rate)], recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=tell)
    net.load_state_dict(mean.state_dict())
    net.eval().requires_grad_(False)


def draw_mixed(
    latents: Latents,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    recipe: DenoiserRecipe,
    generator: Generator,
) -> LatentBatch:
    """A batch of zones and of other pictures, in the recipe's proportion."""
    num = recipe.schedule.batch
    num_zones = int((torch.rand(num, generator=generator) < recipe.zones).sum())
    drawn = [
        draw_latents(latents, some, n, generator) for some, n in zip(rows, (num_zones, num - num_zones), strict=True)
    ]
    order = torch.randperm(num, generator=generator)
    return LatentBatch(
        *(torch.cat([getattr(one, name) for one in drawn])[order] for name in ("values", "kinds", "scores", "years"))
    )
