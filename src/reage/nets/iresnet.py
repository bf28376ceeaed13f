"""IR-50, the "improved residual" trunk of ArcFace (Deng et al., CVPR 2019), for pictures of 112 px.

Convention:
    x (B, 3, S, S) RGB in [-1, 1]; every stage halves the side, rounded up.
"""

from __future__ import annotations

from torch import Tensor, nn

from reage.nets.dlib_resnet import TrunkConfig

IR50 = TrunkConfig(stem=64, stages=((64, 3), (128, 4), (256, 14), (512, 3)))
"""Its size: 112 px -> 64 channels at 56, 128 at 28, 256 at 14, 512 at 7 px."""


class IrBlock(nn.Module):
    """Residual block: normalisation, 3x3 convolution, PReLU, 3x3 convolution with the stride, normalisation."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False),
            nn.PReLU(channels_out),
            nn.Conv2d(channels_out, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.MaxPool2d(1, stride)
        if channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, S, S) -> (B, channels_out, S / stride, S / stride), rounded up."""
        out: Tensor = self.residual(x) + self.shortcut(x)
        return out


class IrTrunk(nn.Module):
    """The convolutions of an IR net; its `forward` is that of `reage.nets.dlib_resnet.Trunk`."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem, 3, 1, 1, bias=False), nn.BatchNorm2d(config.stem), nn.PReLU(config.stem)
        )
        channels = [config.stem, *(channels for channels, _ in config.stages)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(IrBlock(channels[i] if j == 0 else width, width, 2 if j == 0 else 1) for j in range(num_blocks))
            )
            for i, (width, num_blocks) in enumerate(config.stages)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, S, S) in [-1, 1] -> the feature map of each stage, the finest first."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
