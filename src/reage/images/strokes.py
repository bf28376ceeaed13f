"""Filters that draw: dodge, contours, stroke directions, strokes along them, and paper.

Convention: planes float32 (H, W); light in [0, 1], 1 is white; directions (H, W, 2) unit vectors (x, y).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.types import Plane

_DOG_RATIO = 1.6
"""Ratio of the two blurs of a difference of Gaussians, which makes it about a Laplacian."""


def dodge(light: Plane, sigma_px: float) -> Plane:
    """Light divided by the light around it, at most 1: flat parts become paper, dark details stay."""
    return np.minimum(light / np.maximum(cv2.GaussianBlur(light, (0, 0), sigma_px), 1e-3), 1).astype(np.float32)


def draw_contours(light: Plane, sigma_px: float, *, sharpness: float, threshold: float, slope: float) -> Plane:
    """Dark contours on white, in [0, 1]: the extended difference of Gaussians (XDoG; Winnemoeller et al., 2012).

    Args:
        light: (H, W).
        sigma_px: about half the width of a line.
        sharpness: p, how much of the difference is added to the blurred light.
        threshold: light above it is white.
        slope: how steeply darker light turns black.
    """
    fine = cv2.GaussianBlur(light, (0, 0), sigma_px)
    coarse = cv2.GaussianBlur(light, (0, 0), sigma_px * _DOG_RATIO)
    sharpened = (1 + sharpness) * fine - sharpness * coarse
    return (
        np.where(sharpened >= threshold, 1, 1 + np.tanh(slope * (sharpened - threshold))).clip(0, 1).astype(np.float32)
    )


def find_directions(light: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """Along which the light changes least, from the structure tensor, and how clear that is.

    Args:
        light: (H, W).
        sigma_px: of the blur of the tensor.

    Returns:
        Directions (H, W, 2), and their coherence (H, W) from 0 (none) to 1 (parallel lines).
    """
    x, y = (cv2.Sobel(light, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    xx, xy, yy = (cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane in (x * x, x * y, y * y))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    spread = np.hypot(xx - yy, 2 * xy)
    coherence = spread / np.maximum(xx + yy, 1e-6)
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32), coherence.astype(np.float32)


def draw_strokes(noise: Plane, directions: Plane, length_px: int) -> Plane:
    """Noise smeared along directions: line integral convolution (Cabral and Leedom, 1993), mean 0, deviation 1.

    Args:
        noise: (H, W).
        directions: (H, W, 2); their signs do not matter.
        length_px: of a stroke.
    """
    height, width = noise.shape
    start = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)
    total = noise.copy()
    for sign in (1, -1):
        places, step = start, sign * directions
        for _ in range(length_px // 2):
            places = places + step
            total += _look_up(noise, places)
            following = _look_up(directions, places, nearest=True)
            step = following * np.sign((following * step).sum(-1, keepdims=True) + 1e-6)
    return ((total - total.mean()) / max(float(total.std()), 1e-6)).astype(np.float32)


def _look_up(values: Plane, places: Plane, *, nearest: bool = False) -> Plane:
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.remap(values, places[..., 0], places[..., 1], method, borderMode=cv2.BORDER_REFLECT_101)


def make_paper(height_px: int, width_px: int, generator: np.random.Generator) -> Plane:
    """The texture of paper (H, W), mean 0 and deviation 1."""
    noise = generator.standard_normal((height_px, width_px)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 0.7) - cv2.GaussianBlur(noise, (0, 0), 2.0)
    return texture / max(float(texture.std()), 1e-6)


def smooth_keeping_edges(light: Plane, radius_px: int, contrast: float) -> Plane:
    """Light (H, W) smoothed where it changes by less than `contrast`: the guided filter of He et al. (2010)."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)
    mean = cv2.blur(light, size, borderType=cv2.BORDER_REFLECT_101)
    variance = cv2.blur(light * light, size, borderType=cv2.BORDER_REFLECT_101) - mean * mean
    slope = variance / (variance + contrast**2)
    offset = mean * (1 - slope)
    slope, offset = (cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT_101) for plane in (slope, offset))
    return (slope * light + offset).astype(np.float32)


def match_levels(light: Plane, where: NDArray[np.bool_], low: float, high: float) -> Plane:
    """Light stretched so that its 5 % and 95 % quantiles where a mask is set become `low` and `high`."""
    if not where.any():
        return light
    dark, bright = np.quantile(light[where], [0.05, 0.95])
    return (low + (light - dark) * ((high - low) / max(float(bright - dark), 0.08))).astype(np.float32)
