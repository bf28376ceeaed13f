"""Labels of skin and hair without a labeller: studio portraits before one coloured backdrop divide themselves.

The backdrop is keyed out by its hue; what is left of the head is divided into skin and hair by colour, from seeds
that the landmarks give. A portrait without a coloured backdrop has no labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import FACE_PER_CROP, face_grid
from reage.images import geometry, regions
from reage.types import Pixels, Plane

Mask = NDArray[np.bool_]

LABEL_PX = 128
_SKIN_SEED, _HAIR_SEED = 3.0, 4.0
_NOT_HAIR_BELOW = 1.35
_LOWEST_SKIN = 2.05
_FEATURES = ((17, 22), (22, 27), (36, 42), (42, 48), (48, 60))


def label_parts(crop: Pixels, dense: Plane) -> tuple[Pixels, Plane, NDArray[np.int64]] | None:
    """A small crop with its labels.

    Args:
        crop: (S, S, 3) RGB uint8.
        dense: (68, 2) crop px.

    Returns:
        Crop (LABEL_PX, LABEL_PX, 3), share of the person, and labels numbered as in `reage.nets.segmentation.CLASSES`; None when
        the backdrop cannot be keyed out.
    """
    person = regions.key_backdrop(crop)
    if person is None:
        return None
    small = geometry.resize(crop, LABEL_PX, LABEL_PX)
    person = geometry.resize(person, LABEL_PX, LABEL_PX).astype(np.float32)
    points = (dense + 0.5) * (LABEL_PX / crop.shape[0]) - 0.5
    grid = face_grid(LABEL_PX)
    head = (person > 0.5) & (grid[..., 1] < 2.0)
    skin = _find_skin(small, _roughness(crop), points, head, person, grid[..., 1])
    hair = _find_hair(small, head & ~skin, grid[..., 1])
    return small, person, np.where(hair, 2, np.where(skin, 1, 0)).astype(np.int64)


def _roughness(crop: Pixels) -> Plane:
    """How much fine texture there is around each pixel of the small crop: hair has more than skin."""
    light = regions.to_lab(crop)[..., 0]
    texture = geometry.blur(np.abs(light - geometry.blur(light, 2.5)), 4.0)
    return geometry.resize(texture, LABEL_PX, LABEL_PX).astype(np.float32)


def _find_skin(crop: Pixels, roughness: Plane, points: Plane, head: Mask, person: Plane, height: Plane) -> Mask:
    unit = LABEL_PX / FACE_PER_CROP
    face = geometry.fill_polygon(points[:27], LABEL_PX, LABEL_PX)
    core = geometry.grow(face, -0.12 * unit) > 0
    for first, last in _FEATURES:
        core &= geometry.grow(geometry.fill_polygon(points[first:last], LABEL_PX, LABEL_PX), 0.06 * unit) == 0
    lab = regions.to_lab(crop)
    centre = np.median(lab[core], 0)
    spread = np.median(np.abs(lab[core] - centre), 0) * 1.48 + np.array([4, 2, 2])
    unlike = np.sqrt((((lab - centre) / spread) ** 2 * np.array([0.6, 1, 1])).sum(-1))
    far = np.linalg.norm((lab - centre) * np.array([0.6, 1, 1]), axis=-1)
    around = head & (face == 0)
    hair = around & (height < 0.9) & (far > 22) & (unlike > _HAIR_SEED)
    well_inside = geometry.grow((person > 0.9).astype(np.float32), -2) > 0
    hair |= around & (height < -0.75) & (roughness > 2.3 * np.median(roughness[core])) & well_inside
    if hair.sum() < 40:
        skin = head & ((unlike < 5) | (face > 0))
    else:
        painted = crop.copy()
        painted[~head] = np.median(crop[hair], 0)
        seeds = geometry.grow(hair.astype(np.float32), -1) > 0
        skin = regions.grab_cut(painted, core, head & (unlike < _SKIN_SEED) & ~seeds, seeds | ~head) & head
    skin |= (face > 0) & (height > -0.25) & head
    skin &= (height < _LOWEST_SKIN) & (np.abs(face_grid(LABEL_PX)[..., 0]) < 1.75)
    parts = regions.connected_parts(regions.without_specks(skin, 3))
    kept = [part for part in parts if (part & core).any() or part.sum() > 60]
    return np.any(kept, axis=0) if kept else skin


def _find_hair(crop: Pixels, rest: Mask, height: Plane) -> Mask:
    """What is left of the head; lower down only what has the colour of the hair above, so that clothes are not hair."""
    lab = regions.to_lab(crop)
    low = height > _NOT_HAIR_BELOW
    if (rest & ~low).sum() > 30:
        colour = np.median(lab[rest & ~low], 0)
        hair = rest & (~low | (np.linalg.norm(lab - colour, axis=-1) < 28))
    else:
        hair = rest & ~low
    parts = regions.connected_parts(regions.without_specks(hair))
    kept = [part for part in parts if part.sum() >= 25 and height[part].min() < 0.4]
    return np.any(kept, axis=0) if kept else np.zeros_like(hair)
