"""AgeTransGAN's nets: a generator that moves a face to one of ten age groups, and a multitask projection discriminator.

After "AgeTransGAN for Facial Age Transformation with Rectified Performance Metrics" (Hsu et al., ECCV 2022): a trunk
of residual blocks sees picture and label; an identity branch makes of its features the content map that replaces
StyleGAN2's constant, an age branch the style w; StyleGAN2's decoder draws the aged picture.

Differences: a learning rate by fan-in (`equalised_groups`) replaces weights that are scaled when used, which is the
same for Adam; the decoder convolves before it enlarges, which is as cheap and leaves no checkerboard; the score of the
discriminator's upper levels is that of each pixel, averaged. At the size for CPUs the decoder also gets the trunk's
features, its picture is added to the input, the style gets the label directly, and features are normalised before they
are modulated: without these, a net that is trained for an hour blurs, or shrinks its features and changes nothing.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; labels (B, G) with rows that add up to 1, see
    `reage.nets.agetransgan_config.soft_label`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.nets.agetransgan_config import (
    CONTENT_PX,
    NUM_GROUPS,
    STYLE_PX,
    DiscriminatorConfig,
    GeneratorConfig,
    read_config,
)
from reage.weights import find_weights, load_torch_weights, made_for

STYLE_RATE = 0.01
"""Factor on the learning rate of the style's layers, as in StyleGAN2."""
BIAS_RATE = 0.1
"""The same of biases: at the full rate they move the light of all pictures to and fro, and nothing else is learned."""
HEAD_PX = (64, 32, 16)
"""Sides of the features that are scored pixel by pixel, beside those of `STYLE_PX`."""
GROUP_SIZE = 4
"""Largest number of pictures whose deviation `add_deviation` takes."""
RGB_RATE, _RGB_SCALE = 0.1, 0.01
"""Factors on the learning rates of layers that draw a picture, and on their first weights."""


# Parts


class Activation(nn.Module):
    """Leaky ReLU that keeps the size of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(x, 0.2) * math.sqrt(2)


def blur_down(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H / 2, W / 2): StyleGAN2's blur [1, 3, 3, 1], and every second pixel of it."""
    channels, kernel = int(x.shape[1]), x.new_tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (kernel[:, None] * kernel / 64).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=channels)


def enlarge(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W): bilinear, which is the blur [1, 3, 3, 1] between zeros."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def normalise(x: Tensor) -> Tensor:
    """(B, C, ...) with mean square 1 over the channels (Karras et al., ICLR 2018)."""
    normalised: Tensor = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
    return normalised


class ResidualBlock(nn.Module):
    """Two convolutions and a linear way around them; the sum is divided by sqrt 2."""

    def __init__(self, channels_in: int, channels_out: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.first = nn.Conv2d(channels_in, channels_in, 3, padding=1)
        self.second = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.activation = Activation()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W), or half the side."""
        y = self.activation(self.first(x))
        if self.halve:
            x, y = blur_down(x), blur_down(y)
        y = self.activation(self.second(y))
        out: Tensor = (y + self.skip(x)) / math.sqrt(2)
        return out


class ModulatedConv(nn.Module):
    """StyleGAN2's convolution, whose input channels are scaled by the style (Karras et al., CVPR 2020)."""

    def __init__(self, channels_in: int, channels_out: int, style_width: int, size: int = 3) -> None:
        super().__init__()
        self.demodulate = size > 1
        self.scale = nn.Linear(style_width, channels_in)
        self.convolution = nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, channels_in, H, W), (B, style_width) -> (B, channels_out, H, W)."""
        scales = self.scale(style) + 1
        y: Tensor = self.convolution(x * scales[:, :, None, None])
        if self.demodulate:
            energy = self.convolution.weight.square().sum((2, 3))
            y = y * torch.rsqrt(F.linear(scales.square(), energy) + 1e-8)[:, :, None, None]
        return y


class StyledConv(nn.Module):
    """A modulated convolution, noise and the activation; it may enlarge before the noise.

    The noise is drawn once and is part of the weights, so that the same picture and label give the same pixels.
    """

    noise: Tensor

    def __init__(
        self, channels_in: int, channels_out: int, config: GeneratorConfig, side: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.up, self.normalises, style_width = up, config.normalises, config.style_width
        self.modulated = ModulatedConv(channels_in, channels_out, style_width)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.activation = Activation()
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, channels_in, H, W), (B, style_width) -> (B, channels_out, side, side)."""
        y = self.modulated(normalise(x) if self.normalises else x, style)
        y = enlarge(y) if self.up else y
        out: Tensor = self.activation(y + self.noise * self.noise_strength + self.bias[:, None, None])
        return out


