"""Noise on latents, and the way back to a picture that a text asks for, by DDIM without chance (arXiv 2010.02502)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from reage.errors import EngineError
from reage.images.tensors import from_net
from reage.nets.diffusion import Base
from reage.prompts import NOTHING
from reage.types import Pixels

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


@dataclass(frozen=True, kw_only=True)
class DenoiseConfig:
    """How far latents are taken apart, and how they are put together.

    Args:
        noise_strength: LDLA's γ_n, 0 to 1: how much noise is added, as a share of the whole schedule.
        steps: LDLA's γ_inf: denoising steps that are taken from there.
        guidance: LDLA's γ_g: how many times what the text asks for is done, beside what no text would.
        grain: share of that noise that is really added, 0 to 1. Without any, all detail is there to go by, but a
            denoiser must have learned to do without.
        reach: how many times all that is left to be changed one step may do. Guidance beyond that is cut: a late step
            goes most of the way anyway, and would overshoot.

    Raises:
        EngineError: when a value is outside its range.
    """

    noise_strength: float = 0.02
    steps: int = 5
    guidance: float = 10.0
    grain: float = 0.0
    reach: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.noise_strength <= 1:
            raise EngineError(f"The noise strength is {self.noise_strength:g}; it must be above 0 and at most 1.")
        if not 1 <= self.steps <= 1000 * self.noise_strength:
            most = int(1000 * self.noise_strength)
            raise EngineError(f"{self.steps} denoising steps are asked for; at this noise strength, give 1 to {most}.")
        if not 0 <= self.guidance <= 20:
            raise EngineError(f"The guidance is {self.guidance:g}; it must be a number from 0 to 20.")
        if not 0 <= self.grain <= 1:
            raise EngineError(f"The grain is {self.grain:g}; it must be a number from 0 to 1.")
        if not self.reach > 0:
            raise EngineError(f"The reach is {self.reach:g}; it must be a number above 0.")


def draw_noise(base: Base, seed: int, num: int, side: int) -> Tensor:
    """(num, c, side, side) noise; each map depends on the seed and on its place alone."""
    shape = (base.latent_channels, side, side)
    maps = [torch.randn(shape, generator=Generator().manual_seed(num * seed + place)) for place in range(num)]
    return torch.stack(maps).to(base.device)


def denoise(base: Base, latents: Tensor, noise: Tensor, text: Tensor, silence: Tensor, config: DenoiseConfig) -> Tensor:
    """Latents as the text asks for.

    Args:
        base: that made the latents.
        latents: (B, c, h, w).
        noise: (B, c, h, w).
        text: (B, L, C) prompts.
        silence: (1, L, C) the empty prompt.
        config: how far, how finely and how strongly.

    Returns:
        (B, c, h, w).
    """
    scheduler, num = base.scheduler, len(latents)
    scheduler.set_timesteps(max(config.steps, round(config.steps / config.noise_strength)))
    steps = scheduler.timesteps[-config.steps :].to(latents.device)
    now = scheduler.add_noise(latents, config.grain * noise, steps[:1].expand(num))
    texts = torch.cat([text, silence.expand(num, -1, -1)])
    for step, guidance in zip(steps, _limit_guidance(scheduler, steps, config), strict=True):
        now = scheduler.step(_find_noise(base, now, step, texts, guidance), step, now).prev_sample
    return now


def _limit_guidance(scheduler: DDIMScheduler, steps: Tensor, config: DenoiseConfig) -> list[float]:
    """The guidance of each step, less where the step takes much of the noise that is left away."""
    signal = torch.cat([scheduler.alphas_cumprod[steps.cpu()], scheduler.final_alpha_cumprod.reshape(1)])
    noise = ((1 - signal) / signal).sqrt()
    return (config.reach / (1 - noise[1:] / noise[:-1])).clamp(max=config.guidance).tolist()


def _find_noise(base: Base, now: Tensor, step: Tensor, texts: Tensor, guidance: float) -> Tensor:
    """The noise in (B, c, h, w) latents under B prompts, led away from B empty ones where that is asked for."""
    num = len(now)
    if guidance == 1:
        return base.predict(now, step.expand(num), texts[:num])
    guided, unguided = base.predict(now.repeat(2, 1, 1, 1), step.expand(2 * num), texts).chunk(2)
    return unguided + guidance * (guided - unguided)


FROM_NOTHING = DenoiseConfig(noise_strength=1.0, steps=30, guidance=3.0, grain=1.0, reach=math.inf)
"""Of pictures that are drawn from noise alone."""

_TOGETHER = 8  # pictures


@torch.inference_mode()
def draw_pictures(
    base: Base, prompt: str, count: int, seed: int = 0, config: DenoiseConfig = FROM_NOTHING
) -> Iterator[Pixels]:
    """Pictures (P, P, 3) that a base draws by itself; every prompt starts from the same noise.

    Args:
        base: that draws, P px.
        prompt: what they are to show, see `reage.prompts`.
        count: of pictures.
        seed: decides on the noise.
        config: with a noise strength of 1.
    """
    noise = draw_noise(base, seed, count, base.picture_px // base.factor)
    text, silence = base.embed([prompt]), base.embed([NOTHING])
    for own in noise.split(_TOGETHER):
        latents = denoise(base, torch.zeros_like(own), own, text.expand(len(own), -1, -1), silence, config)
        yield from from_net(base.decode(latents))
