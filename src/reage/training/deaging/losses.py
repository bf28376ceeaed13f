"""The losses of the de-aging net, one function each, and their weights.

Convention: pictures (B, 3, P, P) in [-1, 1]; masks (1, 1, P, P); every loss is a scalar, before its weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from reage.training.amgan.losses import high_pass


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; a weight of 0 leaves it out. Published is the first alone.

    Args:
        reconstruction: see `masked_loss`.
        squared: see `masked_loss`; a net in doubt then moves half the way, where the plain one makes it stay.
        detail: see `detail_loss`.
        identity: see `identity_loss`.
        adversarial: see `reage.training.sketch.losses.adversarial_generator_loss`; real are photos of that age.
    """

    reconstruction: float = 1.0
    squared: float = 0.0
    detail: float = 0.0
    identity: float = 0.0
    adversarial: float = 0.0


def masked_loss(made: Tensor, target: Tensor, mask: Tensor, power: int = 1) -> Tensor:
    """Mean absolute difference under the mask, or a power of it."""
    return ((made - target).abs() ** power * mask).mean() / mask.mean()


def detail_loss(made: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`masked_loss` of the detail, see `reage.training.amgan.losses.high_pass`: lines, which are small in a picture."""
    return masked_loss(high_pass(made), high_pass(target), mask)


def identity_loss(made: Tensor, source: Tensor) -> Tensor:
    """Mean 1 - cos of the embeddings (B, D) of what was made and of its source."""
    return (1 - F.cosine_similarity(made.float(), source.float())).mean()
