"""A face warped along its mesh: to another pose and expression, with the pixels known that the picture does not show.

The mesh is joined by rings of points around it, which carry the ears, the hair and the neck: near the face they turn
with the head, on an ellipsoid; the last ring stays where it is, so that nothing beyond it moves. Triangles are painted
from the back to the front (the painter's algorithm), and what lies behind another triangle in the source, looks away
from the camera there, or is stretched too far is hidden.

Convention:
    meshes (478, 3) px of the picture, see `reage.mesh_points`; z smaller nearer to the camera.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import mean_mesh
from reage.faces.geometry import smoothstep
from reage.faces.head_pose import fit_pose
from reage.images import geometry, regions
from reage.mesh_points import FACE_OUTLINE, MOUTH_OUTLINE, NUM_SURFACE
from reage.types import Plane

_CENTRE_UNITS = np.array([0.0, 0.3])
_RINGS = (1.1, 1.22, 1.38)
"""Distances of the rings that belong to the head, in distances of the outline of the face from the centre."""
_ANCHOR = 1.9
"""Distance of the ring that stays."""
_HAIR_GROWTH = 1.6
"""The rings lie so many times farther from the outline above the forehead, where there is hair."""
_BACK_DEPTH = 1.05
"""Face units: depth of the outline of the head, seen from the front."""
_CHIN_UNITS = (0.9, 1.7)
"""Face units below the eyes: where the rings start to belong to the neck, and where they do in full."""
_RING_SHARES = (0.7, 0.35, 0.1)
"""Share of the outline's change of shape that each ring follows."""
_NECK_SHARES = (0.85, 0.6, 0.35)
"""Share of the movement of the head that each ring follows below the chin."""
_NECK_CURL = 0.35
"""Share of its depth that the ellipsoid keeps below the chin, where the neck goes on downwards."""
_MAX_STRETCH = 4.5
"""A triangle drawn so many times larger than in the source, in any direction, shows nothing."""
_MAX_LID_STRETCH = 10.0
"""The same around the eyes, where lids unfold."""
_MAX_EDGE_STRETCH = 2.5
"""The same at the sides of the face, whose narrow triangles show hair as often as skin."""
_EDGE_UNITS = 0.85
"""Face units from the middle at which the sides begin."""
_LIDS_UNITS = (0.1, 0.9, 0.4)
"""Face units: from where to where the eyes and brows reach to the side, and how far above and below the eyes."""
_MAX_MOUTH_GROWTH = 1.8
"""The same for the inside of the mouth, by its area."""
_FAR = 1e6
_SPECK_UNITS = 0.08
"""Hidden strips narrower than this are shown as they are."""
_GAP_UNITS = 0.12
"""Shown strips between hidden pixels that are narrower than this are hidden too."""
_MAX_DEPTH_UNITS = 0.06
"""A point farther than this behind what the source shows there is hidden."""


@dataclass(frozen=True)
class MeshWarp:
    """Where each pixel of a warped picture comes from.

    Args:
        places: (H, W, 2) px of the source; the pixel itself where nothing moves.
        hidden: (H, W) bool, pixels of the head that the source does not show.
        moved: (H, W) bool, pixels that the mesh and its rings cover.
    """

    places: Plane
    hidden: NDArray[np.bool_]
    moved: NDArray[np.bool_]


@dataclass(frozen=True)
class _Cover:
    """Triangles as painted: number of the one in front (H, W), -1 beside them, and its depth (H, W), `_FAR` there."""

    front: NDArray[np.int32]
    depth: Plane


