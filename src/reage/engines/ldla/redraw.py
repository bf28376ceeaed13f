"""Squares of zones drawn anew, each under the score it is to have and under the one it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reage.faces.patches import ZONE_PATCHES, zone_of_patch
from reage.nets.diffusion import DiffusionBase
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.prompts import UNCONDITIONAL, whole_prompt


@dataclass(frozen=True)
class PatchEdit:
    """One of `reage.faces.patches.ZONE_PATCHES`, the score its zone has, and the one it is to have."""

    square: str
    now: float
    asked: float


def redraw(
    base: DiffusionBase, x: Tensor, orders: Sequence[PatchEdit], seed: int, config: SamplingConfig
) -> tuple[Tensor, Tensor]:
    """Squares of zones drawn anew from the same noise, once as asked for and once as they are.

    Args:
        base: that draws.
        x: (K, 3, P, P) the squares.
        orders: what is asked of each.
        seed: of the noise.
        config: how far, how finely and how strongly.

    Returns:
        (K, 3, P, P) twice: with the scores asked for, and with those there are.
    """
    latents = base.encode(x).repeat(2, 1, 1, 1)
    places = [ZONE_PATCHES.index(order.square) for order in orders]
    noise = draw_noise(base, seed, len(ZONE_PATCHES), latents.shape[-1])[places]
    asked = [whole_prompt(zone_of_patch(order.square), order.asked) for order in orders]
    present = [whole_prompt(zone_of_patch(order.square), order.now) for order in orders]
    text, silence = base.embed([*asked, *present]), base.embed([UNCONDITIONAL])
    aged, still = base.decode(denoise(base, latents, noise.repeat(2, 1, 1, 1), text, silence, config)).chunk(2)
    return aged, still
