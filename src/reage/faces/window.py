"""Square windows around a face, cut from its photo at any resolution."""

from __future__ import annotations

import numpy as np

from reage.faces.geometry import smoothstep
from reage.images import geometry
from reage.types import Face, Gain, Matrix, Pixels, Plane

_BLUR_PX = 0.5
"""Blur of the enlarged change, px of the net."""
_FADE = (1.0, 0.7)
"""Distances from the middle of the window, in halves of its side, at which the change has ended and begins to fade."""


def cut_window(face: Face, side_px: int, crops: float = 1.0) -> Pixels:
    """(side_px, side_px, 3) a square around the crop of a face, of so many crop sides; the border is replicated."""
    source, matrix = (face.crop, np.eye(2, 3)) if face.photo is None else (face.photo, face.crop_from_image)
    window_from_crop = _window_from_crop(len(face.crop), side_px, crops)
    squared = np.vstack([matrix, [0, 0, 1]])
    return np.ascontiguousarray(geometry.warp(source, window_from_crop @ squared, side_px, side_px))


def mesh_in_window(face: Face, side_px: int, crops: float = 1.0) -> Plane:
    """(478, 3) the mesh of a face, px of a window."""
    return geometry.move_points(face.to_crop(face.mesh), _window_from_crop(len(face.crop), side_px, crops))


def _window_from_crop(crop_px: int, side_px: int, crops: float) -> Matrix:
    scale = side_px / (crops * crop_px)
    offset = (side_px - scale * crop_px + scale - 1) / 2
    return np.array([[scale, 0, offset], [0, scale, offset]])


def cut_centre(crop: Pixels, crops: float, side_px: int) -> Pixels:
    """(side_px, side_px, 3) the central square of a crop (S, S, 3), of so many crop sides, as a small net sees it."""
    side = round(crops * len(crop))
    first = (len(crop) - side) // 2
    window = np.ascontiguousarray(crop[first : first + side, first : first + side])
    return geometry.resize(window, side_px, side_px)


def centre_gain(change: Plane, matte: Plane, crops: float) -> Gain:
    """The change that a small net makes of a central square, as a gain.

    Args:
        change: (P, P, 3) logarithm of a ratio.
        matte: (S, S) of the crop; outside, nothing changes.
        crops: side of the square, crop sides.
    """
    side = round(crops * len(matte))
    large = geometry.blur(geometry.resize(change, side, side), _BLUR_PX * side / len(change))
    first = (len(matte) - side) // 2
    near = matte[first : first + side, first : first + side] * _fade(side)
    return Gain((large * near[..., None]).astype(np.float32), side / len(matte))


def _fade(side_px: int) -> Plane:
    """(S, S) 1 in the middle of the window, falling to 0 towards its border, without corners that hair would show."""
    place = np.linspace(-1, 1, side_px, dtype=np.float32)
    return smoothstep(np.hypot(place[:, None], place[None]), *_FADE)
