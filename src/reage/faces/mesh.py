"""The face mesh: 478 points on the face with depth, and what they say of pose and openness.

The net is MediaPipe's face landmark model (arXiv 1907.06724, arXiv 2006.10962; Apache-2.0), see models/mediapipe.md.

Convention:
    points are numbered as in MediaPipe's canonical face; (x, y) px, z px of the same scale, smaller nearer to the
    camera. Angles in degrees: yaw is positive when the face turns to the right of the picture, pitch when it looks
    up, roll clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reage.images import geometry
from reage.nets.runtime import load_session
from reage.types import Matrix, Pixels, Plane

NUM_POINTS = 478
FIVE_POINTS = (33, 133, 362, 263, 2)
"""Outer and inner corner of the left eye, inner and outer corner of the right eye, base of the nose."""

_INPUT_PX = 256
_ENLARGED = 1.5
"""The square that the net sees is so many times the box of the face."""
_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
"""Two corners, upper and lower lid of each eye."""
_LIPS = (78, 308, 13, 14)
"""Two inner corners, upper and lower inner lip."""


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
        return self.points[list(FIVE_POINTS), :2]

    @property
    def eye_openness(self) -> tuple[float, float]:
        """Distance of the lids by the length of the eye, of the left and the right eye: about 0.1 (shut) to 0.4."""
        left, right = (_openness(self.points, eye) for eye in _EYES)
        return left, right

    @property
    def mouth_openness(self) -> float:
        """Distance of the inner lips by the width of the mouth: 0 when it is shut."""
        return _openness(self.points, _LIPS)

    @property
    def pose_degrees(self) -> tuple[float, float, float]:
        """Yaw, pitch and roll."""
        right = self.points[263] - self.points[33]
        down = self.points[152] - self.points[10]
        right, down = right / np.linalg.norm(right), down / np.linalg.norm(down)
        forward = np.cross(right, down)
        forward /= np.linalg.norm(forward)
        yaw = math.degrees(math.atan2(-float(forward[0]), float(forward[2])))
        pitch = math.degrees(math.asin(float(np.clip(forward[1], -1, 1))))
        return yaw, pitch, math.degrees(math.atan2(float(right[1]), float(right[0])))


def fit_mesh(pixels: Pixels, centre: Plane, side_px: float, roll_degrees: float, passes: int = 2) -> FaceMesh:
    """The mesh of a face of a picture (H, W, 3) RGB uint8.

    Args:
        pixels: the picture.
        centre: (2,) px of the face.
        side_px: of the box around brow to chin.
        roll_degrees: tilt of the face, clockwise.
        passes: the square of a later pass is placed by the mesh of the one before.
    """
    mesh = _run(pixels, centre, _ENLARGED * side_px, roll_degrees)
    for _ in range(passes - 1):
        points = mesh.points[:, :2]
        across = points[263] - points[33]
        low, high = points.min(0), points.max(0)
        roll_degrees = math.degrees(math.atan2(float(across[1]), float(across[0])))
        mesh = _run(pixels, (low + high) / 2, _ENLARGED * float((high - low).max()), roll_degrees)
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


def _openness(points: Plane, corners: tuple[int, int, int, int]) -> float:
    left, right, upper, lower = points[list(corners)]
    return float(np.linalg.norm(lower - upper) / max(float(np.linalg.norm(right - left)), 1e-6))
