"""The losses of AgeTransGAN, one function each, and their weights.

Adversarial, class, R1, pixel, cycle, triplet, identity and path-length losses are those of "AgeTransGAN for Facial Age
Transformation with Rectified Performance Metrics" (Hsu et al., ECCV 2022) with the published weights; L_MI is that of
"Simultaneous Facial Age Transformation and Reenactment". Those that compare with a teacher's pictures, also by
`reage.training.amgan.losses`, and with an age estimator are ours.

Convention:
    x source picture, c its label, c' target label, x' = G(x, c'), x'' = G(x', c). Pictures (B, 3, S, S) in [-1, 1];
    labels (B, G) with rows that add up to 1; scores (B,); every loss is a scalar, before its weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.training.amgan.losses import high_pass, reconstruction_loss

TRIPLET_MARGIN = 0.5
R1_STEPS, PATH_LENGTH_STEPS = 16, 4
"""One step in so many, drawn at random, has the R1 penalty or the path-length penalty, times that number."""
PATH_LENGTH_DECAY = 0.01
"""Share of the newest path length in their running mean."""
YEARS_PER_UNIT = 6.0
"""Unit of `age_loss`."""
GUIDED_YEARS = (18.0, 76.0)
"""Targets of `age_loss`; the last is what estimators read of people of 80 years."""
DETAIL_LEVELS = 3
"""Sizes of which `multiscale_detail_loss` compares the detail: all of the picture, its half, its quarter."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; a weight of 0 leaves it out.

    Args:
        reconstruction: see `reage.training.amgan.losses.reconstruction_loss`, of the teacher's picture.
        squared: see `pixel_loss`, of the teacher's picture; a net that is still unsure then moves half the way, where
            a mean absolute difference makes it stay.
        chroma: see `reage.training.amgan.losses.chroma_loss`, of the teacher's picture.
        low_frequency: see `reage.training.amgan.losses.low_frequency_loss`, of the teacher's picture.
        detail: see `multiscale_detail_loss`, of the teacher's picture.
        perceptual: see `reage.training.amgan.losses.perceptual_loss`, of the teacher's picture.
        age: see `age_loss`, of x'.
        adversarial: see `adversarial_generator_loss`, of x' and x''; of the discriminator
            `adversarial_discriminator_loss`.
        age_class: L_a, see `class_loss`, of x' and x''.
        pixel: L_px, see `pixel_loss`.
        cycle: L_cyc, see `cycle_loss`.
        triplet: L_t, see `triplet_loss`.
        identity: L_id, see `identity_loss`.
        path_length: see `path_length_loss`.
        mutual_identity: L_MI, see `mutual_identity_loss`.
        r1: see `r1_loss`, in the discriminator's loss.
        discriminator_class: see `class_loss` of x and c, in the discriminator's loss.
    """

    reconstruction: float = 0.0
    squared: float = 0.0
    chroma: float = 0.0
    low_frequency: float = 0.0
    detail: float = 0.0
    perceptual: float = 0.0
    age: float = 0.0
    adversarial: float = 0.0
    age_class: float = 0.0
    pixel: float = 0.0
    cycle: float = 0.0
    triplet: float = 0.0
    identity: float = 0.0
    path_length: float = 0.0
    mutual_identity: float = 0.0
    r1: float = 10.0
    discriminator_class: float = 1.0


def teaching_weights() -> LossWeights:
    """The weights of the first stage."""
    return LossWeights(
        reconstruction=5.0, squared=25.0, chroma=25.0, low_frequency=15.0, detail=10.0, perceptual=0.5, age=0.5
    )


def published_weights() -> LossWeights:
    """The weights of the paper; the path length is off, as in the script that names them."""
    return LossWeights(adversarial=1.0, age_class=1.0, pixel=10.0, cycle=10.0, triplet=0.1, identity=1.0)


# Distance to the teacher


def multiscale_detail_loss(aged: Tensor, teacher: Tensor) -> Tensor:
    """Sum over `DETAIL_LEVELS` sizes, each half the last, of mean |h(aged) - h(teacher)| / 2 for the high-pass h."""
    total = aged.new_zeros(())
    for level in range(DETAIL_LEVELS):
        if level:
            aged, teacher = F.avg_pool2d(aged, 2), F.avg_pool2d(teacher, 2)
        total = total + reconstruction_loss(high_pass(aged), high_pass(teacher))
    return total


# Distance to the target


def age_loss(estimated_years: Tensor, target_years: Tensor) -> Tensor:
    """Smooth L1 of estimated ages (B,) to the target ages, in units of `YEARS_PER_UNIT`.

    The classifier of `class_loss` learns from the few photos of each group at the same time; a trained estimator guides
    from the first step on. Targets below `GUIDED_YEARS` count as 0: for the estimator, coloured spots make an adult a
    child, long before the shape of the head does. Targets above count as the last of them.
    """
    youngest, oldest = GUIDED_YEARS
    distance = F.smooth_l1_loss(
        estimated_years / YEARS_PER_UNIT, target_years.clamp(max=oldest) / YEARS_PER_UNIT, reduction="none"
    )
    return (distance * (target_years >= youngest)).mean()


# Losses of the discriminator's heads


def adversarial_discriminator_loss(real: Tensor, aged: Tensor) -> Tensor:
    """Non-saturating loss: mean softplus(-D(x, c)) + mean softplus(D(x', c')); the same with x'' and c."""
    return F.softplus(-real).mean() + F.softplus(aged).mean()


def adversarial_generator_loss(aged: Tensor) -> Tensor:
    """Non-saturating loss: mean softplus(-D(x', c')); the same with x'' and c."""
    return F.softplus(-aged).mean()


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the classifier's logits (B, G) to labels, which may lie between two groups."""
    return F.cross_entropy(logits, labels)


