"""A face drawn as white lines: brows, eyes, nose, lips and outline, what a net for reenactment is told of the target.

After Dual-Generator Face Reenactment (CVPR 2022), whose lines join 68 landmarks; here they join points of the mesh.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reage.faces.mesh_warp import measure_areas, mesh_triangles
from reage.images import drawing
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, LIP_OUTLINE, MOUTH_OUTLINE
from reage.types import Pixels, Plane

_NOSE = ((168, 6, 197, 195, 5, 4, 1, 2), (129, 64, 98, 97, 2, 326, 327, 294, 358))
"""Its ridge, and its base from wing to wing."""
_LINE_SHARE = 1 / 128
"""Width of a line, sides of the map."""


def draw_line_map(mesh: Plane, side_px: int) -> Pixels:
    """(S, S) uint8 white lines on black, without those where the face looks away from the camera.

    Args:
        mesh: (478, 3) px of the map, see `reage.mesh_points`.
        side_px: S.
    """
    facing = find_facing(mesh)
    lines: list[Plane] = []
    for points in _lines():
        lines += _split(mesh[list(points), :2], facing[list(points)])
    return drawing.draw_lines(lines, side_px, side_px, max(1, round(side_px * _LINE_SHARE)))


def find_facing(mesh: Plane) -> NDArray[np.bool_]:
    """(478,) points of the surface that face the camera, by the area that their triangles show it."""
    triangles = mesh_triangles()
    areas = measure_areas(mesh, triangles)
    shown = np.bincount(triangles.ravel(), np.repeat(areas, 3), len(mesh))
    return shown > 0


def _lines() -> list[tuple[int, ...]]:
    """Points of each line; a closed one ends where it starts."""
    closed = (*BROW_OUTLINES, *EYE_OUTLINES, LIP_OUTLINE, MOUTH_OUTLINE, FACE_OUTLINE)
    return [*_NOSE, *((*points, points[0]) for points in closed)]


def _split(points: Plane, shown: NDArray[np.bool_]) -> Sequence[Plane]:
    """The parts of a line (N, 2) between points that are hidden."""
    parts = np.split(np.arange(len(points)), np.flatnonzero(~(shown[1:] & shown[:-1])) + 1)
    return [points[part] for part in parts if len(part) > 1]
