"""The face mesh: 478 points on the face with depth.

The net is MediaPipe's face landmark model (arXiv 1907.06724, arXiv 2006.10962; Apache-2.0), see models/mediapipe.md.

Convention: points as in `reage.mesh_points`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS, NUM_POINTS
from reage.nets.runtime import load_session
from reage.types import Matrix, Pixels, Plane

# fmt: off
IBUG_POINTS = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,  # jaw
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
)
# fmt: on
"""The points of the mesh nearest to the 68 landmarks of iBUG 300-W, in their order."""

_INPUT_PX = 256
_ENLARGED = 1.5
"""The square that the net sees is so many times the box of the face."""
_MAX_PASSES = 6
_SETTLED_DEGREES = 10.0
"""A square that turned by less than this is in its place."""


@dataclass(frozen=True)
class FaceMesh:
    """The mesh of one face.

    Args:
        points: (478, 3) x, y, z px.
        presence: in [0, 1], whether there is a face at all.
    """

    points: Plane
    presence: float

    @property
    def landmarks(self) -> Plane:
        """The five landmarks (5, 2) px, ordered as `reage.types.Face.landmarks`."""
        return self.points[list(LANDMARK_POINTS), :2]


def to_ibug(mesh: Plane) -> Plane:
    """The points (68, 2) of a mesh (478, 3) that stand for the 68 landmarks of iBUG 300-W, in their order."""
    return mesh[list(IBUG_POINTS), :2]


def fit_mesh(
    pixels: Pixels, centre: Plane, side_px: float, roll_degrees: float, max_passes: int = _MAX_PASSES
) -> FaceMesh:
    """The mesh of a face of a picture (H, W, 3) RGB uint8.

    The square of each pass after the first is placed by the mesh of the one before; passes after the second follow only
    while that turns the square a lot.

    Args:
        pixels: the picture.
        centre: (2,) px of the face.
        side_px: of the box around brow to chin.
        roll_degrees: tilt of the face, clockwise.
        max_passes: largest number of passes.
    """
    mesh = _run(pixels, centre, _ENLARGED * side_px, roll_degrees)
    for _ in range(max_passes - 1):
        points, before = mesh.points[:, :2], roll_degrees
        across = points[263] - points[33]
        low, high = points.min(0), points.max(0)
        roll_degrees = math.degrees(math.atan2(float(across[1]), float(across[0])))
        mesh = _run(pixels, (low + high) / 2, _ENLARGED * float((high - low).max()), roll_degrees)
        if abs((roll_degrees - before + 180) % 360 - 180) < _SETTLED_DEGREES:
            break
    return mesh


def _run(pixels: Pixels, centre: Plane, side_px: float, roll_degrees: float) -> FaceMesh:
    square_from_image = _square_from_image(centre, side_px, roll_degrees)
    square = geometry.warp(pixels, square_from_image, _INPUT_PX, _INPUT_PX)
    session = load_session("face-mesh")
    found, presence, _ = session.run(None, {session.get_inputs()[0].name: square[None].astype(np.float32) / 255})
    points = found.reshape(NUM_POINTS, 3)
    xy = geometry.move_points(points[:, :2] - 0.5, geometry.invert(square_from_image))
    z = points[:, 2:] * (side_px / _INPUT_PX)
    return FaceMesh(np.hstack([xy, z]).astype(np.float32), float(1 / (1 + np.exp(-presence.item()))))


def _square_from_image(centre: Plane, side_px: float, roll_degrees: float) -> Matrix:
    """(2, 3) similarity that turns a square of the image upright and brings it to the side of the net's input."""
    angle, scale = math.radians(-roll_degrees), _INPUT_PX / side_px
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.hstack([turn, ((_INPUT_PX - 1) / 2 - turn @ np.asarray(centre, np.float64))[:, None]])