def r1_loss(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the squared gradient at real pictures, mean ||grad D(x, c)||^2 / 2 (Mescheder et al., ICML 2018).

    Args:
        score: pictures -> scores of them with their labels.
        real: pictures.
    """
    real = real.detach().requires_grad_(True)
    (gradients,) = torch.autograd.grad(score(real).sum(), real, create_graph=True)
    return gradients.square().sum((1, 2, 3)).mean() / 2


# Losses of pictures and features


def pixel_loss(aged: Tensor, source: Tensor) -> Tensor:
    """L_px: mean squared difference of x' and x."""
    return F.mse_loss(aged, source)


def cycle_loss(restored: Tensor, source: Tensor) -> Tensor:
    """L_cyc: mean |x'' - x|."""
    return F.l1_loss(restored, source)


def triplet_loss(source: Tensor, aged: Tensor, restored: Tensor, margin: float = TRIPLET_MARGIN) -> Tensor:
    """L_t: mean max(0, margin + d(f(x), f(x'')) - d(f(x), f(x'))) of content maps f, (B, C, H, W) each.

    d is the root mean square difference, so that the margin does not depend on the size of the maps.
    """
    there, back = (((other - source).square().mean((1, 2, 3)) + 1e-8).sqrt() for other in (aged, restored))
    return F.relu(margin + back - there).mean()


def identity_loss(source: Tensor, aged: Tensor) -> Tensor:
    """L_id: mean squared difference of the face recognition features (B, D) of x and x'."""
    return F.mse_loss(aged, source)


def mutual_identity_loss(source: Tensor, aged: Tensor) -> Tensor:
    """L_MI = mean (1 - cos(E(x), E(x'))) of age-invariant embeddings (B, D)."""
    return (1 - F.cosine_similarity(source, aged)).mean()


def path_length_loss(
    pictures: Tensor, style: Tensor, mean_length: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """StyleGAN2's path-length penalty, mean (|J^T y| - a)^2 for random y, and the new running mean a of the lengths.

    Args:
        pictures: drawn from the styles, with gradients.
        style: (B, D) that they were drawn from.
        mean_length: running mean a, a scalar.
        generator: draws y.
    """
    noise = torch.randn(pictures.shape, generator=generator).to(pictures.device)
    noise = noise / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (gradients,) = torch.autograd.grad((pictures * noise).sum(), style, create_graph=True)
    lengths = (gradients.square().sum(1) + 1e-8).sqrt()
    mean = mean_length.lerp(lengths.detach().mean(), PATH_LENGTH_DECAY)
    return (lengths - mean).square().mean(), mean
