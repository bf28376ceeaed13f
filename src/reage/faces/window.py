"""Square windows around a face, cut from its photo at any resolution."""

from __future__ import annotations

import numpy as np

from reage.images import geometry
from reage.types import Face, Matrix, Pixels, Plane


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
