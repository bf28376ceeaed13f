"""Augmentation that makes studio portraits look like everyday photos: dark, blurred, small, noisy, compressed, rotated.

Every picture of a batch is changed on its own. All randomness comes from the generator that is passed in.

Convention:
    crops (B, 3, S, S) in [-1, 1]; S is a multiple of 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

_JPEG_LUMINANCE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Quantisation steps of ITU-T T.81, table K.1, for 8-bit luminance at quality 50."""

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Probability, per picture, and largest strength of each change.

    Args:
        flip_prob: probability of a mirror image.
        max_rotation_degrees: largest rotation to either side.
        max_scale: largest relative change of size.
        max_shift: largest shift, as a share of the side.
        grey_prob: probability that colour is lost.
        max_brightness: largest change of brightness, as a share of the range.
        max_gamma: largest change of the logarithm of gamma.
        max_contrast: largest relative change of contrast.
        max_saturation: largest relative change of saturation.
        max_channel_shift: largest change of one channel, as a share of the range.
        side_light_prob: probability of light from one side.
        blur_prob: probability of a Gaussian blur.
        max_blur_px: its largest standard deviation.
        downscale_prob: probability that the picture is made smaller and enlarged again.
        max_downscale: largest factor of that, per side.
        jpeg_prob: probability of JPEG artefacts.
        max_jpeg_factor: largest factor on the quantisation steps of quality 50.
        noise_prob: probability of sensor noise.
        max_noise_std: its largest standard deviation, as a share of the range.
    """

    flip_prob: float = 0.5
    max_rotation_degrees: float = 8.0
    max_scale: float = 0.1
    max_shift: float = 0.04
    grey_prob: float = 0.4
    max_brightness: float = 0.15
    max_gamma: float = 0.4
    max_contrast: float = 0.3
    max_saturation: float = 0.5
    max_channel_shift: float = 0.05
    side_light_prob: float = 0.2
    blur_prob: float = 0.3
    max_blur_px: float = 1.8
    downscale_prob: float = 0.3
    max_downscale: float = 3.5
    jpeg_prob: float = 0.3
    max_jpeg_factor: float = 2.5
    noise_prob: float = 0.4
    max_noise_std: float = 0.05


def augment(crops: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """(B, 3, S, S) -> crops changed at random: first their geometry, then the light, then the camera."""

    def sometimes(crops: Tensor, probability: float, change: Callable[[Tensor], Tensor]) -> Tensor:
        return _apply_to_some(crops, probability, generator, change)

    crops = move(crops, config, generator)
    crops = relight(crops, config, generator)
    crops = sometimes(crops, config.grey_prob, to_grey)
    crops = sometimes(crops, config.blur_prob, lambda some: _blur(some, config.max_blur_px, generator))
    crops = sometimes(crops, config.downscale_prob, lambda some: _downscale(some, config.max_downscale, generator))
    crops = sometimes(crops, config.noise_prob, lambda some: _add_noise(some, config.max_noise_std, generator))
    crops = sometimes(crops, config.jpeg_prob, lambda some: _compress(some, config.max_jpeg_factor, generator))
    return crops.clamp(-1, 1)


def move(crops: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Flips, rotates, scales and shifts each picture of (B, C, S, S); the border is replicated."""
    num = len(crops)
    angle = _uniform(num, math.radians(config.max_rotation_degrees), generator)
    size = 1 + _uniform(num, config.max_scale, generator)
    side = 1 - 2 * (torch.rand(num, generator=generator) < config.flip_prob).float()
    shift_x, shift_y = (2 * _uniform(num, config.max_shift, generator) for _ in range(2))
    rows = (
        torch.stack([side * size * angle.cos(), -size * angle.sin(), shift_x], 1),
        torch.stack([side * size * angle.sin(), size * angle.cos(), shift_y], 1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), list(crops.shape), align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def relight(crops: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Changes saturation, contrast, brightness, colour and gamma, and lights some pictures from one side."""
    num = len(crops)

    def draw(largest: float, channels: int = 1) -> Tensor:
        return _uniform(num * channels, largest, generator).view(num, channels, 1, 1)

    grey = to_grey(crops)
    crops = grey + (crops - grey) * (1 + draw(config.max_saturation))
    mean = crops.mean((1, 2, 3), keepdim=True)
    crops = mean + (crops - mean) * (1 + draw(config.max_contrast))
    crops = crops + 2 * draw(config.max_brightness) + 2 * draw(config.max_channel_shift, 3)
    crops = 2 * ((crops + 1) / 2).clamp(1e-3, 1).pow(draw(config.max_gamma).exp()) - 1
    return _apply_to_some(crops, config.side_light_prob, generator, lambda some: _light_one_side(some, generator))


def to_grey(crops: Tensor) -> Tensor:
    """(B, 3, S, S) -> the luma in all three channels."""
    return (crops * crops.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True).expand_as(crops)


def _uniform(num: int, largest: float, generator: Generator) -> Tensor:
    """(num,) uniform in [-largest, largest]."""
    return (2 * torch.rand(num, generator=generator) - 1) * largest


def _apply_to_some(
    crops: Tensor, probability: float, generator: Generator, change: Callable[[Tensor], Tensor]
) -> Tensor:
    rows = torch.nonzero(torch.rand(len(crops), generator=generator) < probability)[:, 0]
    return crops.index_copy(0, rows, change(crops[rows])) if len(rows) else crops


def _light_one_side(crops: Tensor, generator: Generator) -> Tensor:
    num, _, height, width = crops.shape
    direction = 2 * math.pi * torch.rand(num, 1, 1, generator=generator)
    x, y = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)[:, None]
    slope = 0.7 * torch.rand(num, 1, 1, generator=generator)
    light = 1 + slope * (direction.cos() * x + direction.sin() * y)
    return (crops + 1) * light[:, None].clamp(min=0.2) - 1


def _blur(crops: Tensor, largest_px: float, generator: Generator) -> Tensor:
    num, _, height, width = crops.shape
    radius = math.ceil(2.5 * largest_px)
    sigma = 0.3 + (largest_px - 0.3) * torch.rand(num, 1, generator=generator)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None, None]
    planes = F.pad(crops, (radius,) * 4, mode="reflect").reshape(1, num * 3, height + 2 * radius, width + 2 * radius)
    planes = F.conv2d(F.conv2d(planes, kernel, groups=num * 3), kernel.transpose(2, 3), groups=num * 3)
    return planes.view(num, 3, height, width)


def _downscale(crops: Tensor, max_factor: float, generator: Generator) -> Tensor:
    return torch.cat(
        [_downscale_one(crop[None], max_factor ** torch.rand(1, generator=generator).item()) for crop in crops]
    )


def _downscale_one(crop: Tensor, factor: float) -> Tensor:
    height, width = crop.shape[-2:]
    size = (max(8, round(height / factor)), max(8, round(width / factor)))
    small = F.interpolate(crop, size, mode="bilinear", antialias=True)
    return F.interpolate(small, (height, width), mode="bilinear", align_corners=False)


def _add_noise(crops: Tensor, largest_std: float, generator: Generator) -> Tensor:
    std = 2 * largest_std * torch.rand(len(crops), 1, 1, 1, generator=generator)
    return crops + std * torch.randn(crops.shape, generator=generator)


def _compress(crops: Tensor, max_factor: float, generator: Generator) -> Tensor:
    basis = _cosine_basis()
    steps = (
        _JPEG_LUMINANCE
        * (0.2 + (max_factor - 0.2) * torch.rand(len(crops), 1, 1, 1, 1, 1, generator=generator))
        / 127.5
    )
    blocks = rearrange(crops, "b c (h y) (w x) -> b c h w y x", y=8, x=8)
    waves = basis @ blocks @ basis.T
    blocks = basis.T @ ((waves / steps).round() * steps) @ basis
    return rearrange(blocks, "b c h w y x -> b c (h y) (w x)")


def _cosine_basis() -> Tensor:
    """(8, 8) the orthonormal cosine transform of JPEG."""
    position, frequency = torch.arange(8), torch.arange(8)[:, None]
    basis = 0.5 * torch.cos((2 * position + 1) * frequency * math.pi / 16)
    basis[0] /= math.sqrt(2)
    return basis