def make_warp(source: Plane, target: Plane, height_px: int, width_px: int) -> MeshWarp:
    """The warp of a picture in which a face has the mesh `source`, to one in which it has the mesh `target`.

    Args:
        source: (478, 3) px.
        target: (478, 3) px, of the same person.
        height_px: of both pictures.
        width_px: of both pictures.
    """
    unit_px = fit_pose(source).scale
    before, after = extend_meshes(source, target)
    cover = _paint(after, height_px, width_px)
    shown = _paint(before, height_px, width_px)
    moved = cover.front >= 0
    triangles, places = cover.front[moved], geometry.pixel_grid(height_px, width_px)
    depth = np.zeros((height_px, width_px), np.float32)
    in_source = _transfer(after, before)
    at = _apply(in_source[triangles], places[moved])
    places[moved], depth[moved] = at[:, :2], at[:, 2]
    behind = depth - geometry.sample(shown.depth, places) > _MAX_DEPTH_UNITS * unit_px
    hidden = behind & moved
    hidden[moved] |= _find_unseen(before, after, in_source)[triangles]
    hidden = _tidy(hidden, unit_px) & moved
    return MeshWarp(places, hidden, moved)


def _tidy(hidden: NDArray[np.bool_], unit_px: float) -> NDArray[np.bool_]:
    """Hidden pixels with narrow gaps closed, and without specks."""
    radius = max(1.0, _GAP_UNITS / 2 * unit_px)
    closed = regions.distance_px(regions.distance_px(~hidden) <= radius) > radius
    return regions.without_specks(closed, max(2, round(_SPECK_UNITS * unit_px)))


def extend_meshes(source: Plane, target: Plane) -> tuple[Plane, Plane]:
    """The points (V, 3) of two meshes of one face with the rings around them, px; the last ring is the same in both."""
    pose_before, pose_after = fit_pose(source), fit_pose(target)
    outline = list(FACE_OUTLINE)
    units = pose_before.to_units(source[outline])
    change = pose_after.to_units(target[outline]) - units
    below = smoothstep(units[:, 1], *_CHIN_UNITS)[:, None]
    before, after = [source[:NUM_SURFACE]], [target[:NUM_SURFACE]]
    for ring, share, neck_share in zip(_RINGS, _RING_SHARES, _NECK_SHARES, strict=True):
        still = _ring(units, ring)
        here = pose_before.to_picture(still)
        turned = pose_after.to_picture(still + share * change)
        before.append(here)
        after.append(here + (turned - here) * (1 - below * (1 - neck_share)))
    anchor = pose_before.to_picture(_ring(units, _ANCHOR))
    return np.vstack([*before, anchor]), np.vstack([*after, anchor])


def _ring(outline: Plane, distance: float) -> Plane:
    """(36, 3) face units: the outline (36, 3) moved outwards, on an ellipsoid that ends at the outline of the head."""
    above = smoothstep(-outline[:, 1], 0.0, 0.9)[:, None]
    farther = 1 + (distance - 1) * (1 + above * (_HAIR_GROWTH - 1))
    flat = _CENTRE_UNITS + farther * (outline[:, :2] - _CENTRE_UNITS)
    share = min(1.0, (distance - 1) / (_RINGS[-1] - 1))
    curl = (1 - np.sqrt(1 - share**2)) * (1 - smoothstep(outline[:, 1], *_CHIN_UNITS)[:, None] * (1 - _NECK_CURL))
    depth = outline[:, 2:] + (_BACK_DEPTH - outline[:, 2:]) * curl
    return np.hstack([flat, depth + max(0.0, distance - _RINGS[-1])]).astype(np.float32)


@cache
def mesh_triangles() -> NDArray[np.int64]:
    """(898, 3) points of each triangle of the face, clockwise in the picture, as in MediaPipe's canonical face."""
    triangles: NDArray[np.int64] = np.array(json.loads(Path(__file__).with_name("triangles.json").read_text()))
    return triangles


@cache
def _triangles() -> NDArray[np.int64]:
    """(T, 3) the triangles of the face, and those between the rings."""
    size = len(FACE_OUTLINE)
    rings = [np.array(FACE_OUTLINE), *(NUM_SURFACE + size * k + np.arange(size) for k in range(len(_RINGS) + 1))]
    strips = []
    for inner, outer in pairwise(rings):
        strips.append(np.stack([inner, np.roll(inner, -1), outer], 1))
        strips.append(np.stack([np.roll(inner, -1), np.roll(outer, -1), outer], 1))
    return np.vstack([mesh_triangles(), *strips])


