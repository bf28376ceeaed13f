"""Where hair is around a face, in a window wider than the crop, and how light it is when it is grey."""

from __future__ import annotations

import numpy as np

from reage.engines.exemplar.hair import SILVER
from reage.face_classes import CLASSES
from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP, smoothstep, smoothstep_of
from reage.faces.skin_detail import LUMINANCE, log_luminance
from reage.faces.window import mesh_in_window
from reage.images import geometry, regions
from reage.types import Face, Pixels, Plane

WIDE = 2.0
"""Side of the window, crop sides."""
_MASK_PX = 640
"""Most px of the side of the window at which the border of hair is found."""
_LEAST_HAIR = 0.1
"""Square face units of the smallest patch of hair."""
_COLOUR_PX = 160
"""Most px of the side of the window at which the mean colours of hair and of what is beside it are taken."""
_BORDER_UNITS = 0.06
"""Width of the border of hair, face units, in which its colour decides."""
_APART, _SHARES = (8.0, 20.0), (0.15, 0.6)
"""CIE L*a*b* distances between hair and what is beside it, and shares of hair in between, of unlike and like pixels."""
_HAIR_IN_HAT = 0.8
"""Share of a hat in the window that is hair in the crop, from which all of it is hair."""
_SILVER_BY_SKIN = 1.25
"""Luminance of grey hair by that of the brightest skin."""


def find_hair(face: Face, wide: Pixels, shares: Plane) -> Plane:
    """(W, W) share of hair.

    Args:
        face: its crop was parsed already.
        wide: (W, W, 3) window of `WIDE` crop sides.
        shares: (10, P, P) shares of `CLASSES` that the parser found in it.
    """
    side = min(len(wide), _MASK_PX)
    small = geometry.resize(wide, side, side)
    hair = _join_hair(face, small, _share_of_hair(face, shares))
    hair = hair * _like_hair(small, hair, shares[CLASSES.index("skin")])
    hair = _drop_stray_hair(hair, mesh_in_window(face, side, WIDE))
    return np.clip(geometry.resize(hair, len(wide), len(wide)), 0, 1)


def _join_hair(face: Face, wide: Pixels, share: Plane) -> Plane:
    """(W, W) share of hair in the wide window: as found in the crop inside, as found in the window outside."""
    side = len(wide)
    guide = regions.to_lab(wide)[..., 0] / np.float32(100)
    outside = geometry.resize(smoothstep(share, 0.3, 0.8), side, side)
    outside = regions.follow_edges(outside, guide, round(0.01 * side), 1e-3).astype(np.float32)
    half = round(side / WIDE)
    first = (side - half) // 2
    inside, skin = np.zeros_like(outside), np.zeros_like(outside)
    inside[first : first + half, first : first + half] = geometry.resize(face.hair, half, half)
    skin[first : first + half, first : first + half] = geometry.resize(face.skin, half, half)
    inside = inside * (1 - _skin_between_hair(wide, np.clip(inside, 0, 1), skin))
    away = np.abs(geometry.pixel_grid(side, side) - (side - 1) / 2).max(-1) / (half / 2)
    trust, border = smoothstep(away, 1.0, 0.8), smoothstep(away, WIDE, 0.9 * WIDE)
    return ((trust * inside + (1 - trust) * outside) * border).astype(np.float32)


def _share_of_hair(face: Face, shares: Plane) -> Plane:
    """(P, P) share of hair, with that of a hat which is hair by what was found in the crop, where it is seen larger."""
    hair, hat = shares[CLASSES.index("hair")], shares[CLASSES.index("hat")]
    return hair + hat if hat_is_hair(face, shares) else hair


def hat_is_hair(face: Face, shares: Plane) -> bool:
    """Whether what is a hat by the shares (10, P, P) of a window of `WIDE` crop sides is hair by the crop of a face."""
    seen = middle_of(shares[CLASSES.index("hat")], len(face.hair))
    return float((seen * face.hair).sum()) > _HAIR_IN_HAT * float(seen.sum()) > 0


