"""Age groups and sizes of AgeTransGAN (`reage.nets.agetransgan`); without torch, so that the engine knows them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reage.types import Plane

GROUP_YEARS: tuple[tuple[int, int], ...] = (
    *((0, 2), (3, 6), (7, 9), (10, 14), (15, 19), (20, 29), (30, 39), (40, 49), (50, 69), (70, 120)),
)
"""First and last year of each of the ten groups of FFHQ-Aging (Or-El et al., ECCV 2020)."""
NUM_GROUPS = len(GROUP_YEARS)

CHILD_SHARES = (1.0, 0.95, 0.85, 0.7, 0.35, 0.0, 0.0, 0.0, 0.0, 0.0)
"""How far the proportions of each group are moved from an adult's to a young child's.

Measured on 47, 30, 11, 9 and 20 faces of the first groups: 1.00, 0.88, 0.63, 0.37 and 0.34. Those between are more,
for what else tells a child of ten from an adult, skin and hair at full resolution, a small net hardly draws.
"""

CONTENT_PX = 16
"""Side of the content map, from which the decoder starts."""
STYLE_PX = 4
"""Side of the features that are averaged to the style."""

_OLDEST_YEARS = 90
"""The last group's middle is that of 70 to 90 years."""


def group_of(age_years: float) -> int:
    """Number of the group of an age; a birthday is the first day in the next year of life."""
    return max(number for number, (first, _) in enumerate(GROUP_YEARS) if age_years >= first)


def middle_of(group: int) -> float:
    """Age in years in the middle of a group: 8.5 of 7 to 9, for these are the years from 7 to just before 10."""
    first, last = GROUP_YEARS[group]
    return (first + min(last + 1, _OLDEST_YEARS)) / 2


def soft_label(age_years: float) -> Plane:
    """(NUM_GROUPS,) float32 the label of an age: one-hot in the middle of a group, (1 - q, q) between two middles.

    Up to the first middle and from the last one, it is one-hot.

    Example:
        >>> soft_label(35.0).argmax(), float(soft_label(40.0)[6])
        (6, 0.5)
    """
    middles = [middle_of(group) for group in range(NUM_GROUPS)]
    place = float(np.interp(age_years, middles, range(NUM_GROUPS)))
    return np.maximum(1 - np.abs(place - np.arange(NUM_GROUPS)), 0).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Size of the generator.

    Args:
        widths: channels at the side of the picture, at its half, and so on down to `CONTENT_PX`.
        style_width: numbers in the style w.
        num_style_layers: linear layers from the averaged features to the style.
        skips: whether the decoder also takes the trunk's features of each size.
        adds_to_input: whether the decoder's picture is a change that is added to the input.
        labels_style: whether the style also gets the label directly.
        normalises: whether the decoder brings each pixel's features to mean square 1 before they are modulated.
        window: side of the central square of a crop that the net sees, as a share of the crop's side.
    """

    widths: tuple[int, ...]
    style_width: int
    num_style_layers: int = 8
    skips: bool = False
    adds_to_input: bool = False
    labels_style: bool = False
    normalises: bool = False
    window: float = 0.8

    @property
    def picture_px(self) -> int:
        """Side of the pictures."""
        return CONTENT_PX * 2 ** (len(self.widths) - 1)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Size of the discriminator.

    Args:
        widths: channels at the side of the picture, at its half, and so on down to `STYLE_PX`.
        head_width: numbers in the features phi that are compared with a group's embedding; also of the classifier.
    """

    widths: tuple[int, ...]
    head_width: int


@dataclass(frozen=True, kw_only=True)
class AgeTransGanConfig:
    """Size of both nets."""

    generator: GeneratorConfig = field(default_factory=lambda: cpu().generator)
    discriminator: DiscriminatorConfig = field(default_factory=lambda: cpu().discriminator)


def tiny() -> AgeTransGanConfig:
    """The size for tests: 32 px, all parts."""
    return AgeTransGanConfig(
        generator=GeneratorConfig(
            widths=(4, 8),
            style_width=8,
            num_style_layers=2,
            skips=True,
            adds_to_input=True,
            labels_style=True,
            normalises=True,
        ),
        discriminator=DiscriminatorConfig(widths=(4, 4, 8, 8), head_width=8),
    )


def cpu() -> AgeTransGanConfig:
    """The shipped size: 128 px, which one CPU core can train."""
    return AgeTransGanConfig(
        generator=GeneratorConfig(
            widths=(16, 32, 64, 128),
            style_width=128,
            num_style_layers=4,
            skips=True,
            adds_to_input=True,
            labels_style=True,
            normalises=True,
        ),
        discriminator=DiscriminatorConfig(widths=(16, 32, 64, 96, 96, 96), head_width=96),
    )


def paper(picture_px: int = 1024) -> AgeTransGanConfig:
    """The published channels for pictures of 32 to 1024 px; needs a large GPU."""
    table = {1024: 32, 512: 64, 256: 128, 128: 256, 64: 512, 32: 512, 16: 512, 8: 512, 4: 512}
    widths = tuple(width for side, width in table.items() if side <= picture_px)
    return AgeTransGanConfig(
        generator=GeneratorConfig(widths=widths[:-2], style_width=512),
        discriminator=DiscriminatorConfig(widths=widths, head_width=512),
    )


def read_config(values: Mapping[str, Any]) -> GeneratorConfig:
    """The config from the plain values of `dataclasses.asdict`, after a trip through JSON."""
    return GeneratorConfig(**{**values, "widths": tuple(values["widths"])})