@cache
def mouth_triangles() -> NDArray[np.int64]:
    """(T, 3) points of each triangle between the lips."""
    return _triangles()[_mouth()]


@cache
def _mouth() -> NDArray[np.bool_]:
    """(T,) triangles between the lips."""
    return np.asarray(np.isin(_triangles(), MOUTH_OUTLINE).all(1))


@cache
def _stretch_limits() -> NDArray[np.float64]:
    """(T,) the stretch up to which each triangle shows something."""
    near, far, height = _LIDS_UNITS
    x, y = np.abs(mean_mesh()[:NUM_SURFACE, :2]).T
    lids = np.isin(_triangles(), np.flatnonzero((x > near) & (x < far) & (y < height))).all(1)
    sides = np.isin(_triangles(), np.flatnonzero(x > _EDGE_UNITS)).any(1)
    return np.where(sides, _MAX_EDGE_STRETCH, np.where(lids, _MAX_LID_STRETCH, _MAX_STRETCH))


def measure_areas(points: Plane, triangles: NDArray[np.int64]) -> Plane:
    """(T,) areas of triangles (T, 3) in the picture, px; negative where they look away from the camera."""
    a, b, c = np.moveaxis(points[triangles][..., :2], 1, 0)
    areas: Plane = ((b - a)[:, 1] * (c - a)[:, 0] - (b - a)[:, 0] * (c - a)[:, 1]) / 2
    return areas


def _paint(points: Plane, height_px: int, width_px: int) -> _Cover:
    """The triangles that face the camera, the farthest first."""
    triangles = _triangles()
    depths = points[triangles][..., 2].mean(1)
    drawn = np.flatnonzero(measure_areas(points, triangles) > 0)
    order = drawn[np.argsort(-depths[drawn], kind="stable")]
    painted = geometry.paint_triangles(points[triangles[order]][..., :2], height_px, width_px)
    front = np.where(painted >= 0, order[painted], -1).astype(np.int32)
    depth = np.full(front.shape, _FAR, np.float32)
    inside = front >= 0
    pixels = geometry.pixel_grid(height_px, width_px)[inside]
    depth[inside] = _apply(_transfer(points, points)[front[inside]], pixels)[:, 2]
    return _Cover(front, depth)


def _apply(matrices: Plane, pixels: Plane) -> Plane:
    """(N, 3, 3), (N, 2) px -> (N, 3) px."""
    moved: Plane = pixels[:, :1] * matrices[:, 0] + pixels[:, 1:] * matrices[:, 1] + matrices[:, 2]
    return moved


def _transfer(from_points: Plane, to_points: Plane) -> Plane:
    """(T, 3, 3) for each triangle the matrix that takes (x, y, 1) in one picture to (x, y, z) in the other."""
    corners = from_points[_triangles()].astype(np.float64)
    corners[..., 2] = 1
    flat = np.abs(np.linalg.det(corners)) < 1e-6
    corners[flat] = np.eye(3)
    matrices: Plane = (np.linalg.inv(corners) @ to_points[_triangles()]).astype(np.float32)
    return matrices


def _find_unseen(before: Plane, after: Plane, in_source: Plane) -> NDArray[np.bool_]:
    """(T,) triangles that the source shows from behind, or too small, or, between the lips, while the mouth opens."""
    areas, mouth = measure_areas(before, _triangles()), _mouth()
    shrinking = np.linalg.svd(in_source[:, :2, :2], compute_uv=False)[:, 1]
    opens = measure_areas(after, _triangles())[mouth].clip(0).sum() > _MAX_MOUTH_GROWTH * areas[mouth].clip(0).sum()
    limits = _stretch_limits()
    unseen: NDArray[np.bool_] = (areas <= 0) | np.where(mouth, opens, shrinking < 1 / limits)
    return unseen
