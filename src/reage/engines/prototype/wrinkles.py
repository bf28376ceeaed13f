"""Fine wrinkles: detail layers of older faces (donors), one for each region of the face, in the mean frame.

Each region takes its own donor, so that nobody's skin is copied as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.engines.prototype.frame import FRAME_PX, frame_grid, to_frame_px
from reage.faces.geometry import ellipse_mask
from reage.images import geometry
from reage.types import Plane
from reage.zones import Ellipse

DETAIL_SIGMA_PX = 4.0
"""Structures finer than this, px of the mean frame, are detail."""
DETAIL_STEP = 0.005
"""Quantisation step of the stored layers, log luminance."""

REGIONS: tuple[Ellipse, ...] = (
    Ellipse(0.0, -0.75, 0.95, 0.42),
    Ellipse(0.0, -0.12, 0.27, 0.42),
    Ellipse(-0.72, 0.18, 0.55, 0.42),
    Ellipse(0.72, 0.18, 0.55, 0.42),
    Ellipse(-0.65, 0.90, 0.50, 0.55),
    Ellipse(0.65, 0.90, 0.50, 0.55),
    Ellipse(0.0, 1.45, 0.60, 0.50),
)
"""Forehead, glabella, around each eye, each cheek with its nasolabial fold, mouth and chin."""


@dataclass(frozen=True, kw_only=True)
class Donors:
    """Detail layers of older faces.

    Args:
        layers: (K, FRAME_PX, FRAME_PX) int8 log luminance in steps of `DETAIL_STEP`.
        traits: (K, T) traits on which donor and person should agree, in comparable units (see `traits`).
        age_years: (K,).
    """

    layers: NDArray[np.int8]
    traits: Plane
    age_years: Plane


def traits(points: NDArray[np.float64], masculinity: float, skin: NDArray[np.float32]) -> NDArray[np.float32]:
    """(7,) traits that a donor should share: sex, skin colour (3), open mouth, smile, rotation of the head."""
    opening = (points[66, 1] - points[62, 1]) / 0.08
    smile = (points[54, 0] - points[48, 0]) / 0.12
    rotation = ((points[0, 0] + points[16, 0]) / 2 - points[27, 0]) / 0.06
    return np.array([3 * masculinity, *(skin / 0.10), opening, smile, rotation], np.float32)


def region_masks() -> Plane:
    """(R, FRAME_PX, FRAME_PX) soft masks of the regions; at each pixel they add up to 1."""
    grid = frame_grid()
    masks = np.stack([ellipse_mask(grid, shape, 0.5) for shape in REGIONS]) + 1e-4
    return (masks / masks.sum(0)).astype(np.float32)


def skin_only(mean: NDArray[np.float64]) -> Plane:
    """(FRAME_PX, FRAME_PX) 1 on skin of the average face, 0 on eyes, brows, lips and nostrils."""
    points = to_frame_px(mean)
    mask = np.ones((FRAME_PX, FRAME_PX), np.float32)
    features = ((36, 42, 4), (42, 48, 4), (17, 22, 5), (22, 27, 5), (48, 60, 4), (31, 36, 3))
    for first, last, margin in features:
        mask[geometry.grow(geometry.fill_polygon(points[first:last], FRAME_PX, FRAME_PX), margin) > 0] = 0
    return geometry.blur(mask, 2.5)


def brow_mask(mean: NDArray[np.float64]) -> Plane:
    """(FRAME_PX, FRAME_PX) 1 on the brows of the average face."""
    points = to_frame_px(mean)
    brows = [geometry.fill_polygon(points[first : first + 5], FRAME_PX, FRAME_PX) for first in (17, 22)]
    return geometry.blur(geometry.grow(np.maximum(*brows), 4), 2.5)


def beard_mask(mean: NDArray[np.float64]) -> Plane:
    """(FRAME_PX, FRAME_PX) 1 where beards grow: below the nose and on the jaw without the lips."""
    points = to_frame_px(mean)
    lower = geometry.fill_polygon(np.vstack([points[3:14], points[31:36]]), FRAME_PX, FRAME_PX)
    lips = geometry.grow(geometry.fill_polygon(points[48:60], FRAME_PX, FRAME_PX), 3)
    return geometry.blur(lower * (1 - lips), 4.0)


def choose_donors(donors: Donors, wanted: Plane) -> list[int]:
    """The row of a donor for each region, whatever the target age: the three most similar donors in turn.

    Older donors are preferred, because their wrinkles are stronger.
    """
    distance = np.abs(donors.traits - wanted).sum(1) + np.abs(donors.age_years.max() - donors.age_years) / 8
    best = np.argsort(distance, kind="stable")
    return [int(best[region % min(3, len(best))]) for region in range(len(REGIONS))]


def compose_detail(donors: Donors, chosen: list[int], masks: Plane) -> Plane:
    """(FRAME_PX, FRAME_PX) log-luminance detail, blended from the layers of the chosen donors."""
    layers = donors.layers[chosen].astype(np.float32) * DETAIL_STEP
    return (layers * masks).sum(0)
