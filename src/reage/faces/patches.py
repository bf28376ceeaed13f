"""Square patches of single zones and of the whole face, as latent diffusion works on them, and how they are pasted.

Convention:
    patches RGB uint8 (K, P, P, 3); places in face units (see `reage.faces.geometry`); `patch_from_crop` is a similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, face_scale, smoothstep
from reage.images import geometry
from reage.images.geometry import AnyPixels
from reage.types import Matrix, Plane
from reage.zones import ZONE_SHAPES, ZONES, zone_row

MARGIN = 0.15
"""Share of a zone's own side that is added on each side: context, in which a change fades."""
FACE = "face"
"""The patch that holds hair, face and chin."""


@dataclass(frozen=True)
class Patch:
    """Centre and side in face units."""

    x: float
    y: float
    side: float


def _patch_names(zone: str) -> tuple[str, ...]:
    return (f"{zone}.left", f"{zone}.right") if zone_row(zone).split_patch else (zone,)


PATCHES_OF_ZONE: Mapping[str, tuple[str, ...]] = MappingProxyType({zone: _patch_names(zone) for zone in ZONES})
"""Zone -> its patches: one, or a left and a right one."""
ZONE_PATCHES = tuple(patch for zone in ZONES for patch in PATCHES_OF_ZONE[zone])
"""The patches of all zones."""

_ZONE_OF_PATCH = {patch: zone for zone, patches in PATCHES_OF_ZONE.items() for patch in patches}


def zone_of_patch(name: str) -> str:
    """The zone that one of `ZONE_PATCHES` shows."""
    return _ZONE_OF_PATCH[name]


def _place(name: str) -> Patch:
    zone = zone_of_patch(name)
    shape, side = ZONE_SHAPES[zone], zone_row(zone).patch_side
    x = shape.x if not zone_row(zone).split_patch else -side / 2 if name.endswith("left") else side / 2
    return Patch(x, shape.y, (1 + 2 * MARGIN) * side)


PATCHES: Mapping[str, Patch] = MappingProxyType(
    {name: _place(name) for name in ZONE_PATCHES} | {FACE: Patch(0.0, 0.2, 3.4)}
)
"""Name -> patch: those of the zones (LDLA, arXiv 2507.21600) with their margin, and `FACE`."""

_LEAST_FACE_PX = 288


def fine_face_px(picture_px: int) -> int:
    """Side of a whole face in which skin is about as fine as in the patches of zones, for a net of such pictures."""
    return max(_LEAST_FACE_PX, 2 * picture_px)


def patch_from_crop(name: str, landmarks: Plane, crop_px: int, patch_px: int) -> Matrix:
    """(2, 3) matrix from a crop with these five landmarks (5, 2) crop px into one of `PATCHES`."""
    patch, unit = PATCHES[name], crop_px / FACE_PER_CROP
    below = patch.y * face_scale(crop_px, landmarks) if patch.y > 0 else patch.y
    centre = np.array([patch.x, below]) * unit + np.array(EYES_IN_CROP) * crop_px - 0.5
    scale = patch_px / (patch.side * unit)
    shift = (patch_px - 1) / 2 - scale * centre
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def cut_patches(crop: AnyPixels, landmarks: Plane, names: Sequence[str], patch_px: int) -> AnyPixels:
    """Crop (S, S, C) or (S, S), its five landmarks (5, 2) crop px -> one patch (P, P, ...) for each of K names."""
    matrices = (patch_from_crop(name, landmarks, len(crop), patch_px) for name in names)
    return np.stack([geometry.warp(crop, matrix, patch_px, patch_px) for matrix in matrices])


def paste_patches(
    changes: NDArray[np.float32], landmarks: Plane, names: Sequence[str], masks: Mapping[str, Plane], crop_px: int
) -> NDArray[np.float32]:
    """The change of a crop made of those of its zones: each where its mask is, fading at the border of its patch.

    Args:
        changes: (K, P, P, C) change of each patch, in any unit.
        landmarks: (5, 2) crop px.
        names: K of `PATCHES`; all patches of a zone, one after the other.
        masks: (S, S) for each of their zones, which add up to at most 1.
        crop_px: side S of the crop.

    Returns:
        (S, S, C) in that unit; 0 outside all masks.
    """
    fade = _fade(changes.shape[1])[..., None]
    parts = [np.concatenate([change * fade, fade], -1) for change in changes]
    pasted = np.zeros((crop_px, crop_px, changes.shape[-1]), np.float32)
    for zone, own in groupby(zip(names, parts, strict=True), lambda one: zone_of_patch(one[0])):
        placed = np.sum([_put_back(part, landmarks, name, crop_px) for name, part in own], axis=0)
        pasted += masks[zone][..., None] * placed[..., :-1] / np.maximum(placed[..., -1:], 1)
    return pasted


def _put_back(part: Plane, landmarks: Plane, name: str, crop_px: int) -> Plane:
    crop_from_patch = geometry.invert(patch_from_crop(name, landmarks, crop_px, len(part)))
    return geometry.warp(part, crop_from_patch, crop_px, crop_px, edge="zero")


def _fade(patch_px: int) -> Plane:
    """(P, P) 1 within the zone's own patch, falling smoothly to 0 over its margin."""
    half = (1 + 2 * MARGIN) / 2
    away = half - np.abs((np.arange(patch_px) + 0.5) / patch_px - 0.5) * 2 * half
    row = smoothstep(away.astype(np.float32), 0.0, MARGIN)
    return np.outer(row, row).astype(np.float32)
