"""Losses of a latent diffusion base (Rombach et al., CVPR 2022, arXiv 2112.10752).

Convention:
    images (B, 3, P, P) in [-1, 1]; noise (B, c, h, w); every loss is a scalar tensor, 0 or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

_DETAIL_PX = 4


def noise_prediction_loss(noise_pred: Tensor, noise: Tensor) -> Tensor:
    """`mean (ε - ε_θ(z_t, t, prompt))²`, the mean squared error of the predicted noise."""
    return F.mse_loss(noise_pred, noise)


def reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """`mean |D(z) - x|`, the mean absolute error of decoded images."""
    return (decoded - images).abs().mean()


def detail_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """`mean |h(D(z)) - h(x)|`, where h keeps what is finer than 4 px: without it wrinkles are smoothed away."""
    return (_detail(decoded) - _detail(images)).abs().mean()


def kl_loss(latent_dist: DiagonalGaussianDistribution) -> Tensor:
    """`mean KL(q(z | x) || N(0, 1))`, summed over the values of an image's latents."""
    kl: Tensor = latent_dist.kl().mean()
    return kl


def _detail(x: Tensor) -> Tensor:
    """Images less their means over squares of 4 px, enlarged again."""
    coarse = F.avg_pool2d(x, _DETAIL_PX)
    return x - F.interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)
