"""Aging maps: pictures of the apparent age of each place of a head, the condition of AMGAN (arXiv 2008.10960).

Convention: maps are float32 (S, S) in [0, 1] in the crop frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reage.faces.geometry import FACE_SHAPE, FACE_SOFTNESS, ellipse_mask, face_grid
from reage.images import geometry
from reage.types import Plane
from reage.zones import ZONE_SHAPES

MAP_AGES_YEARS = (18.0, 80.0)
"""Youngest and oldest age of an aging map; ages beyond are clipped to them."""
_YOUNGEST_LEVEL = 0.1
"""Level of the youngest skin; 0 is the background."""
_MAP_BLUR = 0.02
"""Standard deviation of the blur, crop sides."""


def make_aging_map(
    side_px: int, landmarks: Plane, age_years: float, scores: Mapping[str, float], hair: Plane | None = None
) -> Plane:
    """The aging map of a head: face and hair are filled with the age, and each zone with its score (arXiv 2008.10960).

    Borders are soft in proportion to the crop, so that a map looks the same at any size.

    Args:
        side_px: side of the crop.
        landmarks: (5, 2) crop px.
        age_years: apparent age, clipped to `MAP_AGES_YEARS`.
        scores: zone of `reage.zones.ZONES` -> score in [0, 1]; a zone that is left out gets the age of the face.
        hair: (H, H) share of hair in the crop, of any size; None for the face alone.

    Returns:
        (S, S) 0 outside the head, 0.1 for the youngest skin, 1 for the oldest; the weighted mean where zones overlap.
    """
    grid = face_grid(side_px, landmarks)
    youngest, oldest = MAP_AGES_YEARS
    drawn = np.full((side_px, side_px), _level((age_years - youngest) / (oldest - youngest)))
    if scores:
        masks = {zone: ellipse_mask(grid, ZONE_SHAPES[zone], FACE_SOFTNESS) for zone in scores}
        levels = np.sum([masks[zone] * _level(score) for zone, score in scores.items()], axis=0)
        cover, total = (combine(list(masks.values()), axis=0) for combine in (np.max, np.sum))
        drawn = drawn * (1 - cover) + cover * levels / np.maximum(total, 1e-6)
    head = ellipse_mask(grid, FACE_SHAPE, FACE_SOFTNESS)
    if hair is not None:
        head = np.maximum(head, geometry.resize(hair, side_px, side_px))
    drawn = (drawn * head).astype(np.float32)
    rim = round(4 * _MAP_BLUR * side_px)  # the chin of a long face touches the border of the crop
    blurred = geometry.blur(np.pad(drawn, rim, mode="edge"), _MAP_BLUR * side_px)
    return np.clip(blurred[rim : rim + side_px, rim : rim + side_px], 0, 1)


def _level(share: float) -> float:
    return _YOUNGEST_LEVEL + (1 - _YOUNGEST_LEVEL) * min(1.0, max(0.0, share))


def make_location_gradients(side_px: int) -> Plane:
    """(2, S, S) the x, then the y of each pixel of a crop, from 0 to 1.

    Beside an aging map they give a net that sees only a part of a crop the place of that part (arXiv 2008.10960).
    """
    return np.moveaxis(geometry.pixel_grid(side_px, side_px), -1, 0) / np.float32(max(1, side_px - 1))
