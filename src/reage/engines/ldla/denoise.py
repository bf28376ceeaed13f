"""Squares of zones drawn anew, each under the score it is to have and under the one it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reage.nets.denoise import DenoiseConfig, denoise, draw_noise
from reage.nets.diffusion import Base
from reage.prompts import NOTHING, whole_prompt
from reage.squares import ZONE_SQUARES, zone_of


@dataclass(frozen=True)
class SquareOrder:
    """One of `reage.squares.ZONE_SQUARES`, the score its zone has, and the one it is to have."""

    square: str
    now: float
    asked: float


def redraw(
    base: Base, x: Tensor, orders: Sequence[SquareOrder], seed: int, config: DenoiseConfig
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
    places = [ZONE_SQUARES.index(order.square) for order in orders]
    noise = draw_noise(base, seed, len(ZONE_SQUARES), latents.shape[-1])[places]
    asked = [whole_prompt(zone_of(order.square), order.asked) for order in orders]
    present = [whole_prompt(zone_of(order.square), order.now) for order in orders]
    text, silence = base.embed([*asked, *present]), base.embed([NOTHING])
    aged, still = base.decode(denoise(base, latents, noise.repeat(2, 1, 1, 1), text, silence, config)).chunk(2)
    return aged, still
