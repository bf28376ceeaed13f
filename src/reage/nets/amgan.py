"""AMGAN's nets: a generator steered by an aging map, and a critic that also reads the map and the place.

After "High Resolution Face Age Editing / AgingMapGAN" (Despois et al., AIM 2020, arXiv 2008.10960), light enough for a
CPU. Differences: the norm inside a SPADE block is taken over the channels of each pixel, so that a tile and the whole
face agree; the change is a ratio of light and a little colour, not a sum, so that it follows the skin.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; planes (B, 4, S, S) in [-1, 1]: target map, source map, X, Y (see `reage.faces.geometry`);
    all of one size, a multiple of 8.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from reage.weights import find_weights, load_torch_weights, made_for
from reage.zones import ZONES

NUM_PLANES = 4
_LARGEST_LIGHT, _LARGEST_COLOUR = 1.2, 0.25  # of the change, as logarithms
_DARKEST = 0.04  # added before ratios are taken, in shares of white
_WAVES = (1, 2, 4)  # of X and Y, per half crop


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Size of the generator.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the picture's side.
        num_blocks: SPADE residual blocks at 1/8.
        hidden: channels of the planes inside a SPADE block.
        gains: for each of `reage.zones.ZONES`, how many times the change of its score the map must show until the
            zone's score changes by as much; measured after training.
        older: how many times the change is made when a face grows older; measured after training.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    num_blocks: int = 3
    hidden: int = 24
    gains: tuple[float, ...] = (1.0,) * len(ZONES)
    older: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """Size of the critic; each width halves the side."""

    widths: tuple[int, ...] = (32, 64, 128, 192, 256)


@dataclass(frozen=True, kw_only=True)
class AmganConfig:
    """Both nets."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)


def tiny() -> AmganConfig:
    """For tests."""
    return AmganConfig(
        generator=GeneratorConfig(widths=(4, 8, 8), num_blocks=1, hidden=4), critic=CriticConfig(widths=(4, 8, 8))
    )


def cpu() -> AmganConfig:
    """The shipped one: 1.7 M parameters, 15 GMAC for a crop of 512 px."""
    return AmganConfig()


def paper() -> AmganConfig:
    """For patches of 256 px out of 1024 px, widths near those of the paper; needs a large GPU."""
    return AmganConfig(
        generator=GeneratorConfig(widths=(64, 128, 256), num_blocks=6, hidden=128),
        critic=CriticConfig(widths=(64, 128, 256, 512, 1024)),
    )


# Generator


