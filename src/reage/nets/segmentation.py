"""The face parsing net: a small U-Net that gives each pixel around an aligned face one of ten classes.

Convention: pictures (B, 3, S, S) RGB in [-1, 1], aligned as `Face.crop` or a wider square around it; classes are
numbered as in `reage.face_classes.CLASSES`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.face_classes import CLASSES

MAP_CHANNELS = 6


@dataclass(frozen=True, kw_only=True)
class SegmentationNetConfig:
    """Size of the net.

    Args:
        input_px: side of the input; a multiple of 32.
        widths: channels of the stages, each at half the resolution of the one before.
    """

    input_px: int = 256
    widths: tuple[int, ...] = (16, 40, 72, 96, 112)


def _block(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class SegmentationNet(nn.Module):
    """U-Net at half the input resolution; where the face is, and its features, are input channels."""

    def __init__(self, config: SegmentationNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([12 + MAP_CHANNELS, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(_block(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(len(widths) - 1)))
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, pictures: Tensor, face_maps: Tensor) -> Tensor:
        """Logits of the classes (B, 10, S, S).

        Args:
            pictures: (B, 3, S, S).
            face_maps: (B, 6, S / 2, S / 2), see `reage.faces.segmentation.make_face_map`.
        """
        x = torch.cat([F.pixel_unshuffle(pictures, 2), face_maps], 1).contiguous(memory_format=torch.channels_last)
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
