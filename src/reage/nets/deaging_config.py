"""Sizes of the de-aging net (`reage.nets.deaging`); without torch, so that the engine knows them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

YOUNG_YEARS = (18.0, 35.0)
"""Ages of the faces that the young decoder learns; it takes a face to the middle of them, see `YOUNG_MIDDLE`."""
OLD_YEARS = (55.0, 90.0)
"""Ages of the faces that the old decoder learns."""
YOUNG_MIDDLE, OLD_MIDDLE = 25.0, 68.0
"""Years that the pictures of the two decoders stand for."""


@dataclass(frozen=True, kw_only=True)
class DeagingConfig:
    """Size of the net.

    Args:
        picture_px: side of the pictures.
        kernel_px: side of the kernels of the encoder.
        widths: channels of the encoder after each halving of the side.
        latent: numbers in the middle of the net.
        code_width: channels of the code, at twice the side of the encoder's end, that both decoders start from.
        decoder_widths: channels of a decoder after each doubling of the side; the last are at `picture_px`.
        num_skips: last doublings of a decoder that also take the encoder's features of that side, and the last one the
            picture; 0, as published, leaves the middle of the net as the only way.
        adds_to_input: whether a decoder gives a change that is added to the picture, or, as published, a picture.
        window: side of the central square of a crop that the net sees, as a share of the crop's side.
    """

    picture_px: int = 128
    kernel_px: int = 5
    widths: tuple[int, ...]
    latent: int
    code_width: int
    decoder_widths: tuple[int, ...]
    num_skips: int = 0
    adds_to_input: bool = False
    window: float = 0.8

    @property
    def end_px(self) -> int:
        """Side of the features at the end of the encoder."""
        return int(self.picture_px // 2 ** len(self.widths))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DeagingConfig:
        """The config from plain values."""
        sizes = {name: tuple(values[name]) for name in ("widths", "decoder_widths")}
        return cls(**{**values, **sizes})


def tiny() -> DeagingConfig:
    """The size for tests: 32 px, all parts."""
    return DeagingConfig(
        picture_px=32,
        kernel_px=3,
        widths=(4, 4, 8),
        latent=8,
        code_width=8,
        decoder_widths=(4, 4),
        num_skips=2,
        adds_to_input=True,
    )


def cpu() -> DeagingConfig:
    """The shipped size: 128 px, with features that pass by the middle of the net, and a change as output."""
    return DeagingConfig(
        kernel_px=3,
        widths=(24, 48, 96, 128, 112),
        latent=128,
        code_width=80,
        decoder_widths=(64, 48, 32, 16),
        num_skips=4,
        adds_to_input=True,
    )


def plain() -> DeagingConfig:
    """The published form at 128 px, which one CPU core can train: the middle of the net is the only way."""
    return DeagingConfig(
        kernel_px=3, widths=(24, 48, 96, 128, 112), latent=128, code_width=80, decoder_widths=(64, 48, 32, 16)
    )


def paper() -> DeagingConfig:
    """The widths of the network of face swaps that the article builds on: 64 px, 95 M parameters."""
    return DeagingConfig(
        picture_px=64, widths=(128, 256, 512, 1024), latent=1024, code_width=512, decoder_widths=(256, 128, 64)
    )
