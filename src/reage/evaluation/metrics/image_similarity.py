"""How far two pictures of one size are from each other, in all or some of their pixels.

These metrics suit what should stay, such as the background, and reconstructions. They say nothing about aged skin,
where change is wanted.

Convention:
    pictures RGB uint8 (H, W, 3) or grey uint8 (H, W); masks bool (H, W), None for the whole picture. Differences are
    shares of the full range, in [0, 1]. A result is NaN where the mask is empty.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reage.errors import ReageError
from reage.images import geometry, regions
from reage.types import Pixels, Plane

Mask = NDArray[np.bool_]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5


def mean_absolute_difference(before: Pixels, after: Pixels, where: Mask | None = None) -> float:
    """L1: mean of |after - before|, in [0, 1]."""
    differences = _differences(before, after, where)
    return float(np.abs(differences).mean()) if differences.size else math.nan


def peak_signal_to_noise_ratio(before: Pixels, after: Pixels, where: Mask | None = None) -> float:
    """PSNR in decibels: 10 log10(1 / mean squared difference); infinite for equal pixels. Average it over pictures."""
    differences = _differences(before, after, where)
    if not differences.size:
        return math.nan
    squared = float((differences**2).mean())
    return -10 * math.log10(squared) if squared else math.inf


def changed_share(before: Pixels, after: Pixels, where: Mask, more_than: int = 4) -> float:
    """Share of the pixels of a mask (H, W) of which any channel changed by more than `more_than` of 255."""
    if not where.any():
        return 0.0
    change = np.abs(before.astype(int) - after.astype(int)).max(-1)
    return float((change[where] > more_than).mean())


def background_share_of_change(before: Pixels, after: Pixels, background: Mask) -> float:
    """Share in [0, 1] of all change that lies in the background (H, W); 0 where nothing changed anywhere."""
    change = np.abs(_differences(before, after, None)).reshape(*background.shape, -1).sum(-1)
    total = change.sum()
    return float(change[background].sum() / total) if total else 0.0


def structural_similarity(before: Pixels, after: Pixels) -> float:
    """SSIM of the luminance of two pictures, at most 1, which is for equal pictures.

    Gaussian window of 11 px, sigma 1.5 px, K1 0.01, K2 0.03, averaged over the whole windows (Wang et al., 2004).

    Raises:
        ReageError: when a side is shorter than the window, or torchmetrics is missing.
    """
    import torch

    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise ReageError("SSIM needs torchmetrics; install it with: pip install 'reage[train]'.") from error
    assert before.shape == after.shape, (before.shape, after.shape)
    height, width = before.shape[:2]
    if min(height, width) < SSIM_WINDOW_PX:
        raise ReageError(f"The pictures are {width} x {height} px; SSIM needs at least {SSIM_WINDOW_PX} px a side.")
    if np.array_equal(before, after):
        return 1.0
    first, second = (torch.from_numpy(_luminance(pixels))[None, None] for pixels in (before, after))
    _, everywhere = structural_similarity_index_measure(
        first, second, kernel_size=SSIM_WINDOW_PX, sigma=SSIM_SIGMA_PX, data_range=1.0, return_full_image=True
    )
    margin = SSIM_WINDOW_PX // 2  # torchmetrics itself would also count windows that reach beyond the border
    return float(everywhere[..., margin:-margin, margin:-margin].mean())


# Masks


def make_background(person: Plane, margin: float = 0.02) -> Mask:
    """(H, W) pixels farther than a margin from all that may change.

    Args:
        person: (H, W) in [0, 1] share of what may change: face and neck, and hair if the engine may change it.
        margin: in widths of the picture.
    """
    touched = (person > 0).astype(np.float32)
    margin_px = margin * person.shape[1]
    return (geometry.grow(touched, margin_px) if margin_px >= 0.5 else touched) == 0


def find_backdrop(crop: Pixels, max_person_share: float = 0.05) -> Mask | None:
    """(S, S) pixels that surely show a coloured backdrop, not head, hair or neck; None without such a backdrop.

    Args:
        crop: (S, S, 3).
        max_person_share: a pixel counts when less of it than this shows the person.
    """
    person: Plane | None = regions.key_backdrop(crop)
    return None if person is None else person < max_person_share


# Pixels


def _luminance(pixels: Pixels) -> NDArray[np.float32]:
    values = pixels.astype(np.float32) / np.float32(255)  # torch filters doubles twenty times as slowly
    return values if values.ndim == 2 else values @ np.array(LUMA, np.float32)


def _differences(before: Pixels, after: Pixels, where: Mask | None) -> NDArray[np.float64]:
    assert before.shape == after.shape, (before.shape, after.shape)
    assert where is None or where.shape == before.shape[:2], where.shape
    differences = (before.astype(np.float64) - after) / 255
    return differences if where is None else differences[where]
