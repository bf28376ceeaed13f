"""A face in one frame: its crop and masks by one pass of the face parser, steadied by the frames around it.

Convention: shares are (10, P, P) of `reage.face_classes.CLASSES` in a window of two crop sides, as the engines take
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reage.face_classes import CLASSES
from reage.faces.detector import align, face_box
from reage.faces.segmentation import FaceParser, make_matte, segment
from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Face, Matrix, Pixels, Plane

WIDE = 2.0
"""Side of the window, crop sides."""
CROP_PX = 256
"""Side of the crops of faces in frames."""
REACH = 2
"""Frames before and after by which masks are steadied."""
_HAIR, _HAT = CLASSES.index("hair"), CLASSES.index("hat")


@dataclass(frozen=True)
class Look:
    """What one frame shows of a face.

    Args:
        mesh: (478, 3) px of the frame.
        crop_from_image: (2, 3).
        crop: (S, S, 3).
        shares: see the convention of this module; None where the parser did not see the frame.
    """

    mesh: Plane
    crop_from_image: Matrix
    crop: Pixels
    shares: Plane | None


def look_at(pixels: Pixels, mesh: Plane, parser: FaceParser | None) -> Look:
    """What a frame (H, W, 3) shows of the face with a mesh (478, 3); without a parser, its crop."""
    crop_from_image = align(mesh[list(LANDMARK_POINTS), :2], CROP_PX)
    if parser is None:
        crop = geometry.warp(pixels, crop_from_image, CROP_PX, CROP_PX)
        return Look(mesh, crop_from_image, np.ascontiguousarray(crop), None)
    window, shares = _parse(pixels, mesh, parser)
    offset = (len(window) - CROP_PX) // 2
    crop = np.ascontiguousarray(window[offset : offset + CROP_PX, offset : offset + CROP_PX])
    return Look(mesh, crop_from_image, crop, shares)


def place_window(mesh: Plane, side_px: int) -> Matrix:
    """(2, 3) matrix from px of a frame to px of the window of a side around the face with a mesh (478, 3)."""
    inner = side_px / WIDE
    matrix = align(mesh[list(LANDMARK_POINTS), :2], CROP_PX) * (inner / CROP_PX)
    matrix[:, 2] += (inner / CROP_PX - 1) / 2 + (side_px - inner) / 2
    return matrix


def find_shares(pixels: Pixels, mesh: Plane, parser: FaceParser) -> Plane:
    """The shares of a frame (H, W, 3) around the face with a mesh (478, 3), see the convention of this module."""
    return _parse(pixels, mesh, parser)[1]


def _parse(pixels: Pixels, mesh: Plane, parser: FaceParser) -> tuple[Pixels, Plane]:
    """The window around a face, and the shares in it."""
    side = round(WIDE * CROP_PX)
    window_from_image = place_window(mesh, side)
    window = np.ascontiguousarray(geometry.warp(pixels, window_from_image, side, side))
    return window, parser.measure_shares(window, geometry.move_points(mesh, window_from_image), WIDE)


def steady_shares(own: Plane | None, before: Sequence[Plane], after: Sequence[Plane]) -> Plane:
    """The shares of a frame without what one frame alone shows, and the hair as a mean.

    Args:
        own: shares of the frame; None where the parser did not see it, but those beside it.
        before: of the frames up to `REACH` before that the parser saw, the nearest first.
        after: of those after, likewise.
    """
    if own is None:
        return (before[0] + after[0]) * np.float32(0.5)
    if not before or not after:
        return own
    a, c = before[0], after[0]
    steady = np.maximum(np.minimum(a, own), np.minimum(np.maximum(a, own), c))  # the median of three
    around = [own, *before, *after]
    weights = [3.0, *(2.0 - index for index in range(len(before))), *(2.0 - index for index in range(len(after)))]
    total = sum(weights)
    steady[_HAIR] = np.sum([weight / total * one[_HAIR] for weight, one in zip(weights, around, strict=True)], axis=0)
    return steady


def join_hat(shares: Plane) -> Plane:
    """The shares with that of a hat as hair."""
    joined = shares.copy()
    joined[_HAIR] += joined[_HAT]
    joined[_HAT] = 0
    return joined


def bare_face(pixels: Pixels, mesh: Plane) -> Face:
    """The face with a mesh (478, 3) in a frame (H, W, 3), without masks."""
    look, nothing = look_at(pixels, mesh, None), np.zeros((CROP_PX, CROP_PX), np.float32)
    return Face(
        box=face_box(mesh[list(LANDMARK_POINTS), :2]),
        score=1.0,
        mesh=mesh,
        crop_from_image=look.crop_from_image,
        crop=look.crop,
        matte=nothing,
        skin=nothing,
        bare=nothing,
        hair=nothing,
        photo=pixels,
    )


def make_face(pixels: Pixels, look: Look, shares: Plane) -> Face:
    """The face of a frame (H, W, 3), with the masks of the shares."""
    px = shares.shape[-1]
    first = round(px * (1 - 1 / WIDE) / 2)
    segmentation = segment(np.ascontiguousarray(shares[:, first : px - first, first : px - first]), look.crop)
    landmarks = look.mesh[list(LANDMARK_POINTS), :2]
    mesh = geometry.move_points(look.mesh, look.crop_from_image)
    five = geometry.move_points(landmarks, look.crop_from_image)
    return Face(
        box=face_box(landmarks),
        score=1.0,
        mesh=look.mesh,
        crop_from_image=look.crop_from_image,
        crop=look.crop,
        matte=make_matte(segmentation, five, mesh),
        skin=segmentation.skin,
        bare=segmentation.bare,
        hair=segmentation.hair,
        photo=pixels,
    )
