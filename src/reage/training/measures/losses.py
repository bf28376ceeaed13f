"""Losses of the nets that measure a face: its age and sex, its segmentation, its identity.

Convention:
    B samples; every loss is a scalar, the mean over the batch (over pixels for the segmentation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.training.dreambooth.losses import in_batch_cross_entropy

SMOOTH_YEARS = 6.0
"""Error of the expected age up to which its loss is quadratic."""
UNLABELLED = -1
"""Label of pixels that the segmentation loss ignores."""


def label_distribution_loss(logits: Tensor, age_years: Tensor, std_years: Tensor | float) -> Tensor:
    """Cross-entropy to a Gaussian around the true age, so that a sample also teaches the ages near its own.

    -sum_k q_k log softmax(logits)_k with q_k proportional to exp(-(k - age)^2 / (2 std^2)), after Gao et al. (2017),
    "Deep Label Distribution Learning with Label Ambiguity".

    Args:
        logits: (B, K), one for each age from 0 to K - 1 years.
        age_years: (B,) true ages.
        std_years: standard deviation of the Gaussian, one number or (B,).
    """
    ages = torch.arange(logits.shape[1], dtype=torch.float32, device=logits.device)
    stds = torch.as_tensor(std_years, dtype=torch.float32, device=logits.device).reshape(-1, 1)
    target = (-0.5 * ((ages - age_years[:, None]) / stds) ** 2).softmax(1)
    return F.cross_entropy(logits, target)


def expected_age_loss(expected_years: Tensor, age_years: Tensor) -> Tensor:
    """Smooth L1 between expected and true ages (B,) in units of `SMOOTH_YEARS`: e^2 / 2 for e < 1, else e - 1/2."""
    return F.smooth_l1_loss(expected_years / SMOOTH_YEARS, age_years / SMOOTH_YEARS)


def sex_loss(logits: Tensor, is_man: Tensor) -> Tensor:
    """Binary cross-entropy of the logits of masculinity (B,) against `is_man` (B,), 1 for men and 0 for women.

    Where `is_man` is NaN, nobody knows; these do not count.
    """
    known = ~is_man.isnan()
    losses = F.binary_cross_entropy_with_logits(logits, is_man.nan_to_num(), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def segmentation_loss(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy per pixel of logits (B, C, S, S) against labels (B, S, S); `UNLABELLED` pixels are ignored.

    Each class counts by its weight (C,), or all alike.
    """
    return F.cross_entropy(logits, labels, class_weights, ignore_index=UNLABELLED)


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 less the mean Dice coefficient of the classes in the batch (V-Net, arXiv 1606.04797), which small ones need.

    Args:
        logits: (B, C, S, S).
        labels: (B, S, S); `UNLABELLED` pixels are ignored.
    """
    num_classes, known = logits.shape[1], labels != UNLABELLED
    shares = logits.float().softmax(1)
    classes, right = labels.clamp(min=0), known.float()
    together = (shares * right[:, None]).sum((0, 2, 3)) + torch.bincount(classes[known], minlength=num_classes)
    hit = shares.gather(1, classes[:, None])[:, 0] * right
    common = torch.zeros(num_classes, device=logits.device).index_add(0, classes.flatten(), hit.flatten())
    present = torch.bincount(classes[known], minlength=num_classes) > 0
    dice = 2 * common / together.clamp(min=1e-6)
    return 1 - (dice * present).sum() / present.sum().clamp(min=1)


def two_view_contrastive_loss(identities: Tensor, temperature: float) -> Tensor:
    """In-batch contrastive loss: each view has to find the other view of its person among all views of the batch.

    -log (exp(-d_ip / T) / sum_{k != i} exp(-d_ik / T)) with squared distances d and p the other view of i; NT-Xent
    (arXiv 2002.05709) with distances, because dlib's embeddings are not normalised.

    Args:
        identities: (2 B, D), one view of each of B people, then the other views in the same order.
        temperature: T, of the squared distances.
    """
    distances = torch.cdist(identities, identities, compute_mode="donot_use_mm_for_euclid_dist").square()
    return in_batch_cross_entropy(-distances / temperature)


def anchor_loss(identities: Tensor, anchors: Tensor, are_anchored: Tensor) -> Tensor:
    """Squared distance |identity - anchor|^2 from the embeddings before fine-tuning, where anchored; the mean over B.

    It keeps the distances in their range, so that a threshold still holds.

    Args:
        identities: (B, D).
        anchors: (B, D) embeddings before fine-tuning.
        are_anchored: (B,) 1, or True, for the samples that count.
    """
    distances = (identities - anchors).square().sum(1)
    return (distances * are_anchored).mean()
