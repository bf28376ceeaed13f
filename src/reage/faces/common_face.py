"""The common face: a picture plane in which every face has its features at the same place, and the maps into it.

The plane is the mean face mesh, unrolled from a cylinder around the head, and extended smoothly over the forehead and
below the chin. Between a picture and the plane lies a thin-plate map through the mesh points of the person.

Convention:
    face units: the eyes of the mean mesh are one unit apart, the origin lies between them, x to the viewer's right, y
    down, z away from the camera; the plane shows `COMMON_UNITS` units a side around `_CENTRE`. Places in the plane are
    in sides, 0 to 1, so that they do not depend on its resolution.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import smoothstep
from reage.faces.thin_plate import (
    Points,
    enlarge_field,
    evaluate_thin_plate,
    fit_thin_plate,
    square_knots,
    thin_plate_matrix,
)
from reage.images import geometry, regions
from reage.mesh_points import NUM_SURFACE
from reage.types import Plane

COMMON_UNITS = 4.0
"""Side of the plane, face units."""
_CENTRE = (0.0, 0.45)
_AXIS_DEPTH, _RADIUS = 1.0, 1.15
"""The cylinder: depth of its axis behind the eyes, and its radius."""

_KNOTS = 49
"""The maps are computed on so many knots a side and interpolated, because they are smooth."""
_HIDDEN, _SEEN = 0.1, 0.35
"""Cosine of the angle between the skin and the camera at which it counts as hidden, and as seen in full."""


@dataclass(frozen=True)
class CommonFace:
    """The map between one face and the plane, see `fit_common_face`.

    Args:
        picture_points: (K, K, 2) px of the picture at the knots of the plane.
        visible: (K, K) how far the camera sees the skin, 0 to 1.
        mesh: (478, 2) of the person, px of the picture.
        seen: (478,) mesh points that the camera sees.
    """

    picture_points: Plane
    visible: Plane
    mesh: Plane
    seen: NDArray[np.bool_]

    def straighten(self, side_px: int) -> Plane:
        """(side, side, 2) px of the picture at every pixel of the plane, for `geometry.sample`."""
        return enlarge_field(self.picture_points, side_px)

    def visibility(self, side_px: int) -> Plane:
        """(side, side) `visible` at every pixel of the plane."""
        return np.clip(enlarge_field(self.visible[..., None], side_px), 0, 1).reshape(side_px, side_px)

    def unroll(self, picture_px: int) -> Plane:
        """(P, P, 2) places in the plane, 0 to 1, of every pixel of a square picture; hidden points do not count."""
        seen = _used()[self.seen[_used()]]
        knots = square_knots(_KNOTS) * picture_px - 0.5
        scale = np.ptp(self.mesh[:, 1])
        model = fit_thin_plate(self.mesh[seen] / scale, common_points()[seen])
        places = evaluate_thin_plate(self.mesh[seen] / scale, model, knots / scale)
        return enlarge_field(places.reshape(_KNOTS, _KNOTS, 2).astype(np.float32), picture_px)

    def move(self, moves: NDArray[np.floating], picture_px: int, shift_px: int | None = None) -> Plane:
        """The shift of `reage.types.Aged` by which mesh points are moved in the plane; it dies away outside the face.

        Args:
            moves: (478, 2) sides of the plane.
            picture_px: side of the square picture.
            shift_px: P, side of the shift, which is in px of that size; that of the picture by default.

        Returns:
            (P, P, 2) px.
        """
        still = (common_points() * _KNOTS - 0.5).astype(np.float32)
        moved = ((common_points() + moves) * _KNOTS - 0.5).astype(np.float32)
        by = geometry.sample(self.picture_points, moved[None])[0] - geometry.sample(self.picture_points, still[None])[0]
        return self._fade_out(self.mesh + by, -by, picture_px, shift_px or picture_px)

    def carry(self, moves: NDArray[np.floating], picture_px: int) -> Plane:
        """(P, P, 2) px by which every pixel moves where the mesh points of the picture move by (478, 2) px.

        It dies away outside the face.
        """
        return self._fade_out(self.mesh, np.asarray(moves, np.float64), picture_px, picture_px)

    def _fade_out(
        self, points: NDArray[np.floating], moves: NDArray[np.floating], picture_px: int, shift_px: int
    ) -> Plane:
        """(P, P, 2) px of `shift_px`: a thin plate through moves (478, 2) of points (478, 2) of the picture."""
        scale, knots = float(np.ptp(self.mesh[:, 1])), square_knots(_KNOTS) * picture_px - 0.5
        ring = _ring(self.mesh, scale)
        sources = np.vstack([points[_used()], ring]) / scale
        model = fit_thin_plate(sources, np.vstack([moves[_used()], np.zeros_like(ring)]))
        near = self._near_face(picture_px)
        shift = np.zeros((len(knots), 2))
        shift[near > 0] = evaluate_thin_plate(sources, model, knots[near > 0] / scale) * near[near > 0, None]
        factor = shift_px / picture_px
        return enlarge_field((shift * factor).reshape(_KNOTS, _KNOTS, 2).astype(np.float32), shift_px)

    def _near_face(self, picture_px: int) -> Plane:
        """(K * K,) at the knots of the picture, 1 on the face and less around it: what is beside it stays."""
        side = 4 * _KNOTS
        points = (self.mesh + 0.5) * (side / picture_px) - 0.5
        outside = regions.distance_px(geometry.fill_polygon(points, side, side) == 0) * (picture_px / side)
        near = smoothstep((outside / np.ptp(self.mesh[:, 1])).astype(np.float32), _FADE, 0.0)
        return geometry.resize(near, _KNOTS, _KNOTS).ravel()


_FADE = 0.1
"""Distance from the face at which nothing moves, heights of the face."""
_RING = 0.66
"""Radius of the ring of points that stay where they are, heights of the face."""


def _middle(mesh: Plane) -> Points:
    middle: Points = (mesh.max(0) + mesh.min(0)) / 2
    return middle


def _ring(mesh: Plane, scale: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return _middle(mesh) + _RING * scale * np.stack([np.cos(angles), np.sin(angles)], 1)


def fit_common_face(mesh: Plane) -> CommonFace:
    """The map of a face.

    Args:
        mesh: (478, 3) px of the picture, z of the same scale, smaller nearer to the camera.
    """
    points = (_straightener() @ mesh[_used()]).reshape(_KNOTS, _KNOTS, 3)
    along, down = np.gradient(points, axis=1), np.gradient(points, axis=0)
    normal = np.cross(along, down)
    facing = normal[..., 2] / np.maximum(np.linalg.norm(normal, axis=-1), 1e-9)
    visible = smoothstep(facing.astype(np.float32), _HIDDEN, _SEEN)
    at_points = geometry.sample(visible, (common_points() * _KNOTS - 0.5).astype(np.float32)[None])[0]
    return CommonFace(points[..., :2].astype(np.float32), visible, mesh[:, :2].astype(np.float32), at_points > 0.05)


@cache
def _used() -> NDArray[np.int64]:
    """(N,) half of the points of the skin, as many on the left as on the right: enough for a smooth map."""
    x = mean_mesh()[:NUM_SURFACE, 0]
    left = np.flatnonzero((x < 0.005) & (np.arange(NUM_SURFACE) % 2 == 0))
    return np.unique(np.concatenate([left, mirrored_points()[left]]))


@cache
def mean_mesh() -> Points:
    """(478, 3) the mean mesh of 1,380 people, symmetric and seen from the front, face units."""
    points: Points = np.array(json.loads(Path(__file__).with_name("mean_mesh.json").read_text()), np.float64)
    return points


@cache
def common_points() -> Points:
    """(478, 2) places of the mesh points in the plane, 0 to 1."""
    return unroll_points(mean_mesh())


@cache
def mirrored_points() -> NDArray[np.int64]:
    """(478,) number of the point that each point becomes in a mirrored face."""
    points = mean_mesh()
    squared = ((points[:, None] - points[None] * [-1, 1, 1]) ** 2).sum(-1)
    return squared.argmin(1)


def unroll_points(points: NDArray[np.floating]) -> Points:
    """(N, 3) points of a face seen from the front, face units -> (N, 2) places in the plane."""
    x, y, z = points.T
    return to_places(np.stack([_RADIUS * np.arctan2(x, _AXIS_DEPTH - z), y], 1))


def align_mesh(mesh: Plane) -> Points:
    """(478, 2) places in the plane of a mesh turned, scaled and moved onto the mean mesh: its shape without its pose.

    Args:
        mesh: (478, 3), px of any picture.
    """
    scale, rotation = fit_similarity(mesh, mean_mesh())
    return unroll_points(scale * (mesh.astype(np.float64) - mesh.mean(0)) @ rotation.T + mean_mesh().mean(0))


def fit_similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> tuple[float, Points]:
    """Scale and rotation (3, 3) that bring points (N, 3) around their mean nearest to others (Umeyama, 1991)."""
    a, b = source.astype(np.float64) - source.mean(0), target.astype(np.float64) - target.mean(0)
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return float((values * sign).sum() / (a**2).sum()), (u * sign) @ vt


def to_places(units: NDArray[np.floating]) -> Points:
    """Face units of the plane (..., 2) -> places, 0 to 1."""
    places: Points = (np.asarray(units, np.float64) - _CENTRE) / COMMON_UNITS + 0.5
    return places


def common_grid(side_px: int) -> Plane:
    """(side, side, 2) face units of every pixel of the plane."""
    places = (geometry.pixel_grid(side_px, side_px) + 0.5) / side_px
    return ((places - 0.5) * COMMON_UNITS + np.array(_CENTRE)).astype(np.float32)


@cache
def _straightener() -> Plane:
    """(K * K, N) the matrix that takes values at the used mesh points to the knots of the plane."""
    sources = common_points()[_used()]
    return thin_plate_matrix(sources, square_knots(_KNOTS)).astype(np.float32)
