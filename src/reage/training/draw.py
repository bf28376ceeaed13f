"""Faces that a base draws by itself, from noise alone: what it has learned of ages, at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reage.engines.ldla.denoise import DenoiseConfig, denoise, draw_noise
from reage.images.tensors import from_net
from reage.nets.diffusion import Base
from reage.prompts import NOTHING
from reage.types import Pixels

FROM_NOTHING = DenoiseConfig(noise_strength=1.0, steps=30, guidance=3.0)


@torch.inference_mode()
def draw_faces(
    base: Base, prompts: Sequence[str], num_each: int, seed: int = 0, config: DenoiseConfig = FROM_NOTHING
) -> Pixels:
    """A sheet with a row for each prompt; the pictures of a column share their noise.

    Args:
        base: that draws.
        prompts: what each row is to show, see `reage.prompts`.
        num_each: pictures in a row.
        seed: decides on the noise.
        config: with a noise strength of 1.

    Returns:
        (R P, num_each P, 3) for R prompts and pictures of P px.
    """
    noise = draw_noise(base, seed, num_each, base.picture_px // base.factor)
    silence = base.embed([NOTHING])
    rows = []
    for prompt in prompts:
        text = base.embed([prompt]).expand(num_each, -1, -1)
        drawn = base.decode(denoise(base, torch.zeros_like(noise), noise, text, silence, config))
        rows.append(np.concatenate(list(from_net(drawn)), 1))
    return np.concatenate(rows)
