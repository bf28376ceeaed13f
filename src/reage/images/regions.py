"""Colour spaces, colour keying, and the segmentation and cleaning of masks by colour and shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.types import Pixels, Plane

_MIN_CLUSTER = 8


def to_pixels(levels: NDArray[Any]) -> Pixels:
    """Levels of any numeric type, rounded and clipped to uint8."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def to_lab(pixels: Pixels) -> Plane:
    """RGB uint8 (H, W, 3) -> CIE L*a*b* (H, W, 3), L* from 0 to 100."""
    return cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def shift_hue(pixels: Pixels, degrees: float) -> Pixels:
    """RGB uint8 (H, W, 3) with every hue rotated on the colour circle."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int64) + round(degrees / 2)) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def to_light(pixels: Pixels) -> Plane:
    """RGB uint8 (H, W, 3) -> luma (H, W), 0 to 255."""
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def distance_px(mask: NDArray[np.bool_]) -> Plane:
    """Distance of each pixel of a mask (H, W) from the nearest pixel outside it; 0 outside."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)


def key_backdrop(crop: Pixels) -> Plane | None:
    """Share of the person in each pixel (S, S) in [0, 1]; None when the backdrop is not of one strong bluish colour."""
    lab = to_lab(crop)
    side = crop.shape[0]
    k = side // 16
    corners = (lab[:k, : 3 * k], lab[:k, -3 * k :], lab[: side // 2, : k // 2], lab[: side // 2, -(k // 2) :])
    border = np.concatenate([corner.reshape(-1, 3) for corner in corners])
    blue = border[border[:, 2] < -18]
    if len(blue) < 0.6 * len(border):
        return None
    hue = np.median(np.arctan2(blue[:, 2], blue[:, 1]))
    strength = np.percentile(np.hypot(blue[:, 1], blue[:, 2]), 10)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    other_hue = np.abs(np.arctan2(lab[..., 2], lab[..., 1]) - hue)
    backdrop = np.clip((chroma / strength - 0.35) / 0.35, 0, 1) * np.clip((0.55 - other_hue) / 0.2, 0, 1)
    return (1 - backdrop).astype(np.float32)


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians.

    Args:
        means: (K, D).
        precisions: (K, D, D) inverse covariances.
        log_weights: (K,) log of weight times normalisation, without the part that all share.
    """

    means: NDArray[np.float64]
    precisions: NDArray[np.float64]
    log_weights: NDArray[np.float64]

    def measure_cost(self, features: Plane) -> Plane:
        """Negative log-likelihood (H, W) of features (H, W, D), but for a constant."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        logs = []
        for mean, precision, log_weight in zip(self.means, self.precisions, self.log_weights, strict=True):
            away = flat - mean
            logs.append(log_weight - 0.5 * np.einsum("ni,ij,nj->n", away, precision, away))
        cost: Plane = -np.logaddexp.reduce(np.stack(logs), axis=0).reshape(features.shape[:2])
        return cost.astype(np.float32)


def fit_mixture(values: NDArray[np.floating], components: int, floor: NDArray[np.floating]) -> Mixture:
    """A mixture fitted to values (N, D): clusters by k-means, with one covariance each.

    Args:
        values: (N, D).
        components: at most so many Gaussians; clusters of few values are left out.
        floor: (D,) added to the variances.
    """
    cv2.setRNGSeed(0)  # k-means starts from random clusters
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    found = cv2.kmeans(values.astype(np.float32), components, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    clusters = [values[found[1][:, 0] == number] for number in range(components)]
    clusters = [own for own in clusters if len(own) >= _MIN_CLUSTER] or [values]
    covariances = [np.cov(own.T) + np.diag(floor) for own in clusters]
    log_weights = [
        np.log(len(own) / len(values)) - 0.5 * (np.linalg.slogdet(covariance)[1] - np.log(floor).sum())
        for own, covariance in zip(clusters, covariances, strict=True)
    ]
    return Mixture(
        np.array([own.mean(0) for own in clusters]), np.linalg.inv(np.array(covariances)), np.array(log_weights)
    )


def connected_parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected parts of a mask, one mask each."""
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8))
    return [numbers == number for number in range(1, count)]


def without_specks(mask: NDArray[np.bool_], side_px: int = 2) -> NDArray[np.bool_]:
    """The mask after a morphological opening by a square of that side."""
    kernel = np.ones((side_px, side_px), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.dilate(eroded, kernel, anchor=(side_px - 1, side_px - 1)) > 0


def follow_edges(mask: Plane, guide: Plane, radius_px: int, smoothness: float) -> Plane:
    """A coarse soft mask (H, W) aligned with the edges of a guide (H, W): the guided filter of He et al. (2010)."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)

    def mean(plane: Plane) -> Plane:
        return cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT_101)

    mean_guide, mean_mask = mean(guide), mean(mask)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (mean(guide * guide) - mean_guide**2 + smoothness)
    return np.clip(mean(slope) * guide + mean(mean_mask - slope * mean_guide), 0, 1)
