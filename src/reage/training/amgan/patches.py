"""Patches of pictures and maps, as AMGAN's critic sees them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from reage.training.amgan.losses import to_luma


@dataclass(frozen=True)
class Patches:
    """The same window of a real picture, the generated one and both maps, P px each.

    Args:
        fake: (B, 1, P, P) luma of the generated pictures.
        real: (B, 1, P, P) luma of the source pictures.
        target_map: (B, 1, P, P) in [-1, 1].
        source_map: (B, 1, P, P) in [-1, 1].
        centres: (B, 2) x and y of the windows' centres, in crop sides.
    """

    fake: Tensor
    real: Tensor
    target_map: Tensor
    source_map: Tensor
    centres: Tensor


def cut_patches(real: Tensor, fake: Tensor, planes: Tensor, generator: Generator) -> Patches:
    """A random patch of half the side out of each picture.

    Args:
        real: (B, 3, S, S) source pictures.
        fake: (B, 3, S, S) generated pictures.
        planes: (B, 4, S, S) target map, source map, X, Y.
        generator: of the random windows.
    """
    stacked = torch.cat([to_luma(fake.float()), to_luma(real.float()), planes[:, :2]], 1)
    windows, centres = cut_windows(stacked, generator)
    fake, real, target_map, source_map = windows.split(1, 1)
    return Patches(fake=fake, real=real, target_map=target_map, source_map=source_map, centres=centres)


def cut_windows(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A random window of half the side out of each of (B, C, S, S), and the centres (B, 2) in shares of the side."""
    num, _, side, _ = x.shape
    half = side // 2
    corners = torch.randint(side - half + 1, (num, 2), generator=generator)
    windows = [
        picture[:, top : top + half, left : left + half]
        for picture, (left, top) in zip(x, corners.tolist(), strict=True)
    ]
    return torch.stack(windows), ((corners + half / 2) / side).to(x.device)
