"""Aging maps: pictures of the apparent age of each place of a face, the condition of AMGAN (arXiv 2008.10960).

The paper draws them over an aligned photo. Here they lie in the common face, so that a zone is where it is on this
person, also when the head is turned.

Convention: maps are float32 (N, N) in [0, 1], planes of the common face, see `reage.faces.common_face`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import fit_common_face
from reage.faces.skin_detail import PATCHES, patch_map
from reage.images import geometry
from reage.types import Face, Plane

MAP_AGES_YEARS = (18.0, 90.0)
"""Youngest and oldest age of an aging map; ages beyond are clipped to them."""
MAP_LEVELS = (0.1, 0.9)
"""A score or a share s of the ages has the level 0.1 + 0.9 s; 0 is what is no skin."""
MAP_BLUR_PX = 2.0
"""Blur of the borders of zones, px of the plane of `reage.faces.skin_detail.patch_weights`."""


def make_aging_map(side_px: int, age_years: float, scores: Mapping[str, float]) -> Plane:
    """The aging map of a face: its skin is filled with the age, and each zone with its score (arXiv 2008.10960).

    Args:
        side_px: N, side of the plane.
        age_years: apparent age, clipped to `MAP_AGES_YEARS`.
        scores: zone of `reage.zones.ZONES` -> score in [0, 1]; a zone that is left out gets the age of the face.

    Returns:
        (N, N) 0.1 for the youngest skin, 1 for the oldest; the weighted mean where zones overlap.
    """
    shares = np.array([np.clip(scores.get(name, age_share(age_years)), 0, 1) for name in PATCHES])
    return map_of_shares(shares, side_px)


def map_of_shares(shares: NDArray[np.float64], side_px: int) -> Plane:
    """The map (N, N) of a score or share of the ages of each of `reage.faces.skin_detail.PATCHES`, (Q,)."""
    floor, slope = MAP_LEVELS
    return patch_map(floor + slope * shares, side_px, MAP_BLUR_PX)


def age_share(age_years: float) -> float:
    """Where an age lies between the youngest, 0, and the oldest, 1, of a map."""
    youngest, oldest = MAP_AGES_YEARS
    return float(np.clip((age_years - youngest) / (oldest - youngest), 0, 1))


def draw_on_face(face: Face, plane: Plane) -> Plane:
    """(S, S) a plane of the common face where the skin of a face is in its crop, 0 elsewhere."""
    side = len(face.crop)
    places = fit_common_face(face.to_crop(face.mesh)).unroll(side) * len(plane) - 0.5
    return np.asarray(geometry.sample(plane, places.astype(np.float32)), np.float32) * face.matte


def make_location_gradients(side_px: int) -> Plane:
    """(2, N, N) the x, then the y of each pixel of a plane, from 0 to 1.

    Beside an aging map they give a net that sees only a part of a face the place of that part (arXiv 2008.10960).
    """
    return np.moveaxis(geometry.pixel_grid(side_px, side_px), -1, 0) / np.float32(max(1, side_px - 1))
