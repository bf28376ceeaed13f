"""pix2pix, which turns photos into sketches and back: a U-Net, and a discriminator of 70 px patches.

After "Image-to-Image Translation with Conditional Adversarial Networks" (Isola, Zhu, Zhou, Efros; CVPR 2017). A plane
of the input may name the style of the sketch, so that one net draws them all; the paper trains one for each.

Convention:
    pictures (B, C, S, S) in [-1, 1]; S is `SKETCH_PX`.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.nets.pix2pix_config import PatchGanConfig, UNetConfig
from reage.weights import find_weights, load_torch_weights, made_for

_INITIAL_STD = 0.02
_DROPOUT = 0.5


class UNet(nn.Module):
    """U-Net of stride-2 convolutions down to one pixel, and transposed ones up, each joined with its mirror image."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, last = config.widths, len(config.widths) - 1
        pairs = itertools.pairwise((config.channels_in, *widths))
        self.downs = nn.ModuleList(_down(a, b, normalised=0 < level < last) for level, (a, b) in enumerate(pairs))
        self.ups = nn.ModuleList(
            _up(
                widths[level] * (1 if level == last else 2),
                widths[level - 1],
                dropout=0 < last - level <= config.num_dropout,
            )
            for level in range(last, 0, -1)
        )
        self.out = nn.ConvTranspose2d(2 * widths[0], config.channels_out, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, S, S) -> (B, channels_out, S, S) in [-1, 1]."""
        skips: list[Tensor] = []
        for level, down in enumerate(self.downs):
            x = down(F.leaky_relu(x, 0.2) if level else x)
            skips.append(x)
        x = skips.pop()
        for up in self.ups:
            x = torch.cat([up(F.relu(x)), skips.pop()], 1)
        drawn: Tensor = self.out(F.relu(x)).float().tanh()
        return drawn


class PatchGan(nn.Module):
    """Judges whether each patch of a picture belongs to the picture that it was made from."""

    def __init__(self, channels: int, config: PatchGanConfig) -> None:
        super().__init__()
        first, *others, last = config.widths
        layers: list[nn.Module] = [nn.Conv2d(channels, first, 4, 2, 1), nn.LeakyReLU(0.2)]
        for a, b, stride in zip((first, *others), (*others, last), (2, 2, 1), strict=True):
            layers += [nn.Conv2d(a, b, 4, stride, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, 1, 4, 1, 1))

    def forward(self, source: Tensor, drawn: Tensor) -> Tensor:
        """(B, C, 256, 256) and (B, D, 256, 256) -> logits (B, 1, 30, 30)."""
        x = torch.cat([source, drawn], 1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.layers(x).float()
        return logits


def _down(channels_in: int, channels: int, *, normalised: bool) -> nn.Sequential:
    """A convolution that halves the side; the net applies the activation before it, as its input is a skip too."""
    convolution = nn.Conv2d(channels_in, channels, 4, 2, 1, bias=not normalised)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels)) if normalised else nn.Sequential(convolution)


def _up(channels_in: int, channels: int, *, dropout: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(channels_in, channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, *([nn.Dropout(_DROPOUT)] if dropout else []))


def _initialise(net: nn.Module) -> None:
    """Weights from N(0, 0.02), as in the reference implementation."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, _INITIAL_STD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, _INITIAL_STD)


def build_unet(config: UNetConfig) -> UNet:
    """An untrained generator."""
    net = UNet(config)
    _initialise(net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_patch_gan(channels: int, config: PatchGanConfig) -> PatchGan:
    """An untrained discriminator.

    Args:
        channels: of the source and the drawn picture together.
        config: its size.
    """
    net = PatchGan(channels, config)
    _initialise(net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_unet(name: str | Path) -> UNet:
    """A trained generator by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this generator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "a sketch net"):
        net = build_unet(UNetConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)
