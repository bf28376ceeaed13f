"""Sizes and calibration of AMGAN's nets (`reage.nets.amgan`), readable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reage.zones import ZONES

NUM_PLANES = 4
"""Planes that the generator takes beside a picture: target map, source map, X, Y."""

LINES_PER_FACE, FOLDS_PER_FACE = 64, 16
"""What is used of a change: where a face grows older what is finer than the first of these parts of the side of the
common face, where it grows younger what is finer than the second. What is coarser is blotches where it darkens; light
and shade of an age are those of `exemplar`."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Size and calibration of the generator.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the plane's side.
        num_blocks: SPADE residual blocks at 1/8.
        hidden: channels of the conditions inside a SPADE block.
        zone_gains: for each of `reage.zones.ZONES`, how many times the change of its score the map must show until the
            zone's score changes by as much; measured after training.
        older_gain: factor on lines where the target map is above the source map; measured after training.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    num_blocks: int = 3
    hidden: int = 24
    zone_gains: tuple[float, ...] = (1.0,) * len(ZONES)
    older_gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """Size of the critic; each width halves the side."""

    widths: tuple[int, ...] = (32, 64, 128, 192, 256)


@dataclass(frozen=True, kw_only=True)
class AmganConfig:
    """Size of both nets."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)


def tiny() -> AmganConfig:
    """The size for tests."""
    return AmganConfig(
        generator=GeneratorConfig(widths=(4, 8, 8), num_blocks=1, hidden=4), critic=CriticConfig(widths=(4, 8, 8))
    )


def cpu() -> AmganConfig:
    """The shipped size: 1.7 M parameters, 15 GMAC for a plane of 512 px."""
    return AmganConfig()


def paper() -> AmganConfig:
    """For patches of 256 px out of 1024 px, widths near those of the paper; needs a large GPU."""
    return AmganConfig(
        generator=GeneratorConfig(widths=(64, 128, 256), num_blocks=6, hidden=128),
        critic=CriticConfig(widths=(64, 128, 256, 512, 1024)),
    )


def read_config(values: Mapping[str, Any]) -> GeneratorConfig:
    """The config from the plain values of `dataclasses.asdict`, after a trip through JSON."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return GeneratorConfig(**plain)
