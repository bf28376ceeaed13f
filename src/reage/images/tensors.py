"""Converts between pixels and tensors: RGB uint8 (H, W, 3) outside, float (B, 3, H, W) in [-1, 1] inside."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from reage.types import Pixels, Plane

_HALF_RANGE = 127.5


def to_net(crops: Pixels) -> torch.Tensor:
    """The batch tensor of one crop or several.

    Args:
        crops: (H, W, 3) or (B, H, W, 3) RGB uint8.

    Returns:
        (B, 3, H, W) float32 in [-1, 1] on the CPU, laid out channels last, in which convolutions are fastest.
    """
    assert crops.dtype == np.uint8, crops.dtype
    assert crops.ndim in (3, 4), crops.shape
    assert crops.shape[-1] == 3, crops.shape
    batch = torch.tensor(np.ascontiguousarray(crops if crops.ndim == 4 else crops[None]))
    return rearrange(batch, "b h w c -> b c h w").float() / _HALF_RANGE - 1


def to_levels(x: torch.Tensor) -> Plane:
    """(B, 3, H, W) in about [-1, 1] -> (B, H, W, 3) float32 levels, not rounded, clipped to -25.5 and 280.5."""
    return rearrange((x.clamp(-1.2, 1.2) + 1) * _HALF_RANGE, "b c h w -> b h w c").float().contiguous().cpu().numpy()


def from_net(aged: torch.Tensor) -> Pixels:
    """Pixels of a net's output; `from_net(to_net(crops))` is `crops`, bit for bit.

    Args:
        aged: (B, 3, H, W) float on any device; values outside [-1, 1] are clipped.

    Returns:
        (B, H, W, 3) RGB uint8.
    """
    assert aged.ndim == 4, aged.shape
    assert aged.shape[1] == 3, aged.shape
    levels = ((aged.detach().float() + 1) * _HALF_RANGE).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = rearrange(levels, "b c h w -> b h w c").contiguous().cpu().numpy()
    return pixels
