"""The dark lines that a face has, deepened or filled in: its own wrinkles, older or younger."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Face, Pixels, Plane
from reage.zones import zone_masks

_GRAIN = 0.0023
"""Sigma of what is too fine to be a line; this and the radii are shares of a crop side."""
_RADII = (0.008, 0.016)
"""Half the width of the widest line that is seen, for fine lines and for folds."""
_DEEP = 12.0
"""Levels of a line that is deepened half as much as a faint one: deep folds would turn black."""


def redraw_lines(crop: Pixels, face: Face, share: float) -> Pixels:
    """The lines in the skin of the twelve zones.

    Args:
        crop: (S, S, 3) a picture of the face, in its crop.
        face: where skin and zones are.
        share: by which faint lines become deeper; below 0 the share of all lines, dark and light, that is taken away.

    Returns:
        (S, S, 3), changed in light alone.
    """
    light = crop.astype(np.float32).mean(-1)
    smooth = geometry.blur(light, _GRAIN * len(crop))
    closed = _reach(cv2.MORPH_CLOSE, smooth)
    dark = np.max([one - smooth for one in closed], axis=0)
    if share > 0:
        change = -share * dark / (1 + dark / _DEEP)
    else:
        opened = _reach(cv2.MORPH_OPEN, smooth)
        change = -share * (dark - np.max([smooth - one for one in opened], axis=0))
    skin = np.minimum(np.sum(list(zone_masks(face).values()), axis=0), 1) * face.skin * (1 - face.hair)
    return to_pixels(crop + (skin * change)[..., None])


def _reach(operation: int, light: Plane) -> Iterable[Plane]:
    for radius in _RADII:
        side = 2 * round(radius * len(light)) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        yield cv2.morphologyEx(light, operation, disc)
