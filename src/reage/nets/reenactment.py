"""The face generator of reenactment: it draws what a face shows when it turns, and a photo from before does not.

After the RFG of "Dual-Generator Face Reenactment" (Hsu, Tsai, Wu; CVPR 2022): an encoder of the line map and a decoder
whose features take the style of the source (adaptive instance normalisation). Differences: the face warped along its
mesh and its mirror image are inputs too, and the output is added to them, so that only hidden pixels need to be drawn.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; planes (B, `NUM_PLANES`, S, S), pictures among them in [-1, 1] and masks in
    [0, 1]; S is a multiple of 16.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from reage.nets.amgan import upsample
from reage.nets.reenactment_config import NUM_PLANES, FaceGeneratorConfig, PatchCriticConfig
from reage.weights import find_weights, load_torch_weights, made_for

_STYLE_WIDTHS = (24, 48, 96, 128)


class StyleEncoder(nn.Module):
    """The style code of a face: light, skin and hair, wherever they are."""

    def __init__(self, style: int) -> None:
        super().__init__()
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise((3, *_STYLE_WIDTHS)))
        self.code = nn.Linear(_STYLE_WIDTHS[-1], style)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures at half size, (B, 3, S / 2, S / 2) -> (B, style)."""
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        code: Tensor = self.code(x.mean((2, 3)))
        return code


class AdainBlock(nn.Module):
    """A residual block of two convolutions, each after adaptive instance normalisation (Huang and Belongie, 2017)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.modulations = nn.ModuleList(nn.Linear(style, 2 * channels) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.convolutions[1].weight.data.mul_(0.2)  # type: ignore[operator]

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, H, W), (B, style) -> (B, C, H, W)."""
        y = x
        for modulation, convolution in zip(self.modulations, self.convolutions, strict=True):
            scale, shift = rearrange(modulation(style), "b (two c) -> two b c 1 1", two=2)
            y = convolution(F.leaky_relu(F.instance_norm(y) * (1 + scale) + shift, 0.2))
        return x + y


class FaceGenerator(nn.Module):
    """Draws the hidden pixels of a warped face; any size that is a multiple of 16 will do."""

    def __init__(self, config: FaceGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        half, quarter, eighth = config.widths
        self.style = StyleEncoder(config.style)
        self.half_in = nn.Conv2d(4 * NUM_PLANES, half, 3, padding=1)
        self.quarter_in = nn.Conv2d(half, quarter, 4, 2, 1)
        self.eighth_in = nn.Conv2d(quarter, eighth, 4, 2, 1)
        self.blocks = nn.ModuleList(AdainBlock(eighth, config.style) for _ in range(config.num_blocks))
        self.quarter_up = nn.Conv2d(eighth, quarter, 3, padding=1)
        self.quarter_block = AdainBlock(quarter, config.style)
        self.half_up = nn.Conv2d(quarter, half, 3, padding=1)
        self.half_block = AdainBlock(half, config.style)
        self.full_up = nn.Conv2d(half, config.full, 3, padding=1)
        self.out = nn.Conv2d(config.full + NUM_PLANES, 3, 3, padding=1)
        self.out.weight.data.mul_(0.1)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, planes: Tensor, source: Tensor) -> Tensor:
        """Planes, and the source at half size, (B, 3, S / 2, S / 2) -> the picture with its hidden pixels drawn."""
        style = self.style(source)
        small = rearrange(planes, "b c (h y) (w x) -> b (c y x) h w", y=2, x=2)
        small = small.contiguous(memory_format=torch.channels_last)
        half = F.leaky_relu(self.half_in(small), 0.2)
        quarter = F.leaky_relu(self.quarter_in(half), 0.2)
        y = self.eighth_in(quarter)
        for block in self.blocks:
            y = block(y, style)
        y = self.quarter_block(upsample(self.quarter_up(F.leaky_relu(y, 0.2))) + quarter, style)
        y = self.half_block(upsample(self.half_up(F.leaky_relu(y, 0.2))) + half, style)
        y = F.leaky_relu(self.full_up(upsample(F.leaky_relu(y, 0.2))), 0.2)
        drawn = planes[:, :3] + self.out(torch.cat([y, planes.to(y.dtype)], 1)).float()
        return drawn.clamp(-1.2, 1.2)


class PatchCritic(nn.Module):
    """Scores how real each patch of a picture is, given where it was drawn and the line map."""

    def __init__(self, config: PatchCriticConfig) -> None:
        super().__init__()
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise((5, *config.widths)))
        self.realism = nn.Conv2d(config.widths[-1], 1, 3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor, lines: Tensor) -> Tensor:
        """Pictures, hidden pixels and line maps (B, 1, S, S) -> realism (B, 1, s, s)."""
        x = torch.cat([x, hidden, lines], 1)
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        realism: Tensor = self.realism(x).float()
        return realism


def build_face_generator(config: FaceGeneratorConfig) -> FaceGenerator:
    """An untrained generator that gives back the picture in its planes."""
    return FaceGenerator(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_patch_critic(config: PatchCriticConfig) -> PatchCritic:
    """An untrained critic."""
    return PatchCritic(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_face_generator(name: str | Path = "reenactment") -> FaceGenerator:
    """A trained generator by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this generator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "the face generator of reenactment"):
        net = build_face_generator(FaceGeneratorConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)
