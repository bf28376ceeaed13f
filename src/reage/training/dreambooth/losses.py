"""The losses of identity-preserving aging as pure functions.

From "Identity-Preserving Aging of Face Images via Latent Diffusion Models" (IJCB 2023, arXiv 2307.08585) and its
extension (T-BIOM 2024); DreamBooth is arXiv 2208.12242. The contrastive and the cosine loss compare the predicted noise
with the true noise, channel by channel, as the published code does; the biometric loss compares faces.

Convention:
    noise and noise_pred (B, c, h, w); timesteps (B,) int64, 0 (clean) to 999 (noise); identities (B, D) of any length;
    every loss is a scalar, 0 or more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.5
"""Published temperature of the contrastive loss."""


def noise_mse(noise_pred: Tensor, noise: Tensor) -> Tensor:
    """The denoising loss on the photos of the person: mean of (ε̂ - ε)²."""
    return F.mse_loss(noise_pred, noise)


def prior_preservation_loss(noise_pred: Tensor, noise: Tensor) -> Tensor:
    """DreamBooth's prior preservation: mean of (ε̂ - ε)² on the class images, so that other faces are not forgotten."""
    return noise_mse(noise_pred, noise)


def cosine_loss(noise_pred: Tensor, noise: Tensor) -> Tensor:
    """The cosine distance 1 - cos(ε̂, ε), the mean over images and channels."""
    return 1 - F.cosine_similarity(noise_pred.flatten(2), noise.flatten(2), dim=2).mean()


def contrastive_loss(noise_pred: Tensor, noise: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (arXiv 2002.05709) between predicted and true noise, the mean over channels.

    In each channel the B predictions u and the B true noises v make 2 B vectors; the loss of a pair (i, j) = (u, v) is
    -log(exp(cos(i, j) / τ) / Σ exp(cos(i, k) / τ)), the sum over all k other than i. With one image there are no
    negatives and the loss would always be 0.
    """
    assert len(noise_pred) > 1, noise_pred.shape
    vectors = F.normalize(torch.cat([noise_pred, noise]).flatten(2).transpose(0, 1), dim=2)
    return in_batch_cross_entropy(vectors @ vectors.transpose(1, 2) / temperature)


def in_batch_cross_entropy(similarities: Tensor) -> Tensor:
    """Cross-entropy of picking the positive of each row among all other rows of the batch.

    Args:
        similarities: (..., 2 B, 2 B) between all rows, divided by the temperature; the positive of row i is row i + B,
            and the other way round. The diagonal is not counted.
    """
    num_rows = similarities.shape[-1]
    diagonal = torch.eye(num_rows, dtype=torch.bool, device=similarities.device)
    positive = torch.arange(num_rows, device=similarities.device).roll(num_rows // 2)
    return F.cross_entropy(
        similarities.masked_fill(diagonal, float("-inf")).reshape(-1, num_rows),
        positive.repeat(similarities[..., 0, 0].numel()),
    )


def biometric_loss(identities: Tensor, target_identities: Tensor, weights: Tensor) -> Tensor:
    """The distance Σ |e(x̂₀) - e(x₀)| of identities e of length 1, the weighted mean over images.

    Args:
        identities: of the predicted images x̂₀, with gradients.
        target_identities: of the photos x₀.
        weights: (B,) 0 to 1, see `biometric_weights`.
    """
    distances = (F.normalize(identities, dim=1) - F.normalize(target_identities, dim=1)).abs().sum(1)
    return (weights * distances).mean()


def biometric_weights(timesteps: Tensor, sqrt_alpha_bar: Tensor, max_step: int) -> Tensor:
    """The weights (B,) of the biometric loss: ᾱ up to a timestep, 0 above it, where x̂₀ shows no face.

    Args:
        timesteps: (B,).
        sqrt_alpha_bar: (B,) at those timesteps.
        max_step: last timestep that counts.
    """
    return torch.where(timesteps <= max_step, sqrt_alpha_bar**2, 0.0)
