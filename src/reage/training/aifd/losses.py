"""The losses of the age-invariant identity encoder, one function each, and their weights.

Those of MTLFace (arXiv 2103.01520) are CosFace, the age losses and the gradient reversal; `distillation_loss` is added
here, because a few thousand people are too few to learn identities from nothing.

Convention:
    B faces, K people, embeddings (B, D) compared by their cosine, ages in years; every loss is a scalar, the mean over
    the batch, before its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.nets.aifd import age_group, expected_age

COSFACE_SCALE, COSFACE_MARGIN = 64.0, 0.35
"""s and m of CosFace, as MTLFace has them."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; a weight of 0 leaves it out.

    Args:
        identity: see `cosface_loss`.
        age: see `age_loss`, of X_age.
        reversed_age: see `age_loss`, of X_id after `reverse_gradient`.
        distillation: see `distillation_loss`.
    """

    identity: float = 1.0
    age: float = 0.001
    reversed_age: float = 0.002
    distillation: float = 10.0


def cosface_loss(
    embeddings: Tensor,
    centres: Tensor,
    person: Tensor,
    scale: float = COSFACE_SCALE,
    margin: float = COSFACE_MARGIN,
) -> Tensor:
    """CosFace (Wang et al., CVPR 2018): the cosine to the own person's centre must win by a margin.

    -log softmax_k(s (cos(e, w_k) - m [k = y]))_y for the embedding e, the centres w_k and the person y.

    Args:
        embeddings: (B, D).
        centres: (K, D), learned.
        person: (B,) numbers of the people, 0 to K - 1.
        scale: s.
        margin: m.
    """
    cosines = F.normalize(embeddings.float()) @ F.normalize(centres.float()).T
    return F.cross_entropy(scale * (cosines - margin * F.one_hot(person, len(centres))), person)


def age_loss(year_logits: Tensor, group_logits: Tensor, age_years: Tensor) -> Tensor:
    """Age as a number and as a group: (E[age] - age)^2 + CE(groups, group of the age), E[age] = sum_k k p_k.

    Args:
        year_logits: (B, 101), one for each year from 0.
        group_logits: (B, 7), see `reage.nets.aifd.GROUP_LIMITS_YEARS`.
        age_years: (B,).
    """
    error = F.mse_loss(expected_age(year_logits), age_years)
    return error + F.cross_entropy(group_logits.float(), age_group(age_years))


def reverse_gradient(x: Tensor, factor: float = 1.0) -> Tensor:
    """The same values; gradients come back times -factor (Ganin and Lempitsky, ICML 2015).

    What follows learns to find something in x, what precedes learns to hide it.
    """
    reversed_x: Tensor = _ReverseGradient.apply(x, factor)
    return reversed_x


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradient, None


def distillation_loss(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cos(e, t): every picture of a photo, aged or not, keeps the teacher's embedding t of the photo.

    Args:
        embeddings: (B, D).
        teacher: (B, D), constant.
    """
    return (1 - F.cosine_similarity(embeddings.float(), teacher)).mean()