class ToRgb(nn.Module):
    """Draws a picture from features, added to the enlarged picture of the size before."""

    def __init__(self, channels_in: int, style_width: int) -> None:
        super().__init__()
        self.modulated = ModulatedConv(channels_in, 3, style_width, 1)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None) -> Tensor:
        """(B, channels_in, H, W), (B, style_width), (B, 3, H / 2, W / 2) -> (B, 3, H, W)."""
        rgb: Tensor = self.modulated(x, style) + self.bias[:, None, None]
        return rgb if before is None else rgb + enlarge(before)


class DecoderLevel(nn.Module):
    """Enlarges the features and draws them."""

    def __init__(self, config: GeneratorConfig, level: int) -> None:
        super().__init__()
        wide, width, style = config.widths[level + 1], config.widths[level], config.style_width
        side = config.picture_px // 2**level
        self.first = StyledConv(wide, width, config, side, up=True)
        self.skip = nn.Conv2d(width, width, 1) if config.skips else None
        self.second = StyledConv(width, width, config, side)
        self.rgb = ToRgb(width, style)

    def forward(self, x: Tensor, rgb: Tensor, style: Tensor, trunk: Tensor) -> tuple[Tensor, Tensor]:
        """Features and picture of half the side, the style, the trunk's features -> features and picture."""
        x = self.first(x, style)
        if self.skip is not None:
            x = (x + self.skip(trunk)) / math.sqrt(2)
        x = self.second(x, style)
        return x, self.rgb(x, style, rgb)


# Generator


class Generator(nn.Module):
    """Moves a face to the age of a label."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        widths, content, style = config.widths, config.widths[-1], config.style_width
        self.first = nn.Conv2d(3 + NUM_GROUPS, widths[0], 1)
        self.trunk = nn.ModuleList(ResidualBlock(fine, coarse, halve=True) for fine, coarse in pairwise(widths))
        self.identity = nn.Sequential(*(ResidualBlock(content, content, halve=False) for _ in range(2)))
        self.age = nn.Sequential(*(ResidualBlock(content, content, halve=True) for _ in range(2)))
        self.age_out = nn.Conv2d(content, style, 3, padding=1)
        self.label = nn.Linear(NUM_GROUPS, style, bias=False) if config.labels_style else None
        self.style = nn.Sequential(
            *(layer for _ in range(config.num_style_layers) for layer in (nn.Linear(style, style), Activation()))
        )
        self.content = StyledConv(content, content, config, CONTENT_PX)
        self.content_rgb = ToRgb(content, style)
        self.levels = nn.ModuleList(DecoderLevel(config, level) for level in reversed(range(len(widths) - 1)))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Pictures, labels -> aged pictures; values may leave [-1, 1] a little."""
        trunk = self.run_trunk(x, labels)
        return self.decode(x, trunk, self.identity(trunk[-1]), self.make_style(trunk[-1], labels))

    def decode(self, x: Tensor, trunk: list[Tensor], content: Tensor, style: Tensor) -> Tensor:
        """Pictures, features of each size, content maps, styles -> aged pictures."""
        y = self.content(content, style)
        rgb = self.content_rgb(y, style, None)
        for level, features in zip(self.levels, reversed(trunk[:-1]), strict=True):
            y, rgb = level(y, rgb, style, features)
        return x + rgb.float() if self.config.adds_to_input else rgb.float()

    def run_trunk(self, x: Tensor, labels: Tensor) -> list[Tensor]:
        """Pictures, labels -> features of each size, the finest first."""
        planes = labels[:, :, None, None].expand(-1, -1, *x.shape[2:])
        features = [self.first(torch.cat([x, planes], 1).contiguous(memory_format=torch.channels_last))]
        for block in self.trunk:
            features.append(block(features[-1]))
        return features

    def make_content(self, x: Tensor, labels: Tensor) -> Tensor:
        """Pictures, labels -> content maps (B, C, 16, 16) of the identity branch."""
        content: Tensor = self.identity(self.run_trunk(x, labels)[-1])
        return content

    def make_style(self, features: Tensor, labels: Tensor) -> Tensor:
        """The trunk's last features, labels -> styles w (B, style_width)."""
        z = self.age_out(self.age(features)).mean((2, 3))
        if self.label is not None:
            z = z + self.label(labels)
        style: Tensor = self.style(normalise(z))
        return style


# Discriminator


class ProjectionHead(nn.Module):
    """Scores features phi for a label: linear(phi) + <embedding of the label, phi> (Miyato and Koyama, ICLR 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.embed = nn.Linear(NUM_GROUPS, width, bias=False)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(B, width), (B, G) -> (B,)."""
        score: Tensor = self.score(features)[:, 0] + (self.embed(labels) * features).mean(1)
        return score


