"""Faces that a base draws by itself, from noise alone: what it has learned of ages, at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reage.nets.diffusion import DiffusionBase
from reage.nets.sampling import FROM_NOISE, SamplingConfig, generate_pictures
from reage.types import Pixels


def draw_faces(
    base: DiffusionBase, prompts: Sequence[str], num_each: int, seed: int = 0, config: SamplingConfig = FROM_NOISE
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
    return np.concatenate(
        [np.concatenate(list(generate_pictures(base, prompt, num_each, seed, config)), 1) for prompt in prompts]
    )
