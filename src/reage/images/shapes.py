"""Drawn shapes as masks.

Convention: points (x, y) px; masks (H, W) uint8, 255 inside and 0 outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]


def fill_polygon(outline: NDArray[np.floating], height_px: int, width_px: int) -> Mask:
    """Inside a closed outline (N, 2)."""
    mask = np.zeros((height_px, width_px), np.uint8)
    cv2.fillPoly(mask, [_to_px(outline)], 255)
    return mask


def draw_line(points: NDArray[np.floating], side_px: int, thickness_px: float, *, closed: bool = False) -> Mask:
    """A line through points (N, 2)."""
    mask = np.zeros((side_px, side_px), np.uint8)
    cv2.polylines(mask, [_to_px(points)], closed, 255, max(1, round(thickness_px)), cv2.LINE_AA)
    return mask


def draw_disc(centre: NDArray[np.floating], radius_px: float, side_px: int) -> Mask:
    """A disc around a point (2,)."""
    mask = np.zeros((side_px, side_px), np.uint8)
    x, y = _to_px(centre).tolist()
    cv2.circle(mask, (x, y), max(1, round(radius_px)), 255, -1)
    return mask


def join(masks: Sequence[Mask]) -> Mask:
    """What any of the masks covers."""
    return np.maximum.reduce(masks)


def _to_px(points: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.rint(points).astype(np.int32)