class PixelHead(nn.Module):
    """A projection head on the features of every pixel, averaged."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels_in, width, 1)
        self.activation = Activation()
        self.head = ProjectionHead(width)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B, channels_in, H, W), (B, G) -> (B,): the score is linear in phi, so that its mean is that of mean phi."""
        score: Tensor = self.head(self.activation(self.features(x)).mean((2, 3)), labels)
        return score


class Discriminator(nn.Module):
    """Scores how real pictures of an age group are, at four sizes, and says which group they are of."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths, last, width = config.widths, config.widths[-1], config.head_width
        self.first = nn.Sequential(nn.Conv2d(3, widths[0], 1), Activation())
        self.downs = nn.ModuleList(ResidualBlock(fine, coarse, halve=True) for fine, coarse in pairwise(widths))
        sides = [STYLE_PX * 2 ** (len(self.downs) - 1 - place) for place in range(len(self.downs))]
        self.pixel_heads = nn.ModuleDict(
            {str(place): PixelHead(widths[place + 1], width) for place, side in enumerate(sides) if side in HEAD_PX}
        )
        self.last = nn.Sequential(nn.Conv2d(last + 1, last, 3, padding=1), Activation(), nn.Flatten())
        self.features = nn.Linear(STYLE_PX**2 * last, width)
        self.head = ProjectionHead(width)
        self.classifier = nn.Sequential(
            nn.Linear(STYLE_PX**2 * last, width), Activation(), nn.Linear(width, NUM_GROUPS)
        )

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, labels -> scores (B,), the sum over the sizes, and logits (B, G) of the groups."""
        y, score = self.first(x.contiguous(memory_format=torch.channels_last)), x.new_zeros(len(x))
        for place, down in enumerate(self.downs):
            y = down(y)
            if str(place) in self.pixel_heads:
                score = score + self.pixel_heads[str(place)](y, labels).float()
        flat = self.last(add_deviation(y))
        return score + self.head(self.features(flat), labels).float(), self.classifier(flat).float()


def add_deviation(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C + 1, H, W): one more plane, the mean deviation over groups of neighbouring pictures.

    So a discriminator sees when all pictures are alike (Karras et al., ICLR 2018). The largest number up to
    `GROUP_SIZE` that divides B is the size of a group.
    """
    size = max(number for number in range(1, GROUP_SIZE + 1) if len(x) % number == 0)
    groups = x.float().reshape(-1, size, *x.shape[1:])
    deviations = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3)).repeat_interleave(size)
    plane = deviations.to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, plane], 1)


# Build


def build_generator(config: GeneratorConfig) -> Generator:
    """An untrained generator."""
    net = Generator(config)
    _initialise(net)
    for module in net.modules():
        if isinstance(module, ToRgb):
            module.modulated.convolution.weight.data.mul_(_RGB_SCALE)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_discriminator(config: DiscriminatorConfig) -> Discriminator:
    """An untrained discriminator."""
    net = Discriminator(config)
    _initialise(net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _initialise(net: nn.Module) -> None:
    """Weights with the variance 1 / fan-in, biases 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=_standard(layer.weight))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _standard(weight: Tensor) -> float:
    return 1 / math.sqrt(weight[0].numel())


def equalised_groups(net: nn.Module, learning_rate: float) -> list[tuple[nn.Module, float]]:
    """The parameters of a net with the learning rates that equalise them (Karras et al., ICLR 2018).

    A weight's is divided by the square root of its fan-in, which for Adam equals a weight of variance 1 that is scaled
    when it is used. The layers from the features to the style learn `STYLE_RATE` times as fast, those that draw a
    picture `RGB_RATE` times.

    Args:
        net: a generator or a discriminator.
        learning_rate: of a parameter of variance 1.
    """
    factors: dict[nn.Parameter, float] = {}
    for module in net.modules():
        if isinstance(module, ToRgb):
            factors |= dict.fromkeys(module.parameters(), RGB_RATE)
    if isinstance(net, Generator):
        factors |= dict.fromkeys(net.style.parameters(), STYLE_RATE)
    rates: dict[float, list[nn.Parameter]] = {}
    for parameter in net.parameters():
        rate = learning_rate * (_standard(parameter) if parameter.ndim > 1 else BIAS_RATE)
        rates.setdefault(rate * factors.get(parameter, 1.0), []).append(parameter)
    return [(_as_module(parameters), rate) for rate, parameters in rates.items()]


def _as_module(parameters: Iterable[nn.Parameter]) -> nn.Module:
    return nn.ParameterList(parameters)


def load_generator(name: str | Path = "agetransgan", device: str = "cpu") -> Generator:
    """A trained generator by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this generator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "an AgeTransGAN generator"):
        net = build_generator(read_config(config["net"]))
        net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)
