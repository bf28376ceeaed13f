"""dlib's face recognition ResNet (CC0) in torch: differentiable, with the weights of the shipped ONNX file.

Convention:
    x (B, 3, H, W) RGB in [-1, 1]; an identity embedding is (B, 128), two of one person are usually closer than 0.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.errors import WeightsError
from reage.weights import SHIPPED

_MEAN = (122.782, 117.001, 104.298)


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Size of the residual trunk; the defaults are dlib's.

    Args:
        stem: channels after the first convolution.
        stages: (channels, number of blocks) of each stage; all but the first halve the resolution.
    """

    stem: int = 32
    stages: tuple[tuple[int, int], ...] = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))


class Block(nn.Module):
    """Residual block of two 3x3 convolutions; the smaller of branch and shortcut is zero-padded at the far side."""

    def __init__(self, channels_in: int, channels_out: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        stride, padding = (2, 0) if halve else (1, 1)
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding)
        self.second = nn.Conv2d(channels_out, channels_out, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H or about H / 2, W or about W / 2)."""
        residual = self.second(F.relu(self.first(x)))
        shortcut = F.avg_pool2d(x, 2, 2) if self.halve else x
        shape = [max(int(a), int(b)) for a, b in zip(shortcut.shape[1:], residual.shape[1:], strict=True)]
        return F.relu(_pad_to(shortcut, shape) + _pad_to(residual, shape))


class Trunk(nn.Module):
    """The convolutions of dlib's net, for inputs of about 100 px or more."""

    mean: Tensor

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, config.stem, 7, 2)
        channels = [config.stem, *(channels for channels, _ in config.stages)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(Block(channels[i] if j == 0 else width, width, halve=i > 0 and j == 0) for j in range(num_blocks))
            )
            for i, (width, num_blocks) in enumerate(config.stages)
        )
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)

    def forward(self, x: Tensor, num_stages: int | None = None) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> the feature map of each stage, or of the first ones, the finest first."""
        x = ((x + 1) * 127.5 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        maps = []
        for stage in self.stages[:num_stages]:
            x = stage(x)
            maps.append(x)
        return maps

    def pooled(self, x: Tensor, stages: tuple[int, ...]) -> Tensor:
        """(B, 3, H, W) -> (B, sum of channels): globally pooled features of some stages, concatenated.

        Stage 0 is the finest. Each is normalised to mean 0 and standard deviation 1, because their scales differ
        tenfold.
        """
        maps = self.forward(x)
        means = [maps[stage].float().mean((2, 3)) for stage in stages]
        return torch.cat([F.layer_norm(mean, (int(mean.shape[1]),)) for mean in means], 1)

    def convolutions(self) -> Iterator[nn.Conv2d]:
        """All convolutions from the input to the deepest layer, in the order of dlib's file."""
        yield self.stem
        for module in self.stages.modules():
            if isinstance(module, Block):
                yield from (module.first, module.second)


class DlibResNet(nn.Module):
    """Identity embedding of an aligned face: the ResNet of He et al. (2016) as trained by D. King for dlib 19.3."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.trunk = Trunk(config)
        self.head = nn.Linear(config.stages[-1][0], 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 150, 150) aligned face crops in [-1, 1] -> (B, 128)."""
        embedding: Tensor = self.head(self.trunk(x)[-1].mean((2, 3)))
        return embedding


def load_dlib_resnet(path: Path = SHIPPED / "face-recognizer.onnx") -> DlibResNet:
    """Dlib's trained net in evaluation mode, frozen, from the ONNX file that `reage training convert` made of it.

    Raises:
        WeightsError: when the file is missing or another net.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    net = DlibResNet(TrunkConfig())
    try:
        constants = {constant.name: constant for constant in onnx.load(path).graph.initializer}
        weights = {name: numpy_helper.to_array(constants[name]).astype(np.float32) for name in net.state_dict()}
        net.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    except (OSError, KeyError, RuntimeError, DecodeError) as error:
        raise WeightsError(f"{path} is not dlib's face recognition net; install reage again.") from error
    return net.eval().requires_grad_(False)


def _pad_to(x: Tensor, shape: list[int]) -> Tensor:
    channels, height, width = (wanted - int(had) for wanted, had in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x
