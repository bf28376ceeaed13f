"""Squares of zones drawn anew, each under the score it is to have and under the one it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reage.nets.denoise import DenoiseConfig, denoise, draw_noise
from reage.nets.diffusion import Base
from reage.prompts import NOTHING, whole_prompt
from reage.types import ZONES


@dataclass(frozen=True)
class ZoneOrder:
    """A zone, the score it has, and the one it is to have."""

    zone: str
    now: float
    asked: float


def redraw(
    base: Base, x: Tensor, orders: Sequence[ZoneOrder], seed: int, config: DenoiseConfig
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
    noise = draw_noise(base, seed, len(ZONES), latents.shape[-1])[[ZONES.index(order.zone) for order in orders]]
    asked = [whole_prompt(order.zone, order.asked) for order in orders]
    present = [whole_prompt(order.zone, order.now) for order in orders]
    text, silence = base.embed([*asked, *present]), base.embed([NOTHING])
    aged, still = base.decode(denoise(base, latents, noise.repeat(2, 1, 1, 1), text, silence, config)).chunk(2)
    return aged, still
