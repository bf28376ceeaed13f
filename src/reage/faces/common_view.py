"""A face seen in the common face: its colours and its usable skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.faces.common_face import CommonFace, fit_common_face
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.skin_detail import skin_region
from reage.images import geometry
from reage.types import Pixels, Plane

_MARGIN_UNITS = 0.026


@dataclass(frozen=True)
class CommonView:
    """A face in the common face.

    Args:
        common: the map.
        levels: (N, N, 3) RGB uint8.
        usable: (N, N) share of visible skin without hair, eyes, brows, lips and glasses.
    """

    common: CommonFace
    levels: Pixels
    usable: Plane


def view_in_common_face(crop: Pixels, mesh: Plane, skin: Plane, side_px: int) -> CommonView:
    """The view of a face.

    Args:
        crop: (S, S, 3) RGB uint8, at any resolution.
        mesh: (478, 3) px of it.
        skin: (P, P) share of bare skin in the crop, at any resolution.
        side_px: N, side of the common face.
    """
    common = fit_common_face(mesh)
    places = common.straighten(side_px)
    levels = geometry.sample(crop, places)
    factor = len(skin) / len(crop)
    usable = geometry.sample(skin, ((places + 0.5) * np.float32(factor) - 0.5).astype(np.float32))
    inside = ((places > 0) & (places < len(crop) - 1)).all(-1).astype(np.float32)
    usable = np.clip(usable, 0, 1) * inside * common.visibility(side_px) * skin_region(side_px)
    return CommonView(common, levels, usable.astype(np.float32))


def shrink_skin(bare: Plane) -> Plane:
    """The share of bare skin of a crop (S, S) without a margin at its borders."""
    return geometry.grow(bare.astype(np.float32), -_MARGIN_UNITS * len(bare) / FACE_PER_CROP)