class Spade(nn.Module):
    """Scales and shifts features as the planes say, pixel by pixel (Park et al., CVPR 2019)."""

    def __init__(self, channels: int, num_signals: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(num_signals, hidden, 3, padding=1)
        self.modulate = nn.Conv2d(hidden, 2 * channels, 3, padding=1)
        nn.init.normal_(self.modulate.weight, std=0.02)
        nn.init.zeros_(self.modulate.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, signals: Tensor) -> Tensor:
        """(B, C, H, W), (B, K, H, W) -> (B, C, H, W)."""
        gain, shift = self.modulate(F.relu(self.look(signals))).chunk(2, 1)
        return normalise(x) * (1 + gain) + shift


def normalise(x: Tensor) -> Tensor:
    """Each pixel's channels brought to mean 0 and deviation 1; a pixel needs no other, so tiles agree."""
    centred = x - x.mean(1, keepdim=True)
    return centred * torch.rsqrt((centred**2).mean(1, keepdim=True) + 1e-5)


class Block(nn.Module):
    """A residual block of two convolutions, each after a SPADE."""

    def __init__(self, channels: int, num_signals: int, hidden: int) -> None:
        super().__init__()
        self.spades = nn.ModuleList(Spade(channels, num_signals, hidden) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.convolutions[1].weight.data.mul_(0.2)  # type: ignore[operator]

    def forward(self, x: Tensor, signals: Tensor) -> Tensor:
        """(B, C, H, W), (B, K, H, W) -> (B, C, H, W)."""
        y = x
        for spade, convolution in zip(self.spades, self.convolutions, strict=True):
            y = convolution(F.leaky_relu(spade(y, signals), 0.2))
        return x + y


class Generator(nn.Module):
    """Ages a picture as its planes say; convolutions only, so any size will do."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        signals = 5 + 4 * len(_WAVES)
        self.fine_in = nn.Conv2d(12, fine, 3, padding=1)
        self.middle_in = nn.Conv2d(fine, middle, 4, 2, 1)
        self.coarse_in = nn.Conv2d(middle, coarse, 4, 2, 1)
        self.blocks = nn.ModuleList(Block(coarse, signals, config.hidden) for _ in range(config.num_blocks))
        self.middle_up = nn.Conv2d(coarse, middle, 3, padding=1)
        self.middle_block = Block(middle, signals, config.hidden)
        self.fine_up = nn.Conv2d(middle, fine, 3, padding=1)
        self.fine_block = Block(fine, signals, config.hidden)
        self.out = nn.Conv2d(fine, fine // 2, 3, padding=1)
        self.change = nn.Conv2d(fine // 2 + 3, 5, 3, padding=1)
        self.change.weight.data.mul_(0.1)
        nn.init.zeros_(self.change.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        """Pictures, planes -> aged pictures in [-1, 1]."""
        change, attention = self.look(x, planes)
        return apply_change(x, change * attention)

    def look(self, x: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, planes -> change (B, 3, S, S), the logarithm of a ratio, and attention (B, 1, S, S) in [0, 1]."""
        signals = encode_planes(planes)
        fine_signals, middle_signals, coarse_signals = (F.avg_pool2d(signals, size) for size in (2, 4, 8))
        small = rearrange(x, "b c (h y) (w x) -> b (c y x) h w", y=2, x=2).contiguous(memory_format=torch.channels_last)
        fine = F.leaky_relu(self.fine_in(small), 0.2)
        middle = F.leaky_relu(self.middle_in(fine), 0.2)
        y = self.coarse_in(middle)
        for block in self.blocks:
            y = block(y, coarse_signals)
        y = self.middle_block(enlarge(self.middle_up(F.leaky_relu(y, 0.2))) + middle, middle_signals)
        y = self.fine_block(enlarge(self.fine_up(F.leaky_relu(y, 0.2))) + fine, fine_signals)
        y = F.leaky_relu(self.out(enlarge(F.leaky_relu(y, 0.2))), 0.2)
        y = self.change(torch.cat([y, x], 1)).float()
        light, colour, attention = y[:, :1], y[:, 1:4], y[:, 4:]
        colour = torch.tanh(colour)
        colour = colour - colour.mean(1, keepdim=True)
        return _LARGEST_LIGHT * torch.tanh(light) + _LARGEST_COLOUR * colour, torch.sigmoid(attention + 1)


def encode_planes(planes: Tensor) -> Tensor:
    """Planes (B, 4, S, S) -> signals (B, K, S, S): the maps, what is asked for, and waves across the face."""
    target, source, places = planes[:, :1], planes[:, 1:2], planes[:, 2:4]
    waves = [wave(places * (math.pi * count)) for count in _WAVES for wave in (torch.sin, torch.cos)]
    return torch.cat([target, source, 2 * (target - source), places, *waves], 1)


def enlarge(x: Tensor) -> Tensor:
    """Twice the side, without the hatching of a shuffle."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def apply_change(x: Tensor, change: Tensor) -> Tensor:
    """Pictures in [-1, 1] and the logarithm of a ratio -> pictures; a change of 0 returns them exactly."""
    light = (x + 1) / 2
    return (2 * (light + (light + _DARKEST) * torch.expm1(change)) - 1).clamp(-1, 1)


# Critic


class Critic(nn.Module):
    """Tells real from aged pictures by their light alone, and reads the map and the place off them."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        widths = (1, *config.widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.real = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.map = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.place = nn.Linear(widths[-1], 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, P, P) luma -> how real, the aging map, (B, 1, p, p) each, and the centre (B, 2) in crop sides."""
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        return self.real(x).float(), self.map(x).float(), self.place(x.mean((2, 3))).float()


def build_generator(config: GeneratorConfig) -> Generator:
    """An untrained generator that hardly changes a picture."""
    return Generator(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_critic(config: CriticConfig) -> Critic:
    """An untrained critic."""
    return Critic(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_generator(name: str | Path = "amgan", device: str = "cpu") -> Generator:
    """A trained generator by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this generator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "an AMGAN generator"):
        net = build_generator(read_config(config["net"]))
        net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)


def read_config(values: Mapping[str, Any]) -> GeneratorConfig:
    """The config from the plain values of `dataclasses.asdict`, after a trip through JSON."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return GeneratorConfig(**plain)
