"""AMGAN's nets: a generator steered by an aging map, and a critic that also predicts the map and the location.

After "High Resolution Face Age Editing / AgingMapGAN" (Despois et al., AIM 2020, arXiv 2008.10960), light enough for a
CPU. Differences: pictures are planes of the common face, where every face has its features at the same place, so that
the location planes tell the place on the face, not in the photo; the norm inside a SPADE block is taken over the
channels of each pixel, so that a patch and the whole face agree; the change is a ratio of light and a little colour,
not a sum, so that it follows the skin.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; planes (B, 4, S, S) in [-1, 1]: target map, source map, X, Y (see
    `reage.faces.aging_map`); all of one size, a multiple of 32, the whole common face or a patch of it.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from reage.nets.amgan_config import CriticConfig, GeneratorConfig, read_config
from reage.types import GAIN_FLOOR
from reage.weights import find_weights, load_torch_weights, made_for

_MAX_LIGHT_CHANGE, _MAX_COLOUR_CHANGE = 1.2, 0.25
"""Bounds of the change, as logarithms of a ratio."""
_MAX_BAND_CHANGE, _NUM_BANDS = 2.5, 5
"""Bound of the factors on the picture's own octaves of log luminance, and number of these octaves, finest first."""
_LOCATION_FREQUENCIES = (1, 2, 4, 8, 16)
"""Of the sines and cosines of X and Y, per half plane."""


# Generator


