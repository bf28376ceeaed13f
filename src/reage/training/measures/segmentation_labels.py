"""Automatic labels of skin and hair, for studio portraits in front of a coloured backdrop.

The backdrop is keyed out by its hue. What is left of the head is divided into skin and hair by colour, with the skin
inside the landmarks as seeds. A portrait without a coloured backdrop has no labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import FACE_PER_CROP, face_grid
from reage.faces.mesh import to_ibug
from reage.images import geometry, regions
from reage.nets.segmentation import CLASSES
from reage.types import Pixels, Plane

Mask = NDArray[np.bool_]

LABEL_PX = 128
_MAX_SKIN_DISTANCE, _MIN_HAIR_DISTANCE = 3.0, 4.0
"""Standardised distance from the colour of the skin, for the seeds of skin and of hair."""
_NECK_HEIGHT, _LOWEST_SKIN = 1.35, 2.05
"""Face units below the eyes: hair further down needs the colour of the hair above; skin ends there."""
_FEATURES = ((17, 22), (22, 27), (36, 42), (42, 48), (48, 60))
"""Ranges of points, see `to_ibug`: brows, eyes and mouth."""


def label_crop(crop: Pixels, mesh: Plane) -> tuple[Pixels, Plane, NDArray[np.int64]] | None:
    """A small crop with its labels.

    Args:
        crop: (S, S, 3) RGB uint8.
        mesh: (478, 3) crop px.

    Returns:
        Crop (LABEL_PX, LABEL_PX, 3), share of the person, and labels, indices into `reage.nets.segmentation.CLASSES`;
        None when the backdrop cannot be keyed out.
    """
    person = regions.key_backdrop(crop)
    if person is None:
        return None
    small = geometry.resize(crop, LABEL_PX, LABEL_PX)
    person = geometry.resize(person, LABEL_PX, LABEL_PX).astype(np.float32)
    points = (to_ibug(mesh) + 0.5) * (LABEL_PX / crop.shape[0]) - 0.5
    height = face_grid(LABEL_PX)[..., 1]
    head = (person > 0.5) & (height < 2.0)
    skin = _find_skin(small, _texture(crop), points, head, person, height)
    hair = _find_hair(small, head & ~skin, height)
    classes = np.where(hair, CLASSES.index("hair"), np.where(skin, CLASSES.index("skin"), CLASSES.index("other")))
    return small, person, classes.astype(np.int64)


def _texture(crop: Pixels) -> Plane:
    """(LABEL_PX, LABEL_PX) strength of fine texture, which is higher in hair than in skin."""
    light = regions.to_lab(crop)[..., 0]
    texture = geometry.blur(np.abs(light - geometry.blur(light, 2.5)), 4.0)
    return geometry.resize(texture, LABEL_PX, LABEL_PX).astype(np.float32)


def _find_skin(crop: Pixels, texture: Plane, points: Plane, head: Mask, person: Plane, height: Plane) -> Mask:
    face = geometry.fill_polygon(points[:27], LABEL_PX, LABEL_PX)
    core = _skin_core(face, points)
    lab = regions.to_lab(crop)
    centre = np.median(lab[core], 0)
    spread = np.median(np.abs(lab[core] - centre), 0) * 1.48 + np.array([4, 2, 2])
    distance = np.sqrt((((lab - centre) / spread) ** 2 * np.array([0.6, 1, 1])).sum(-1))
    lab_distance = np.linalg.norm((lab - centre) * np.array([0.6, 1, 1]), axis=-1)
    around = head & (face == 0)
    hair = around & (height < 0.9) & (lab_distance > 22) & (distance > _MIN_HAIR_DISTANCE)
    well_inside = geometry.grow((person > 0.9).astype(np.float32), -2) > 0
    hair |= around & (height < -0.75) & (texture > 2.3 * np.median(texture[core])) & well_inside
    if hair.sum() < 40:
        skin = head & ((distance < 5) | (face > 0))
    else:
        painted = crop.copy()
        painted[~head] = np.median(crop[hair], 0)
        seeds = geometry.grow(hair.astype(np.float32), -1) > 0
        skin = regions.grab_cut(painted, core, head & (distance < _MAX_SKIN_DISTANCE) & ~seeds, seeds | ~head) & head
    skin |= (face > 0) & (height > -0.25) & head
    skin &= (height < _LOWEST_SKIN) & (np.abs(face_grid(LABEL_PX)[..., 0]) < 1.75)
    components = regions.connected_parts(regions.without_specks(skin, 3))
    kept = [component for component in components if (component & core).any() or component.sum() > 60]
    return np.any(kept, axis=0) if kept else skin


def _skin_core(face: Plane, points: Plane) -> Mask:
    """Pixels that are surely skin: inside the face, apart from brows, eyes and mouth."""
    unit = LABEL_PX / FACE_PER_CROP
    core = geometry.grow(face, -0.12 * unit) > 0
    for first, last in _FEATURES:
        core &= geometry.grow(geometry.fill_polygon(points[first:last], LABEL_PX, LABEL_PX), 0.06 * unit) == 0
    return core


def _find_hair(crop: Pixels, rest: Mask, height: Plane) -> Mask:
    """What is left of the head; below `_NECK_HEIGHT` only in the colour of the hair above, to exclude clothes."""
    lab = regions.to_lab(crop)
    low = height > _NECK_HEIGHT
    if (rest & ~low).sum() > 30:
        colour = np.median(lab[rest & ~low], 0)
        hair = rest & (~low | (np.linalg.norm(lab - colour, axis=-1) < 28))
    else:
        hair = rest & ~low
    components = regions.connected_parts(regions.without_specks(hair))
    kept = [component for component in components if component.sum() >= 25 and height[component].min() < 0.4]
    return np.any(kept, axis=0) if kept else np.zeros_like(hair)
