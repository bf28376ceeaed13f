"""Where a head looks: a mesh taken apart into its shape and its pose, and turned to another pose.

Convention:
    meshes (478, 3) as in `reage.mesh_points`; angles in degrees: yaw is positive when the face turns to the right of
    the picture, pitch when it looks up, roll clockwise, as `reage.mesh_points.measure_pose` gives them.
    face units: those of `reage.faces.common_face.mean_mesh`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import fit_similarity, mean_mesh
from reage.mesh_points import angles_of, measure_pose
from reage.types import Plane

STABLE_POINTS = (33, 133, 362, 263, 168, 6, 197, 10, 151, 9, 234, 454, 127, 356, 93, 323)
"""Points that move with the skull and hardly with the expression: corners of the eyes, bridge of the nose, forehead,
temples."""
_HEAD_CENTRE = (0.0, 0.2, 1.05)
"""Face units: the point of the head that stays in its place when the head turns."""


@dataclass(frozen=True)
class HeadPose:
    """Similarity from face units to px of a picture: `scale * rotation @ point + offset`.

    Args:
        scale: px per face unit.
        rotation: (3, 3).
        offset: (3,) px.
    """

    scale: float
    rotation: NDArray[np.float64]
    offset: NDArray[np.float64]

    def to_picture(self, points: NDArray[np.floating]) -> Plane:
        """(N, 3) face units -> (N, 3) px."""
        return (self.scale * points @ self.rotation.T + self.offset).astype(np.float32)

    def to_units(self, points: NDArray[np.floating]) -> Plane:
        """(N, 3) px -> (N, 3) face units."""
        return ((points - self.offset) @ self.rotation / self.scale).astype(np.float32)

    @property
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch and roll in degrees; unlike those of `measure_pose`, an open jaw does not change them."""
        return angles_of(self.rotation[:, 0], self.rotation[:, 2])

    def turned(self, rotation: NDArray[np.float64], centre: tuple[float, float, float] = _HEAD_CENTRE) -> HeadPose:
        """The pose with a rotation (3, 3) in the picture's frame added, about a point that stays in its place."""
        fixed = self.scale * self.rotation @ np.array(centre) + self.offset
        after = rotation @ self.rotation
        return HeadPose(self.scale, after, fixed - self.scale * after @ np.array(centre))


def fit_pose(mesh: NDArray[np.floating]) -> HeadPose:
    """The pose in which the mean mesh lies best on a mesh (478, 3) px, by `STABLE_POINTS`."""
    source, target = mean_mesh()[list(STABLE_POINTS)], np.asarray(mesh, np.float64)[list(STABLE_POINTS)]
    scale, rotation = fit_similarity(source, target)
    return HeadPose(scale, rotation, target.mean(0) - scale * rotation @ source.mean(0))


def rotation_of(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """(3, 3) rotation that takes a face with all angles 0 to these angles, each within -80 to 80 degrees."""
    yaw, pitch, roll = (math.radians(angle) for angle in (yaw, pitch, roll))
    forward = np.array([-math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    across = np.array([math.cos(roll), math.sin(roll), 0.0])
    across[2] = -(forward @ across) / forward[2]
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(forward, across), forward], 1)


def turn_pose(pose: HeadPose, angles_now: tuple[float, float, float], angles: tuple[float, float, float]) -> HeadPose:
    """The pose of a head turned from yaw, pitch and roll as they are to others; its centre stays in its place."""
    return pose.turned(rotation_of(*angles) @ rotation_of(*angles_now).T)


def turn_mesh(mesh: Plane, angles: tuple[float, float, float]) -> Plane:
    """A mesh (478, 3) px turned to yaw, pitch and roll, about the centre of its head."""
    pose = fit_pose(mesh)
    return turn_pose(pose, measure_pose(mesh), angles).to_picture(pose.to_units(mesh))