class Spade(nn.Module):
    """Scales and shifts features by what the conditions are at each pixel (Park et al., CVPR 2019)."""

    def __init__(self, channels: int, num_conditions: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(num_conditions, hidden, 3, padding=1)
        self.modulate = nn.Conv2d(hidden, 2 * channels, 3, padding=1)
        nn.init.normal_(self.modulate.weight, std=0.02)
        nn.init.zeros_(self.modulate.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """(B, C, H, W), (B, K, H, W) -> (B, C, H, W)."""
        scale, shift = self.modulate(F.relu(self.look(conditions))).chunk(2, 1)
        return normalise(x) * (1 + scale) + shift


def normalise(x: Tensor) -> Tensor:
    """Each pixel's channels brought to mean 0 and deviation 1; a pixel needs no other, so tiles agree."""
    centred = x - x.mean(1, keepdim=True)
    return centred * torch.rsqrt((centred**2).mean(1, keepdim=True) + 1e-5)


class Block(nn.Module):
    """A residual block of two convolutions, each after a SPADE."""

    def __init__(self, channels: int, num_conditions: int, hidden: int) -> None:
        super().__init__()
        self.spades = nn.ModuleList(Spade(channels, num_conditions, hidden) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.convolutions[1].weight.data.mul_(0.2)  # type: ignore[operator]

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """(B, C, H, W), (B, K, H, W) -> (B, C, H, W)."""
        y = x
        for spade, convolution in zip(self.spades, self.convolutions, strict=True):
            y = convolution(F.leaky_relu(spade(y, conditions), 0.2))
        return x + y


class Generator(nn.Module):
    """Ages a picture towards its target map; it is fully convolutional, so any size will do."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        num_conditions = 5 + 4 * len(_LOCATION_FREQUENCIES)
        self.fine_in = nn.Conv2d(12, fine, 3, padding=1)
        self.middle_in = nn.Conv2d(fine, middle, 4, 2, 1)
        self.coarse_in = nn.Conv2d(middle, coarse, 4, 2, 1)
        self.blocks = nn.ModuleList(Block(coarse, num_conditions, config.hidden) for _ in range(config.num_blocks))
        self.middle_up = nn.Conv2d(coarse, middle, 3, padding=1)
        self.middle_block = Block(middle, num_conditions, config.hidden)
        self.fine_up = nn.Conv2d(middle, fine, 3, padding=1)
        self.fine_block = Block(fine, num_conditions, config.hidden)
        self.out = nn.Conv2d(fine, fine // 2, 3, padding=1)
        self.lines = nn.Conv2d(fine // 2 + 3, fine // 2, 3, padding=1)
        self.change = nn.Conv2d(fine // 2, 5 + _NUM_BANDS, 3, padding=1)
        self.change.weight.data.mul_(0.1)
        nn.init.zeros_(self.change.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        """Pictures, planes -> aged pictures in [-1, 1]."""
        change, attention = self.predict_change(x, planes)
        return apply_change(x, change * attention)

    def predict_change(self, x: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, planes -> change (B, 3, S, S), the logarithm of a ratio, and attention (B, 1, S, S) in [0, 1].

        The change is free light and colour, and a share of each of the picture's own octaves: lines that are there
        deepen or fade, which takes a net that has only sums long to learn.
        """
        conditions = encode_planes(planes)
        at_half, at_quarter, at_eighth = (F.avg_pool2d(conditions, size) for size in (2, 4, 8))
        small = rearrange(x, "b c (h y) (w x) -> b (c y x) h w", y=2, x=2).contiguous(memory_format=torch.channels_last)
        fine = F.leaky_relu(self.fine_in(small), 0.2)
        middle = F.leaky_relu(self.middle_in(fine), 0.2)
        y = self.coarse_in(middle)
        for block in self.blocks:
            y = block(y, at_eighth)
        y = self.middle_block(upsample(self.middle_up(F.leaky_relu(y, 0.2))) + middle, at_quarter)
        y = self.fine_block(upsample(self.fine_up(F.leaky_relu(y, 0.2))) + fine, at_half)
        y = F.leaky_relu(self.out(upsample(F.leaky_relu(y, 0.2))), 0.2)
        y = F.leaky_relu(self.lines(torch.cat([y, x], 1)), 0.2)
        y = self.change(y).float()
        light, colour, attention, shares = y.split([1, 3, 1, _NUM_BANDS], 1)
        own = (_MAX_BAND_CHANGE * torch.tanh(shares) * split_octaves(x)).sum(1, keepdim=True)
        colour = torch.tanh(colour)
        colour = colour - colour.mean(1, keepdim=True)
        change = _MAX_LIGHT_CHANGE * torch.tanh(light) + own + _MAX_COLOUR_CHANGE * colour
        return change, torch.sigmoid(attention + 1)


def encode_planes(planes: Tensor) -> Tensor:
    """Planes (B, 4, S, S) -> conditions (B, K, S, S): both maps, their difference, X, Y, and sines of X and Y."""
    target, source, locations = planes[:, :1], planes[:, 1:2], planes[:, 2:4]
    waves = [wave(locations * (math.pi * count)) for count in _LOCATION_FREQUENCIES for wave in (torch.sin, torch.cos)]
    return torch.cat([target, source, 2 * (target - source), locations, *waves], 1)


def split_octaves(x: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) -> the finest `_NUM_BANDS` octaves (B, K, S, S) of their log luminance."""
    light = (((x.float() + 1) / 2).mean(1, keepdim=True) + GAIN_FLOOR).log()
    octaves, finer = [], light
    for octave in range(_NUM_BANDS):
        coarser = F.avg_pool2d(light, 2 ** (octave + 1))
        for _ in range(octave + 1):
            coarser = upsample(coarser)
        octaves.append(finer - coarser)
        finer = coarser
    return torch.cat(octaves, 1)


def upsample(x: Tensor) -> Tensor:
    """Twice the side by bilinear resampling, without the checkerboard of a pixel shuffle."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def apply_change(x: Tensor, change: Tensor) -> Tensor:
    """Pictures in [-1, 1] and a log ratio, see `reage.types.Gain` -> pictures; a change of 0 returns them exactly."""
    light = (x + 1) / 2
    return (2 * (light + (light + GAIN_FLOOR) * torch.expm1(change)) - 1).clamp(-1, 1)


def finer_than(x: Tensor, parts_per_face: int) -> Tensor:
    """Planes (B, C, S, S) of whole faces minus what is coarser than a part of their side."""
    coarse = F.adaptive_avg_pool2d(x, parts_per_face)
    return x - F.interpolate(coarse, (x.shape[-2], x.shape[-1]), mode="bilinear", align_corners=False)


# Critic


class Critic(nn.Module):
    """Scores how real the luminance of a picture is, and predicts its aging map and location."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        widths = (1, *config.widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.realism = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.aging_map = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.location = nn.Linear(widths[-1], 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, P, P) luma -> realism and aging map, (B, 1, p, p) each, and the centre (B, 2) in crop sides."""
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        return self.realism(x).float(), self.aging_map(x).float(), self.location(x.mean((2, 3))).float()


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
