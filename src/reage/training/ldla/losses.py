"""Losses of LDLA (arXiv 2507.21600) and ours on pairs.

The paper names L_zone, L_full, L_score and L_cycle and shows in its chart what each compares. The norms, the weights
and the loss on pairs are ours.

Convention:
    z_0 latents (B, c, h, w); z_t = √ᾱ_t z_0 + √(1 - ᾱ_t) ε; s scores (B,) in [0, 1]; ε_θ(z_t, t, P) the predicted noise
    under a prompt; z̃_0 = (z_t - √(1 - ᾱ_t) ε_θ(z_t, t, P_target)) / √ᾱ_t. Every loss is a scalar tensor, 0 or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from reage.training.diffusion.losses import noise_prediction_loss

_EPS = 1e-8
"""Added under the root, so that its gradient at 0 is finite."""


@dataclass(frozen=True, kw_only=True)
class LdlaLossWeights:
    """Weight of each loss of the denoiser; 0 leaves it out.

    Args:
        zone: of `noise_loss` under P_zone.
        full: of `noise_loss` under P_full.
        score: of `score_loss`.
        cycle: of `cycle_loss`.
        pair: of `pair_loss`.
    """

    zone: float = 1.0
    full: float = 1.0
    score: float = 0.2
    cycle: float = 0.1
    pair: float = 1.0


def noise_loss(noise_pred: Tensor, noise: Tensor) -> Tensor:
    """`L_zone = mean (ε - ε_θ(z_t, t, P_zone))²`, and `L_full`, the same under P_full with the same t and ε."""
    return noise_prediction_loss(noise_pred, noise)


def score_loss(scores: Tensor, target_scores: Tensor) -> Tensor:
    """`L_score = mean (ScoreNet(z̃_0) - s_target)²`; the parameters of the ScoreNet must get no gradient from it."""
    return F.mse_loss(scores, target_scores)


def cycle_loss(restored: Tensor, latents: Tensor) -> Tensor:
    """`L_cycle = mean |z̄_0 - z_0|`.

    z̄_0 is z̃_0 noised again, `z_t' = √ᾱ_t z̃_0 + √(1 - ᾱ_t) ε'`, and denoised in one step under P_full.
    """
    return (restored - latents).abs().mean()


def pair_loss(noise_pred: Tensor, paired_noise: Tensor, is_paired: Tensor | None = None) -> Tensor:
    """`mean_b m_b RMSE(ε_θ(z_t, t, P_target)_b, ε_b)`, the per-sample root mean squared error of the predicted noise.

    ε_b = (z_t - √ᾱ_t z_paired) / √(1 - ᾱ_t) is the noise that leads from z_t to the paired latents, those of the same
    zone at the target score. RMSE per sample, because MSE blurs: wrinkles are sparse and their places uncertain, so
    the mean that MSE prefers has none. In noise rather than latents, because errors of latents at low noise, where
    zones are edited, would weigh next to nothing.

    Args:
        noise_pred: (B, c, h, w).
        paired_noise: (B, c, h, w).
        is_paired: (B,) m_b, whether the target is the paired latents; None for all.
    """
    errors = sample_rmse(noise_pred, paired_noise)
    return errors.mean() if is_paired is None else (is_paired * errors).mean()


def sample_rmse(prediction: Tensor, target: Tensor) -> Tensor:
    """(B, c, h, w) twice -> (B,) root mean squared errors."""
    return (prediction - target).square().mean((1, 2, 3)).add(_EPS).sqrt()


def score_net_loss(scores: Tensor, true_scores: Tensor) -> Tensor:
    """`mean (ScoreNet(z_0) - s)²` on latents of pictures, never on those made for a target score."""
    return F.mse_loss(scores, true_scores)


def estimate_score_loss(scores: Tensor, true_scores: Tensor, is_clear: Tensor) -> Tensor:
    """`mean_b c_b (ScoreNet(ẑ_0)_b - s_b)²` on one-step estimates of z_0 under P_full, with which L_score is computed.

    Args:
        scores: (B,) of the estimates, which carry no gradient to the denoiser.
        true_scores: (B,) of the pictures.
        is_clear: (B,) c_b, whether the timestep is low enough for the estimate to show the zone.
    """
    return (is_clear * (scores - true_scores).square()).mean()
