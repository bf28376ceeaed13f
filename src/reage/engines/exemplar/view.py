"""A face seen in the common face, with its traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.engines.exemplar.covariates import Traits, measure_traits
from reage.faces.common_face import COMMON_UNITS, to_places
from reage.faces.common_view import CommonView, shrink_skin, view_in_common_face
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.window import cut_window, mesh_in_window
from reage.types import Face, Pixels, Plane

_CHEEKS_AND_NOSE = ((-0.85, 0.6), (0.85, 0.6), (0.0, 0.45))
_SAMPLE_UNITS = 0.1
_LEAST_PX, _MOST_PX = 192, 1024
"""Side of the crop at which skin is seen and changed: that of the photo, between these."""


@dataclass(frozen=True)
class FaceView(CommonView):
    """A face in the common face.

    Args:
        traits: of the face.
    """

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
    seen = view_in_common_face(crop, mesh, skin, side_px)
    traits = measure_traits(mesh, masculinity, _skin_colours(seen.levels))
    return FaceView(seen.common, seen.levels, seen.usable, traits)


def crop_px(face: Face) -> int:
    """Side of the crop of a face at the resolution of its photo, within bounds."""
    return int(np.clip(round(len(face.crop) * face.image_px_per_crop_px), _LEAST_PX, _MOST_PX))


def view_photo(face: Face, masculinity: float) -> FaceView:
    """The view of a face at the resolution of its photo, see `crop_px`; masculinity 0 to 1."""
    side = crop_px(face)
    skin = shrink_skin(np.minimum(face.bare, 1 - face.hair))
    plane_px = round(side / FACE_PER_CROP * COMMON_UNITS)
    return view_face(cut_window(face, side), mesh_in_window(face, side), skin, masculinity, plane_px)


def _skin_colours(levels: Pixels) -> Plane:
    centres = to_places(np.array(_CHEEKS_AND_NOSE)) * len(levels)
    half = max(2, round(_SAMPLE_UNITS / 4 * len(levels)))
    boxes = [levels[int(y) - half : int(y) + half, int(x) - half : int(x) + half] for x, y in centres]
    return np.stack([box.reshape(-1, 3).mean(0) / 255 for box in boxes]).astype(np.float32)
