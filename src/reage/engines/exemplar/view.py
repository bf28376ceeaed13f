"""A face seen in the common face, with its traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.engines.exemplar.covariates import Traits, measure_traits
from reage.faces.common_face import to_places
from reage.faces.common_view import CommonView, view_in_common_face
from reage.types import Pixels, Plane

_CHEEKS_AND_NOSE = ((-0.85, 0.6), (0.85, 0.6), (0.0, 0.45))
_SAMPLE_UNITS = 0.1


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


def _skin_colours(levels: Pixels) -> Plane:
    centres = to_places(np.array(_CHEEKS_AND_NOSE)) * len(levels)
    half = max(2, round(_SAMPLE_UNITS / 4 * len(levels)))
    boxes = [levels[int(y) - half : int(y) + half, int(x) - half : int(x) + half] for x, y in centres]
    return np.stack([box.reshape(-1, 3).mean(0) / 255 for box in boxes]).astype(np.float32)