def _like_hair(wide: Pixels, hair: Plane, skin: Plane) -> Plane:
    """(W, W) share of hair that the colour of a pixel near the border shows, between hair and what is behind it.

    Each is the mean colour around of what is surely one or the other, without skin (P, P), which light hair is like;
    where both are alike, or none is near, it is 1.
    """
    side, coarse = len(wide), min(len(wide), _COLOUR_PX)
    border = _BORDER_UNITS * coarse / (WIDE * FACE_PER_CROP)
    few = regions.to_lab(geometry.resize(wide, coarse, coarse))
    sure = (geometry.resize(hair, coarse, coarse) > 0.5).astype(np.float32)
    inside, outside = geometry.grow(sure, -border), 1 - geometry.grow(sure, border)
    outside = outside * (1 - geometry.resize(skin, coarse, coarse))
    (own, own_near), (other, other_near) = (_mean_around(few, where, 2 * border) for where in (inside, outside))
    away = own - other
    apart = (away**2).sum(-1)
    known = np.minimum(own_near, other_near) * smoothstep(np.sqrt(apart), *_APART) * (1 - inside)
    axis = np.concatenate([away / np.maximum(apart, 1)[..., None], other, known[..., None]], -1)
    axis = geometry.resize(axis.astype(np.float32), side, side)
    share = ((regions.to_lab(wide) - axis[..., 3:6]) * axis[..., :3]).sum(-1)
    return (1 - axis[..., 6] * (1 - smoothstep(share, *_SHARES))).astype(np.float32)


def _mean_around(values: Plane, where: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """(H, W, C) mean of values where a mask (H, W) is, weighted by distance, and (H, W) 1 where any of it is near."""
    weight = geometry.blur(where, sigma_px)
    total: Plane = geometry.blur(values * where[..., None], sigma_px)
    return (total / np.maximum(weight, 1e-4)[..., None]).astype(np.float32), smoothstep(weight, 0.005, 0.05)


def _drop_stray_hair(hair: Plane, mesh: Plane) -> Plane:
    """Hair (W, W) without patches that lie within the face as a whole, or are small: no hair grows there."""
    side = len(hair)
    unit = side / (WIDE * FACE_PER_CROP)
    face = geometry.fill_polygon(mesh[:, :2], side, side) > 0
    kept = np.zeros_like(hair)
    for part in regions.connected_parts(hair > 0.2):
        if part.sum() > _LEAST_HAIR * unit**2 and (part & ~face).sum() > 0.2 * part.sum():
            kept[part] = 1
    return hair * geometry.blur(kept, 0.01 * unit)


def measure_silver(face: Face) -> float:
    """Luminance of grey hair in the light of the photo: a little more than that of the brightest skin."""
    skin = face.crop[(face.bare > 0.9) & (face.hair < 0.1)]
    if not len(skin):
        return SILVER
    brightest = float(np.quantile(skin.astype(np.float32) @ LUMINANCE, 0.9)) / 255
    return float(np.clip(brightest * _SILVER_BY_SKIN, 0.2, SILVER))


def _skin_between_hair(wide: Pixels, hair: Plane, skin: Plane) -> Plane:
    """(W, W) what in the hair near the face is as light as skin, where hair is much darker: it must not turn grey."""
    unit = len(wide) / (WIDE * FACE_PER_CROP)
    light = log_luminance(wide)
    on_hair, on_skin = hair > 0.8, (skin > 0.9) & (hair < 0.1)
    if not on_hair.any() or not on_skin.any():
        return np.zeros_like(hair)
    dark, bright = float(np.median(light[on_hair])), float(np.median(light[on_skin]))
    if bright <= dark:
        return np.zeros_like(hair)
    bare = ((skin > 0.5) & (hair < 0.5)).astype(np.float32)
    eyes = round(len(wide) * (0.5 + (EYES_IN_CROP[1] - 0.5) / WIDE))
    near = geometry.grow(bare, 0.12 * unit)
    beside = slice(eyes - round(0.3 * unit), None)  # ears
    near[beside] = geometry.grow(bare, 0.32 * unit)[beside]
    near = geometry.blur(near, 0.05 * unit)
    like = smoothstep(light, dark + 0.35 * (bright - dark), dark + 0.8 * (bright - dark))
    like = like * smoothstep(hair, 1.0, 0.9)  # in sure hair it is a light strand
    return near * like * np.float32(smoothstep_of(bright - dark, 0.4, 0.8))


def middle_of(share: Plane, side_px: int) -> Plane:
    """(S, S) a share of the wide window, in the crop."""
    first = round(len(share) * (1 - 1 / WIDE) / 2)
    middle = np.ascontiguousarray(share[first : len(share) - first, first : len(share) - first])
    return np.clip(geometry.resize(middle, side_px, side_px), 0, 1)
