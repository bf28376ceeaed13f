"""Measures how far a trained AMGAN moves each zone, so that its engine can ask for as much as it takes."""

from __future__ import annotations

import torch

from reage.signs import OTHER_SIDE
from reage.training.amgan import Amgan, read_scores
from reage.training.deck import Deck
from reage.types import ZONES

NUM_FACES = 48
MOST = 2.5
"""Largest gain: beyond, a map is unlike any that the net has seen."""


@torch.no_grad()
def measure_gains(net: Amgan, deck: Deck, num_faces: int = NUM_FACES) -> tuple[float, ...]:
    """One number for each of `ZONES`, 1 to `MOST`: by how much its scores fall short of what is asked.

    Each zone of some training faces is asked for 0 and for 1, and read by the scorer that the net has learned from;
    both sides of the face get the same.
    """
    rows = torch.linspace(0, len(deck) - 1, num_faces).long()
    slopes = torch.stack([_slope(net, deck, rows, zone) for zone in range(len(ZONES))])
    slopes = (slopes + slopes[list(OTHER_SIDE)]) / 2
    return tuple((1 / slopes.clamp(min=1 / MOST)).clamp(min=1.0).tolist())


def _slope(net: Amgan, deck: Deck, rows: torch.Tensor, zone: int) -> torch.Tensor:
    """Mean rise of a zone's score when it is asked to rise from 0 to 1, over the faces that show it."""
    read = []
    for score in (0.0, 1.0):
        orders = deck.order_zone(rows, zone, score)
        aged = torch.cat(
            [net.generator(x[None], planes[None]) for x, planes in zip(orders.x, orders.planes, strict=True)]
        )
        read.append(read_scores(net.scorer, aged.float(), orders)[:, zone])
    shown = ~orders.scores[:, zone].isnan()
    return (read[1] - read[0])[shown].mean()
