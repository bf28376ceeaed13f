"""Sizes of the sketch nets; without torch, so that the run time knows them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SKETCH_PX = 256
"""Side of the aligned pictures that both nets take and give."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Size of the generator.

    Args:
        widths: channels after each halving of the side; eight of them lead 256 px to one, and seven to two, so that the
            net also takes 128 px.
        channels_in: planes of the input: 3 of a photo, 1 of a sketch, and one more where a plane names the style.
        channels_out: planes of the output: 3 of a photo or of a sketch with three equal channels, 1 of a grey sketch.
        num_dropout: innermost steps up, after the first, that drop half of their features in training.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512, 512)
    channels_in: int = 3
    channels_out: int = 3
    num_dropout: int = 3

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> UNetConfig:
        """The config from plain values."""
        return cls(**{**values, "widths": tuple(values["widths"])})


@dataclass(frozen=True, kw_only=True)
class PatchGanConfig:
    """Size of the discriminator.

    Args:
        widths: channels of its four layers before the last; the last two of its five layers keep the side.
    """

    widths: tuple[int, int, int, int] = (64, 128, 256, 512)


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig:
    """Size of both nets."""

    generator: UNetConfig = field(default_factory=UNetConfig)
    discriminator: PatchGanConfig = field(default_factory=PatchGanConfig)


def tiny(channels_in: int = 4, channels_out: int = 1) -> Pix2PixConfig:
    """The size for tests."""
    return Pix2PixConfig(
        generator=UNetConfig(widths=(4,) * 5, channels_in=channels_in, channels_out=channels_out),
        discriminator=PatchGanConfig(widths=(4, 4, 4, 4)),
    )


def cpu(channels_in: int = 4, channels_out: int = 1) -> Pix2PixConfig:
    """The shipped size, which trains on one core: 2.6 M parameters, without dropout, as it sees few samples."""
    return Pix2PixConfig(
        generator=UNetConfig(
            widths=(16, 32, 64, 128, 128, 128, 128),
            channels_in=channels_in,
            channels_out=channels_out,
            num_dropout=0,
        ),
        discriminator=PatchGanConfig(widths=(16, 32, 64, 128)),
    )


def paper() -> Pix2PixConfig:
    """The size of the reference implementation of pix2pix: 54 M and 2.8 M parameters."""
    return Pix2PixConfig()
