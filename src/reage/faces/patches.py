"""Square patches of single zones and of the whole face, which latent diffusion edits, and how they are pasted back.

Convention:
    patches (K, P, P, 3) RGB uint8; places in face units (see `reage.faces.geometry`).
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
"""Context added on each side of a zone's patch, as a share of `Zone.patch_side`; changes fade out in it."""
FACE = "face"
"""Name of the patch of the whole face, from hair to chin."""


@dataclass(frozen=True)
class Patch:
    """A square patch: centre and side in face units, see `reage.faces.geometry`."""

    x: float
    y: float
    side: float


def _patch_names(zone: str) -> tuple[str, ...]:
    return (f"{zone}.left", f"{zone}.right") if zone_row(zone).split_patch else (zone,)


PATCHES_OF_ZONE: Mapping[str, tuple[str, ...]] = MappingProxyType({zone: _patch_names(zone) for zone in ZONES})
"""Zone -> its patches: one, or a left and a right one."""
ZONE_PATCHES = tuple(patch for zone in ZONES for patch in PATCHES_OF_ZONE[zone])
"""Names of the patches of all zones, in the order of `reage.zones.ZONES`."""

_ZONE_OF_PATCH = {patch: zone for zone, patches in PATCHES_OF_ZONE.items() for patch in patches}


def zone_of_patch(name: str) -> str:
    """The zone that one of `ZONE_PATCHES` shows; `FACE` stands for itself."""
    return FACE if name == FACE else _ZONE_OF_PATCH[name]


def _place(name: str) -> Patch:
    zone = zone_of_patch(name)
    shape, side = ZONE_SHAPES[zone], zone_row(zone).patch_side
    x = shape.x if not zone_row(zone).split_patch else -side / 2 if name.endswith("left") else side / 2
    return Patch(x, shape.y, (1 + 2 * MARGIN) * side)


PATCHES: Mapping[str, Patch] = MappingProxyType(
    {name: _place(name) for name in ZONE_PATCHES} | {FACE: Patch(0.0, 0.2, 3.4)}
)
"""Name -> patch: `FACE`, and those of the zones (LDLA, arXiv 2507.21600) with their margin."""

_MIN_FACE_PX = 288


def fine_face_px(picture_px: int) -> int:
    """Side px at which a patch of the whole face has about the detail of zone patches of `picture_px`."""
    return max(_MIN_FACE_PX, 2 * picture_px)


def patch_from_crop(name: str, landmarks: Plane, crop_px: int, patch_px: int) -> Matrix:
    """The (2, 3) matrix into one of `PATCHES` from a crop with five landmarks (5, 2) crop px."""
    patch, unit = PATCHES[name], crop_px / FACE_PER_CROP
    below = patch.y * face_scale(crop_px, landmarks) if patch.y > 0 else patch.y
    centre = np.array([patch.x, below]) * unit + np.array(EYES_IN_CROP) * crop_px - 0.5
    scale = patch_px / (patch.side * unit)
    shift = (patch_px - 1) / 2 - scale * centre
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def cut_patches(crop: AnyPixels, landmarks: Plane, names: Sequence[str], patch_px: int) -> AnyPixels:
    """The K named patches (K, P, P, ...) of a crop (S, S, C) or (S, S) with five landmarks (5, 2) crop px."""
    matrices = (patch_from_crop(name, landmarks, len(crop), patch_px) for name in names)
    return np.stack([geometry.warp(crop, matrix, patch_px, patch_px) for matrix in matrices])


def paste_patches(
    changes: NDArray[np.float32], landmarks: Plane, names: Sequence[str], masks: Mapping[str, Plane], crop_px: int
) -> NDArray[np.float32]:
    """The change of a crop, composed of the changes of patches: each within the mask of its zone, fading at its border.

    Args:
        changes: (K, P, P, C) change of each patch, in any unit.
        landmarks: (5, 2) crop px.
        names: K of `PATCHES`; the patches of one zone follow each other.
        masks: zone, or `FACE`, -> (S, S); they add up to at most 1.
        crop_px: side S of the crop.

    Returns:
        (S, S, C) in that unit; 0 outside all masks.
    """
    fade = _fade(changes.shape[1])[..., None]
    faded = [np.concatenate([change * fade, fade], -1) for change in changes]
    pasted = np.zeros((crop_px, crop_px, changes.shape[-1]), np.float32)
    for zone, own in groupby(zip(names, faded, strict=True), lambda patch: zone_of_patch(patch[0])):
        placed = np.sum([_warp_back(change, landmarks, name, crop_px) for name, change in own], axis=0)
        pasted += masks[zone][..., None] * placed[..., :-1] / np.maximum(placed[..., -1:], 1)
    return pasted


def _warp_back(change: Plane, landmarks: Plane, name: str, crop_px: int) -> Plane:
    crop_from_patch = geometry.invert(patch_from_crop(name, landmarks, crop_px, len(change)))
    return geometry.warp(change, crop_from_patch, crop_px, crop_px, edge="zero")


def _fade(patch_px: int) -> Plane:
    """(P, P) weights: 1 inside, falling smoothly to 0 over the margin."""
    half = (1 + 2 * MARGIN) / 2
    away = half - np.abs((np.arange(patch_px) + 0.5) / patch_px - 0.5) * 2 * half
    row = smoothstep(away.astype(np.float32), 0.0, MARGIN)
    return np.outer(row, row).astype(np.float32)
