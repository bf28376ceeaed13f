"""The points of the face mesh that are used by number, and what the points say of pose and openness.

Convention:
    points (478, 3) are numbered as in MediaPipe's canonical face; (x, y) px, z px of the same scale, smaller nearer to
    the camera. Angles in degrees: yaw is positive when the face turns to the right of the picture, pitch when it looks
    up, roll clockwise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NUM_POINTS = 478
NUM_SURFACE = 468
"""Points of the skin; the last ten are the irises."""
LANDMARK_POINTS = (33, 133, 362, 263, 2)
"""Outer and inner corner of the left eye, inner and outer corner of the right eye, base of the nose."""

_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
"""Two corners, upper and lower lid of each eye."""
_LIPS = (78, 308, 13, 14)
"""Two inner corners, upper and lower inner lip."""
EYE_OUTLINES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
LIDS = tuple((outline[1:8], outline[15:8:-1]) for outline in EYE_OUTLINES)
"""Points of the upper and of the lower lid of each eye, one above the other, from one corner to the other."""
BROW_OUTLINES = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)
FACE_OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
LIP_OUTLINE = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
MOUTH_OUTLINE = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Closed outlines, left before right: of the eyes, the brows, the face, the lips, the opening of the mouth."""

_FOREHEAD, _CHIN = 10, 152

Points = NDArray[np.float32]


def measure_pose(points: Points) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees."""
    right = points[LANDMARK_POINTS[3]] - points[LANDMARK_POINTS[0]]
    down = points[_CHIN] - points[_FOREHEAD]
    right, down = right / np.linalg.norm(right), down / np.linalg.norm(down)
    forward = np.cross(right, down)
    forward /= np.linalg.norm(forward)
    return angles_of(right, forward)


def angles_of(right: NDArray[np.floating], forward: NDArray[np.floating]) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a head, from unit vectors (3,) to its left eye and to the back of the head."""
    yaw = math.degrees(math.atan2(-float(forward[0]), float(forward[2])))
    pitch = math.degrees(math.asin(float(np.clip(forward[1], -1, 1))))
    return yaw, pitch, math.degrees(math.atan2(float(right[1]), float(right[0])))


def measure_eye_openness(points: Points) -> tuple[float, float]:
    """Distance of the lids by the length of the eye, of the left and the right eye: about 0.1 (shut) to 0.4."""
    left, right = (_openness(points, eye) for eye in _EYES)
    return left, right


def measure_mouth_openness(points: Points) -> float:
    """Distance of the inner lips by the width of the mouth: 0 when it is shut."""
    return _openness(points, _LIPS)


def _openness(points: Points, corners: tuple[int, int, int, int]) -> float:
    left, right, upper, lower = points[list(corners)]
    return float(np.linalg.norm(lower - upper) / max(float(np.linalg.norm(right - left)), 1e-6))
