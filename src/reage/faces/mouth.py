"""The inside of a mouth, taken from another face: a photo with a shut mouth does not show its teeth.

Convention: meshes (478, 3) px, see `reage.mesh_points`; levels from 0 to 255.
"""

from __future__ import annotations

import numpy as np

from reage.faces.head_pose import fit_pose
from reage.faces.head_window import move_mesh
from reage.faces.mesh_warp import make_warp, mouth_triangles
from reage.images import geometry, regions
from reage.mesh_points import EYE_OUTLINES, LIP_OUTLINE, measure_eye_openness, measure_mouth_openness
from reage.types import Face, Plane

_MARGIN = 0.25
"""Of the box around a mouth, face units."""
_SOFTNESS = 0.02
"""Of the border of the inside of a mouth, face units."""
_BRIGHT = 90.0
"""Percentile of the eyes' lightness that shows the light on a face, whatever its skin."""
_MAX_GAIN = 1.6
_OPEN_EYE = 0.17
_MAX_ASPECT_CHANGE = 1.6
"""Teeth whose mouth becomes so many times rounder or flatter would be squeezed."""
_SHUT_MOUTH = 0.02


def mouth_box(mesh: Plane, height_px: int, width_px: int) -> tuple[slice, slice]:
    """Rows and columns of a picture around the mouth of a mesh; empty where it lies outside."""
    lips = mesh[list(LIP_OUTLINE), :2]
    margin = _MARGIN * fit_pose(mesh).scale
    x0, y0 = np.clip(np.floor(lips.min(0) - margin).astype(int), 0, [width_px, height_px]).tolist()
    x1, y1 = np.clip(np.ceil(lips.max(0) + margin).astype(int), 0, [width_px, height_px]).tolist()
    return slice(y0, y1), slice(x0, x1)


def borrow_mouth(driver: Face, mesh: Plane, height_px: int, width_px: int) -> tuple[Plane, Plane]:
    """The inside of another face's mouth in the place of a mesh's.

    Args:
        driver: found in a photo.
        mesh: (478, 3) px of a picture.
        height_px: of that picture.
        width_px: of it.

    Returns:
        (H, W, 3) levels, and (H, W) the share of each pixel that shows the inside, 0 to 1.
    """
    assert driver.photo is not None
    lips = list(LIP_OUTLINE)
    target_from_photo = geometry.fit_similarity(driver.mesh[lips, :2], mesh[lips, :2])
    photo = geometry.warp(driver.photo, target_from_photo, height_px, width_px)
    warp = make_warp(move_mesh(driver.mesh, target_from_photo), mesh, height_px, width_px)
    softness = max(0.7, _SOFTNESS * fit_pose(mesh).scale)
    inside = (geometry.paint_triangles(mesh[mouth_triangles()][..., :2], height_px, width_px) >= 0) & ~warp.hidden
    share = geometry.blur(inside.astype(np.float32), softness) * inside
    return geometry.sample(photo, warp.places).astype(np.float32), share


def is_reshaped(mesh: Plane, target: Plane) -> bool:
    """Whether an open mouth takes so different a form that what it shows is better taken from another one."""
    before, after = (max(measure_mouth_openness(one), _SHUT_MOUTH) for one in (mesh, target))
    return max(before / after, after / before) > _MAX_ASPECT_CHANGE


def light_gain(face: Face, driver: Face) -> float:
    """How many times lighter a face is lit than another, by the whites of the eyes; 1 where they are shut."""
    if min(*measure_eye_openness(face.mesh), *measure_eye_openness(driver.mesh)) < _OPEN_EYE:
        return 1.0
    return float(np.clip(_eye_light(face) / _eye_light(driver), 1 / _MAX_GAIN, _MAX_GAIN))


def _eye_light(face: Face) -> float:
    """Lightness of the whites of the eyes in the crop."""
    side, mesh = len(face.crop), face.to_crop(face.mesh)
    eyes = np.zeros((side, side), bool)
    for outline in EYE_OUTLINES:
        eyes |= geometry.fill_polygon(mesh[list(outline), :2], side, side) > 0
    return float(np.percentile(regions.to_light(face.crop)[eyes], _BRIGHT)) + 1
