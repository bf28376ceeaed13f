"""Proportions of a face, whatever its pose, and a face moved to others.

A child's face is no small adult's: nose, jaw and chin are small and high beside the eyes, and the forehead is wide.

Convention:
    meshes (478, 3) as in `reage.mesh_points`, in px of a square picture. Proportions (478, 3) are points of a face seen
    from the front: the origin lies midway between the eyes, and their distance is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import mirrored_points
from reage.faces.geometry import smoothstep
from reage.faces.head_pose import HeadPose, fit_pose
from reage.faces.thin_plate import enlarge_field, evaluate_thin_plate, fit_thin_plate, square_knots
from reage.mesh_points import FACE_OUTLINE, LANDMARK_POINTS, NUM_SURFACE
from reage.types import Plane

_KNOTS = 49
_EVERY = 2
"""One point of the mesh in so many is moved; the rest follows."""
_FADE = 0.02
"""Distance from the border of the picture, as a share of its side, within which the shift dies away."""
_SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the distance from the outline of the face to the border of the picture, at which the shift is held."""


def measure_proportions(mesh: Plane) -> Plane:
    """The proportions of a face, made symmetric."""
    middle, distance = _eyes(units := fit_pose(mesh).to_units(mesh))
    points = (units - middle) / distance
    points = (points + points[mirrored_points()] * np.array([-1, 1, 1])) / 2
    return (points - _eyes(points)[0]).astype(np.float32)


def proportions_shift(mesh: Plane, moves: NDArray[np.floating], side_px: int) -> Plane:
    """The shift of `reage.types.Aged` that moves a face to other proportions; hair and head around it follow.

    Args:
        mesh: of the face.
        moves: (478, 3) change of its proportions.
        side_px: P, of the picture; at its border nothing moves.

    Returns:
        (P, P, 2) float32 px.
    """
    pose = fit_pose(mesh)
    by = _to_picture(pose, moves * _eyes(pose.to_units(mesh))[1])[:NUM_SURFACE] / side_px
    places = (mesh[:NUM_SURFACE, :2] + 0.5) / side_px + by
    around, shares = _towards_border(places[list(FACE_OUTLINE)])
    inner = slice(None, None, _EVERY)
    sources = np.vstack([places[inner], around])
    values = np.vstack([by[inner], np.tile(by[list(FACE_OUTLINE)], (len(_SHARES), 1)) * shares])
    model = fit_thin_plate(sources, -values)
    shift = evaluate_thin_plate(sources, model, square_knots(_KNOTS)).reshape(_KNOTS, _KNOTS, 2) * side_px
    return enlarge_field(shift.astype(np.float32), side_px) * _inside(side_px)


def _towards_border(outline: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points between the outline (N, 2) of a face and the border of the picture, sides of it, and how far they follow.

    So the shift falls evenly; a thin plate that is only held at the border would fold the neck.
    """
    outward = outline - outline.mean(0)
    with np.errstate(divide="ignore"):
        reach = np.where(outward > 0, 1 - outline, -outline) / outward
    to_border = outward * np.clip(np.nanmin(reach, 1), 0, None)[:, None]
    points = np.vstack([outline + share * to_border for share in _SHARES])
    return points, np.repeat(1 - np.array(_SHARES), len(outline))[:, None]


def _inside(side_px: int) -> Plane:
    """(P, P, 1) 0 at the border of a picture, 1 from `_FADE` on."""
    places = np.arange(side_px, dtype=np.float32)
    near = smoothstep((np.minimum(places, places[::-1]) / side_px).astype(np.float32), 0.0, _FADE)
    return np.minimum(near[:, None], near[None])[..., None]


def _to_picture(pose: HeadPose, moves: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 3) in units of the pose -> (N, 2) px."""
    return (pose.scale * moves @ pose.rotation.T)[:, :2]


def _eyes(points: Plane) -> tuple[Plane, float]:
    """Point midway between the eyes, and the distance of their middles."""
    corners = points[list(LANDMARK_POINTS[:4])]
    left, right = corners[:2].mean(0), corners[2:].mean(0)
    return (left + right) / 2, float(np.linalg.norm(right - left))
