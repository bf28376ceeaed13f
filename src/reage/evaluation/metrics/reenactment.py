"""Whether a face has the pose, the expression and the shape that it was to take.

Convention: meshes (478, 3) px of any picture, see `reage.mesh_points`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from reage.faces.expression import EXPRESSIONS
from reage.faces.head_pose import fit_pose
from reage.mesh_points import NUM_SURFACE
from reage.types import Plane


def pose_error_degrees(mesh: Plane, wanted: Plane) -> float:
    """The angle by which one head would have to turn to look as the other does."""
    turn = fit_pose(mesh).rotation.T @ fit_pose(wanted).rotation
    return math.degrees(math.acos(float(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def expression_error(scores: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    """Mean absolute difference of the scores of all blend shapes, 0 to 1; the gaze, which stays, does not count."""
    names = [name for name in EXPRESSIONS if not name.startswith("eyeLook")]
    return float(np.mean([abs(scores[name] - wanted[name]) for name in names]))


def landmark_error(mesh: Plane, wanted: Plane) -> float:
    """Mean distance of the points of two meshes, both brought to one pose and size; face units, x and y alone."""
    a, b = (fit_pose(one).to_units(one)[:NUM_SURFACE, :2] for one in (mesh, wanted))
    return float(np.linalg.norm(a - b, axis=-1).mean())


def cosine(a: Plane, b: Plane) -> float:
    """Cosine of the angle between two vectors, 1 for the same direction."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
