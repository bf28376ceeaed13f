"""Losses that hold a denoiser to one person, beside the error of the noise it finds.

After "Identity-Preserving Aging of Face Images via Latent Diffusion Models" (IJCB 2023, arXiv 2307.08585) and its
extension (T-BIOM 2024). Contrastive and cosine compare the noise that was found with the true one, channel by channel,
as their published code does; biometric compares faces.

Convention:
    noise (B, c, h, w); identities (B, D) of any length; every loss is a number, 0 or more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.5


def cosine_loss(found: Tensor, noise: Tensor) -> Tensor:
    """1 less the cosine of the noise that was found and the true one, the mean over pictures and channels."""
    return 1 - F.cosine_similarity(found.flatten(2), noise.flatten(2), dim=2).mean()


def contrastive_loss(found: Tensor, noise: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (arXiv 2002.05709): each noise that was found is to be told from all but its own true one.

    All 2 B vectors of a channel are compared with each other; the mean over them and over channels. One picture alone
    has nothing to be told from: there the loss would be 0 whatever is found.
    """
    num, channels = found.shape[:2]
    assert num > 1, num
    vectors = F.normalize(torch.cat([found, noise]).flatten(2).transpose(0, 1), dim=2)
    alike = vectors @ vectors.transpose(1, 2) / temperature
    itself = torch.eye(2 * num, dtype=torch.bool, device=found.device)
    partner = torch.arange(2 * num, device=found.device).roll(num)
    return F.cross_entropy(alike.masked_fill(itself, float("-inf")).flatten(0, 1), partner.repeat(channels))


def biometric_loss(identities: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Absolute difference of identities brought to length 1, the sum over what they tell.

    Args:
        identities: of the pictures as they can be seen in the noise in one step, with gradients.
        wanted: of the person.
        weights: (B,) how clearly each can be seen, 0 to 1; the mean over pictures counts them so.
    """
    apart = (F.normalize(identities, dim=1) - F.normalize(wanted, dim=1)).abs().sum(1)
    return (weights * apart).mean()
