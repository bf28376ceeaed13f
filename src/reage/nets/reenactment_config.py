"""Sizes of the reenactment nets; without torch, so that the run time knows them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REENACTMENT_PX = 256
"""Side of the window that the generator sees."""
NUM_PLANES = 10
"""Input planes: the picture with its hidden pixels filled (3), which are hidden (1), the mirrored picture (3), where
that is hidden (1), the line map (1), and where the mesh is (1)."""


@dataclass(frozen=True, kw_only=True)
class FaceGeneratorConfig:
    """Size of the generator.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the side.
        num_blocks: residual blocks at 1/8.
        style: length of the style code.
        full: channels at the full side.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    num_blocks: int = 4
    style: int = 128
    full: int = 16

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FaceGeneratorConfig:
        """The config from plain values."""
        return cls(**{**values, "widths": tuple(values["widths"])})


@dataclass(frozen=True, kw_only=True)
class PatchCriticConfig:
    """Size of the critic.

    Args:
        widths: channels after each halving of the side.
    """

    widths: tuple[int, ...] = (32, 64, 96)
