"""Sampling from a diffusion base: noise is added to latents and removed under a prompt, by deterministic DDIM.

DDIM: arXiv 2010.02502; classifier-free guidance: arXiv 2207.12598.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor

from reage.errors import EngineError
from reage.images.tensors import from_net
from reage.nets.diffusion import DiffusionBase
from reage.prompts import UNCONDITIONAL
from reage.types import Pixels, Plane

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How latents are noised and denoised.

    Args:
        noise_strength: LDLA's γ_n, above 0 to 1: noise level that is started from, as a share of the whole schedule.
        num_inference_steps: LDLA's γ_inf: denoising steps from there.
        guidance_scale: LDLA's γ_g, 0 to 20: scale of classifier-free guidance; 1 does without.
        added_noise: share of the noise of that level that is really added, 0 to 1. Without any, all detail is kept
            in the latents, but the denoiser must have been trained on latents without noise.
        max_guidance_step: upper limit of guidance_scale times the share of the remaining noise that a step removes.
            A late step removes most of it anyway and would overshoot.

    Raises:
        EngineError: when a value is outside its range.
    """

    noise_strength: float = 0.02
    num_inference_steps: int = 5
    guidance_scale: float = 10.0
    added_noise: float = 0.0
    max_guidance_step: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.noise_strength <= 1:
            raise EngineError(f"The noise strength is {self.noise_strength:g}; it must be above 0 and at most 1.")
        if not 1 <= self.num_inference_steps <= 1000 * self.noise_strength:
            most = int(1000 * self.noise_strength)
            raise EngineError(
                f"{self.num_inference_steps} denoising steps are asked for; at this noise strength, give 1 to {most}."
            )
        if not 0 <= self.guidance_scale <= 20:
            raise EngineError(f"The guidance scale is {self.guidance_scale:g}; it must be a number from 0 to 20.")
        if not 0 <= self.added_noise <= 1:
            raise EngineError(f"The added noise is {self.added_noise:g}; it must be a number from 0 to 1.")
        if not self.max_guidance_step > 0:
            raise EngineError(f"The largest guided step is {self.max_guidance_step:g}; it must be a number above 0.")


def draw_noise(base: DiffusionBase, seed: int, num: int, side: int) -> Tensor:
    """Noise (num, c, side, side); that of a place depends on the seed, `num` and the place alone."""
    shape = (base.latent_channels, side, side)
    maps = [torch.randn(shape, generator=Generator().manual_seed(num * seed + place)) for place in range(num)]
    return torch.stack(maps).to(base.device)


def denoise(
    base: DiffusionBase, latents: Tensor, noise: Tensor, text: Tensor, uncond: Tensor, config: SamplingConfig
) -> Tensor:
    """Latents denoised under a prompt.

    Args:
        base: that made the latents.
        latents: (B, c, h, w).
        noise: (B, c, h, w).
        text: (B, L, C) embedded prompts, with or without the tokens of an identity.
        uncond: (1, M, C) the embedded empty prompt.
        config: noise, steps and guidance.

    Returns:
        (B, c, h, w).
    """
    scheduler, num = base.scheduler, len(latents)
    scheduler.set_timesteps(max(config.num_inference_steps, round(config.num_inference_steps / config.noise_strength)))
    timesteps = scheduler.timesteps[-config.num_inference_steps :].to(latents.device)
    latents = scheduler.add_noise(latents, config.added_noise * noise, timesteps[:1].expand(num))
    for timestep, guidance_scale in zip(timesteps, _limit_guidance(scheduler, timesteps, config), strict=True):
        noise_pred = _predict_noise(base, latents, timestep, text, uncond, guidance_scale)
        latents = scheduler.step(noise_pred, timestep, latents).prev_sample
    return latents


def _limit_guidance(scheduler: DDIMScheduler, timesteps: Tensor, config: SamplingConfig) -> list[float]:
    """The guidance scale at each timestep, lower where a step removes much of the remaining noise."""
    alpha_bar = torch.cat([scheduler.alphas_cumprod[timesteps.cpu()], scheduler.final_alpha_cumprod.reshape(1)])
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    return (config.max_guidance_step / (1 - sigma[1:] / sigma[:-1])).clamp(max=config.guidance_scale).tolist()


def _predict_noise(
    base: DiffusionBase, latents: Tensor, timestep: Tensor, text: Tensor, uncond: Tensor, guidance_scale: float
) -> Tensor:
    """`ε_∅ + γ_g (ε_text - ε_∅)`, the noise in latents (B, c, h, w), given B texts and the empty one."""
    num = len(latents)
    if guidance_scale == 1:
        return base.predict(latents, timestep.expand(num), text)
    uncond = uncond.expand(num, -1, -1)
    if text.shape == uncond.shape:
        texts = torch.cat([text, uncond])
        noise_pred = base.predict(latents.repeat(2, 1, 1, 1), timestep.expand(2 * num), texts)
        noise_pred_cond, noise_pred_uncond = noise_pred.chunk(2)
    else:
        noise_pred_cond, noise_pred_uncond = (
            base.predict(latents, timestep.expand(num), one) for one in (text, uncond)
        )
    return noise_pred_uncond + guidance_scale * (noise_pred_cond - noise_pred_uncond)


FROM_NOISE = SamplingConfig(
    noise_strength=1.0, num_inference_steps=30, guidance_scale=3.0, added_noise=1.0, max_guidance_step=math.inf
)
"""For pictures that are generated from noise alone."""

_BATCH_SIZE = 8


@torch.inference_mode()
def generate_pictures(
    base: DiffusionBase,
    prompt: str,
    count: int,
    seed: int = 0,
    config: SamplingConfig = FROM_NOISE,
    identity: Plane | None = None,
) -> Iterator[Pixels]:
    """Pictures (P, P, 3) generated from noise; every prompt starts from the same noise.

    Args:
        base: of pictures of P px.
        prompt: see `reage.prompts`.
        count: number of pictures.
        seed: of the noise.
        config: with a noise strength of 1.
        identity: (128,) embedding of the face of the person to show, by `reage.measure.DlibRecognizer`; None for
            anybody.

    Raises:
        WeightsError: when an identity is given to a base that takes texts alone.
    """
    noise = draw_noise(base, seed, count, base.picture_px // base.factor)
    person = None if identity is None else torch.from_numpy(np.asarray(identity, np.float32))[None]
    text, uncond = base.embed([prompt], person), base.embed([UNCONDITIONAL])
    for batch in noise.split(_BATCH_SIZE):
        latents = denoise(base, torch.zeros_like(batch), batch, text.expand(len(batch), -1, -1), uncond, config)
        yield from from_net(base.decode(latents))


def draw_sheet_of_prompts(
    base: DiffusionBase, prompts: Sequence[str], num_each: int, seed: int = 0, config: SamplingConfig = FROM_NOISE
) -> Pixels:
    """A sheet of pictures generated from noise, with a row for each prompt; the pictures of a column share their noise.

    Args:
        base: of pictures of P px.
        prompts: R of them, see `reage.prompts`.
        num_each: pictures in a row.
        seed: of the noise.
        config: with a noise strength of 1.

    Returns:
        (R P, num_each P, 3).
    """
    rows = [np.concatenate(list(generate_pictures(base, prompt, num_each, seed, config)), 1) for prompt in prompts]
    return np.concatenate(rows)
