"""Square patches of single zones and of the whole face, which latent diffusion edits, and how they are pasted back.

Zones are cut from the common face (see `reage.faces.common_face`), in which they have the same place and direction on
everybody; whole faces are cut from the aligned crop.

Convention:
    patches (K, P, P, C); places in face units (see `reage.faces.geometry`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import COMMON_UNITS
from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, face_scale, smoothstep
from reage.faces.skin_detail import flat_grid, named_map
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
_BEYOND_ZONE = 0.05
"""Weight of a square beyond its zone, where others may lie over it; in the zone it is 1."""


# Zones in the common face


@cache
def _square_in_plane(name: str) -> tuple[float, float, float]:
    """Left, top and side of the square of one of `ZONE_PATCHES`, sides of the common face."""
    patch, grid = PATCHES[name], flat_grid()
    away = np.abs(grid - np.array([patch.x, patch.y], np.float32)).sum(-1)
    row, column = np.unravel_index(int(away.argmin()), away.shape)
    side = patch.side / COMMON_UNITS
    return (column + 0.5) / len(grid) - side / 2, (row + 0.5) / len(grid) - side / 2, side


def square_from_plane(name: str, plane_px: int, patch_px: int) -> Matrix:
    """The (2, 3) matrix from px of the common face into the square of one of `ZONE_PATCHES`."""
    left, top, side = _square_in_plane(name)
    scale = patch_px / (side * plane_px)
    return np.array(
        [[scale, 0, scale * (0.5 - left * plane_px) - 0.5], [0, scale, scale * (0.5 - top * plane_px) - 0.5]],
        np.float64,
    )


def cut_squares(plane: AnyPixels, names: Sequence[str], patch_px: int) -> AnyPixels:
    """The squares (K, P, P, ...) of some of `ZONE_PATCHES` of a plane of the common face (N, N, C) or (N, N)."""
    matrices = (square_from_plane(name, len(plane), patch_px) for name in names)
    return np.stack([geometry.warp(plane, matrix, patch_px, patch_px) for matrix in matrices])


def paste_squares(changes: NDArray[np.float32], names: Sequence[str], plane_px: int) -> Plane:
    """The change of the common face composed of those of squares, each within its zone, fading at the zone's border.

    Args:
        changes: (K, P, P) change of each square, in any unit.
        names: K of `ZONE_PATCHES`; the squares of one zone follow each other.
        plane_px: N.

    Returns:
        (N, N) in that unit; 0 beyond the squares.
    """
    fade = _fade(changes.shape[1])
    total, weights, reach = np.zeros((3, plane_px, plane_px), np.float32)
    for change, name in zip(changes, names, strict=True):
        to_plane = geometry.invert(square_from_plane(name, plane_px, len(change)))
        both = geometry.warp(np.stack([change * fade, fade], -1), to_plane, plane_px, plane_px, edge="zero")
        own = _BEYOND_ZONE + zone_map([zone_of_patch(name)], plane_px)
        total += own * both[..., 0]
        weights += own * both[..., 1]
        reach = np.maximum(reach, both[..., 1])
    pasted: Plane = (reach * total / np.maximum(weights, 1e-6)).astype(np.float32)
    return pasted


def zone_map(names: Sequence[str], plane_px: int) -> Plane:
    """(N, N) 1 in some of `reage.faces.skin_detail.PATCHES` of the common face, 0 in the others, soft between them."""
    return named_map(dict.fromkeys(names, 1.0), plane_px)


# Patches of the aligned crop


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
