"""The losses of the face generator, one function each, and their weights.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; hidden (B, 1, S, S) in [0, 1]; every loss is a scalar, before its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; a weight of 0 leaves it out.

    Args:
        hidden: see `hidden_loss`.
        visible: see `visible_loss`.
        perceptual: see `perceptual_loss`.
        identity: see `identity_loss`.
        adversarial: see `adversarial_generator_loss`.
        r1: of `r1_penalty`, in the critic's loss.
    """

    hidden: float = 4.0
    visible: float = 0.5
    perceptual: float = 1.0
    identity: float = 0.5
    adversarial: float = 0.05
    r1: float = 1.0


def hidden_loss(drawn: Tensor, truth: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute difference over hidden pixels: a net that is judged everywhere learns to copy what is right."""
    return _masked_mean((drawn - truth).abs(), hidden)


def visible_loss(drawn: Tensor, given: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute difference from the given picture where it is known."""
    return _masked_mean((drawn - given).abs(), 1 - hidden)


def compose(drawn: Tensor, truth: Tensor, hidden: Tensor) -> Tensor:
    """The true picture with its hidden pixels drawn, as a photo gets them."""
    return truth + hidden * (drawn - truth)


def perceptual_loss(composed: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of feature maps (B, C, h, w), over their own spread (Johnson et al., 2016)."""
    scaled = [(a - b).abs().mean() / b.std().clamp(min=1e-3) for a, b in zip(composed, truth, strict=True)]
    return torch.stack(scaled).mean()


def identity_loss(composed: Tensor, truth: Tensor) -> Tensor:
    """1 - cosine of identity embeddings (B, D)."""
    return (1 - F.cosine_similarity(composed, truth, dim=1)).mean()


def adversarial_generator_loss(realism: Tensor, hidden: Tensor) -> Tensor:
    """softplus(-realism) over patches (B, 1, s, s), each weighted by its share of hidden pixels."""
    return _masked_mean(F.softplus(-realism), to_patches(hidden, realism))


def adversarial_critic_loss(fake: Tensor, real: Tensor, hidden: Tensor) -> Tensor:
    """softplus(fake) + softplus(-real) over the same patches (Goodfellow et al., 2014; non-saturating)."""
    weights = to_patches(hidden, fake)
    return _masked_mean(F.softplus(fake), weights) + _masked_mean(F.softplus(-real), weights)


def r1_penalty(realism: Tensor, pictures: Tensor) -> Tensor:
    """Half the squared gradient of the realism of real pictures, which require gradients (Mescheder et al., 2018)."""
    (gradient,) = torch.autograd.grad(realism.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


def to_patches(hidden: Tensor, realism: Tensor) -> Tensor:
    """(B, 1, S, S) -> (B, 1, s, s) share of hidden pixels in each patch that was scored."""
    height, width = realism.shape[-2:]
    return F.adaptive_avg_pool2d(hidden, (height, width))


def _masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1)
