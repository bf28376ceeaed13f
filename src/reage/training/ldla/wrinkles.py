"""The dark lines that a face has, deepened or filled in: its own wrinkles, older or younger."""

from __future__ import annotations

import numpy as np

from reage.faces.geometry import bare_masks
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Face, Pixels, Plane

_GRAIN = 0.0023
"""Sigma of what is too fine to be a line; this and the radii are shares of a crop side."""
_RADII = (0.008, 0.016)
"""Half the width of the widest line that is seen, for fine lines and for folds."""
_DEEP = 12.0
"""Levels of a line that is deepened half as much as a faint one: deep folds would turn black."""


def scale_wrinkles(crop: Pixels, face: Face, share: float) -> Pixels:
    """The lines in the skin of the twelve zones; eyes, teeth and glasses stay.

    Args:
        crop: (S, S, 3) a picture of the face, in its crop.
        face: where skin and zones are.
        share: by which faint lines become deeper; below 0 the share of all lines, dark and light, that is taken away.

    Returns:
        (S, S, 3), changed in light alone.
    """
    light = crop.astype(np.float32).mean(-1)
    smooth = geometry.blur(light, _GRAIN * len(crop))
    dark = _lines_of(smooth)
    change = -share * dark / (1 + dark / _DEEP) if share > 0 else -share * (dark - _lines_of(-smooth))
    skin = np.sum(list(bare_masks(face).values()), axis=0) * face.matte
    return to_pixels(crop + (skin * change)[..., None])


def _lines_of(light: Plane) -> Plane:
    """(S, S) how much darker than beside it each place of a line is."""
    radii = [radius * len(light) for radius in _RADII]
    closed = [geometry.grow(geometry.grow(light, radius), -radius) for radius in radii]
    return np.asarray(np.max(closed, axis=0) - light)
