"""A face seen in the common face: its log intensity, its usable skin, its traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.engines.exemplar.covariates import Traits, measure_traits
from reage.faces.common_face import CommonFace, fit_common_face, to_places
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.skin_detail import skin_region
from reage.images import geometry
from reage.types import Pixels, Plane

_CHEEKS_AND_NOSE = ((-0.85, 0.6), (0.85, 0.6), (0.0, 0.45))
_SAMPLE_UNITS = 0.1
_MARGIN_UNITS = 0.026


@dataclass(frozen=True)
class FaceView:
    """A face in the common face.

    Args:
        common: the map.
        levels: (N, N, 3) RGB uint8.
        usable: (N, N) share of visible skin without hair, eyes, brows, lips and glasses.
        traits: of the face.
    """

    common: CommonFace
    levels: Pixels
    usable: Plane
    traits: Traits


def view_face(crop: Pixels, mesh: Plane, skin: Plane, masculinity: float, side_px: int) -> FaceView:
    """The view of a face.

    Args:
        crop: (S, S, 3) RGB uint8, at any resolution.
        mesh: (478, 3) px of it.
        skin: (P, P) share of bare skin in the crop, at any resolution.
        masculinity: 0 to 1.
        side_px: N, side of the common face.
    """
    common = fit_common_face(mesh)
    places = common.straighten(side_px)
    levels = geometry.sample(crop, places)
    factor = len(skin) / len(crop)
    usable = geometry.sample(skin, ((places + 0.5) * np.float32(factor) - 0.5).astype(np.float32))
    inside = ((places > 0) & (places < len(crop) - 1)).all(-1).astype(np.float32)
    usable = np.clip(usable, 0, 1) * inside * common.visibility(side_px) * skin_region(side_px)
    return FaceView(common, levels, usable.astype(np.float32), measure_traits(mesh, masculinity, _skin_colours(levels)))


def shrink_skin(bare: Plane) -> Plane:
    """The share of bare skin of a crop (S, S) without a margin at its borders."""
    return geometry.grow(bare.astype(np.float32), -_MARGIN_UNITS * len(bare) / FACE_PER_CROP)


def _skin_colours(levels: Pixels) -> Plane:
    centres = to_places(np.array(_CHEEKS_AND_NOSE)) * len(levels)
    half = max(2, round(_SAMPLE_UNITS / 4 * len(levels)))
    boxes = [levels[int(y) - half : int(y) + half, int(x) - half : int(x) + half] for x, y in centres]
    return np.stack([box.reshape(-1, 3).mean(0) / 255 for box in boxes]).astype(np.float32)
