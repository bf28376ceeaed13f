"""Measures how far a trained AMGAN moves faces and zones, so that its engine can do as much as it takes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.nets.amgan import apply_change
from reage.training.amgan.dataset import AmganDataset, read_scores
from reage.training.amgan.train import Amgan
from reage.zones import MIRRORED_ZONES, ZONES

NUM_FACES = 48
SOURCE_YEARS, OLD_YEARS, TARGET_YEARS = (30.0, 50.0), (65.0, 80.0), 70.0
STRENGTHS = tuple(1 + 0.05 * step for step in range(17))
MOST = 2.5
"""Largest gain: beyond, a change is more visible than what it shows, and a map unlike any that a net has seen."""


@torch.no_grad()
def measure_zone_gains(net: Amgan, deck: AmganDataset, num_faces: int = NUM_FACES) -> tuple[float, ...]:
    """One number for each of `ZONES`, by how much its scores fall short of what is asked; see `to_gains`.

    Each zone of some training faces is asked for 0 and for 1, and read by the scorer that the net has learned from;
    both sides of the face get the same.
    """
    rows = _spread(torch.arange(len(deck)), num_faces)
    return to_gains(torch.stack([_slope(net, deck, rows, zone) for zone in range(len(ZONES))]).numpy())


def to_gains(slopes: NDArray[np.floating]) -> tuple[float, ...]:
    """Mean rises (12,) of the zones that were asked to rise by 1 -> as many gains, 1 to `MOST`, alike on both sides."""
    slopes = (slopes + slopes[list(MIRRORED_ZONES)]) / 2
    return tuple(np.maximum(1 / np.maximum(slopes, 1 / MOST), 1.0).tolist())


def _slope(net: Amgan, deck: AmganDataset, rows: Tensor, zone: int) -> Tensor:
    """Mean rise of a zone's score when it is asked to rise from 0 to 1, over the faces that show it; 1 if none does."""
    read = []
    for score in (0.0, 1.0):
        orders = deck.order_zone(rows, zone, score)
        aged = torch.cat(
            [net.generator(x[None], planes[None]) for x, planes in zip(orders.x, orders.planes, strict=True)]
        )
        read.append(read_scores(net.scorer, aged.float(), orders)[:, zone])
    shown = ~orders.scores[:, zone].isnan()
    return (read[1] - read[0])[shown].mean() if shown.any() else torch.ones(())


@torch.no_grad()
def measure_older_gain(net: Amgan, deck: AmganDataset, num_faces: int = NUM_FACES) -> float:
    """The strength, one of `STRENGTHS`, at which people made old are read as old as people who are.

    Training people of `SOURCE_YEARS` are asked to be `TARGET_YEARS` old, and read by the estimator that the net
    has learned from, beside people of `OLD_YEARS`.
    """
    sources, old = (_spread(deck.rows_of(*years), num_faces) for years in (SOURCE_YEARS, OLD_YEARS))
    wanted = float(torch.cat([net.estimator.predict(deck.ask(row[None])[0])[0] for row in old]).mean())
    looked = []
    for row in sources:
        x, planes = deck.ask(row[None], torch.tensor([TARGET_YEARS]))
        change, attention = net.generator.look(x, planes)
        looked.append((x, change * attention))
    read = [
        float(torch.cat([net.estimator.predict(apply_change(x, strength * change))[0] for x, change in looked]).mean())
        for strength in STRENGTHS
    ]
    return min(zip(STRENGTHS, read, strict=True), key=lambda pair: abs(pair[1] - wanted))[0]


def _spread(rows: Tensor, num: int) -> Tensor:
    """Some of the rows, evenly chosen."""
    return rows[torch.linspace(0, len(rows) - 1, min(num, len(rows))).long()]
