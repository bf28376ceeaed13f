"""The face parsing net: a small U-Net that segments an aligned crop into skin, hair and everything else.

Convention: crops (B, 3, S, S) in [-1, 1], aligned as `Face.crop`; classes are numbered as in `CLASSES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.weights import find_weights, load_torch_weights, made_for

CLASSES = ("other", "skin", "hair")
"""Names of the classes. Eyes, brows, lips and glasses count as skin, hats as hair."""


@dataclass(frozen=True, kw_only=True)
class SegmentationNetConfig:
    """Size of the net.

    Args:
        input_px: side of the input; a multiple of 16.
        width: channels of the first stage; the four stages have 1, 2, 3 and 4 times as many.
    """

    input_px: int = 128
    width: int = 24


def _block(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.GroupNorm(8, channels),
        nn.SiLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.GroupNorm(8, channels),
        nn.SiLU(),
    )


class SegmentationNet(nn.Module):
    """U-Net of four stages at half the input resolution; the pixel coordinates are input channels."""

    def __init__(self, config: SegmentationNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * factor for factor in (1, 2, 3, 4)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([14, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(_block(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(len(widths) - 1)))
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) -> logits of the classes (B, 3, input_px, input_px)."""
        axis = torch.linspace(-1, 1, crops.shape[-1] // 2, device=crops.device)
        position = torch.stack(torch.meshgrid(axis, axis, indexing="xy")).expand(len(crops), -1, -1, -1)
        x = torch.cat([F.pixel_unshuffle(crops, 2), position], 1).contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for stage, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if stage else x)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2), skips.pop()], 1))
        return F.interpolate(self.head(x).float(), scale_factor=2, mode="bilinear", align_corners=False)


def build_segmentation_net(config: SegmentationNetConfig) -> SegmentationNet:
    """An untrained net."""
    net = SegmentationNet(config)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def load_segmentation_net(name: str | Path = "face-parser") -> SegmentationNet:
    """A trained net by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of a face parser.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "a parser of skin and hair"):
        net = build_segmentation_net(SegmentationNetConfig(**config["net"]))
        net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)
