"""The losses of pix2pix, one function each, and their weights.

Convention: pictures (B, C, S, S) in [-1, 1]; logits (B, 1, s, s); every loss is a scalar, before its weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; those of Isola et al. (2017) by default.

    Args:
        adversarial: see `adversarial_generator_loss`.
        l1: see `l1_loss`.
    """

    adversarial: float = 1.0
    l1: float = 100.0


def l1_loss(drawn: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference; levels of 2 are the full range."""
    return (drawn - truth).abs().mean()


def adversarial_generator_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of taking drawn patches for true ones."""
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def adversarial_discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Half the binary cross-entropy of telling true patches from drawn ones."""
    found = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return 0.5 * (found + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
