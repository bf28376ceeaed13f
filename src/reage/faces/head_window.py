"""The window around a head in which reenactment works, and what the face generator sees of it.

Convention:
    the window is a square out of the aligned crop, from the hair to below the chin, `WINDOW_UNITS` face units a side;
    pictures RGB uint8 (S, S, 3); meshes (478, 3) px of the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.faces.common_face import mirrored_points
from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP
from reage.faces.mesh_warp import MeshWarp, make_warp
from reage.images import geometry
from reage.types import Matrix, Pixels, Plane

WINDOW_UNITS = 3.6
_BELOW_EYES = 0.25
"""Centre of the window, face units below the eyes."""
_FILL_SIGMA = 0.03
"""Standard deviation, in sides of the window, of the blur that fills what no picture shows."""


_STEADIER_LEVELS, _LIGHT_RATIOS = 8.0, (0.5, 2.0)
"""Levels added to both sides of the ratio of light between the halves of a face, and its bounds."""


@dataclass(frozen=True)
class WarpedHead:
    """A head in another pose, as far as its picture shows it.

    Args:
        picture: (S, S, 3) the warped picture; what it shows at hidden pixels means nothing.
        hidden: (S, S) bool.
        moved: (S, S) bool, what the mesh and its rings cover.
        mirrored: (S, S, 3) the mirror image of the source in the same pose: the other half of the face.
        mirrored_hidden: (S, S) bool, where that is hidden too.
    """

    picture: Pixels
    hidden: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    mirrored: Pixels
    mirrored_hidden: NDArray[np.bool_]


def window_from_crop(crop_px: int, window_px: int) -> Matrix:
    """(2, 3) matrix from px of an aligned crop to px of the window."""
    scale = window_px / crop_px * FACE_PER_CROP / WINDOW_UNITS
    centre = np.array(EYES_IN_CROP) * crop_px - 0.5 + [0, _BELOW_EYES / FACE_PER_CROP * crop_px]
    offset = (window_px - 1) / 2 - scale * centre
    return np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])


def move_mesh(mesh: Plane, target_from_source: Matrix) -> Plane:
    """A mesh (478, 3) in the px of another frame; its depth is scaled alike."""
    points = geometry.move_points(mesh[:, :2], target_from_source)
    return np.hstack([points, mesh[:, 2:] * geometry.scale_of(target_from_source)]).astype(np.float32)


def mirror_mesh(mesh: Plane, width_px: int) -> Plane:
    """The mesh (478, 3) of the mirrored picture."""
    mirrored = mesh[mirrored_points()].copy()
    mirrored[:, 0] = width_px - 1 - mirrored[:, 0]
    return mirrored


@dataclass(frozen=True)
class HeadWarp:
    """The warp of windows from one mesh to another, made once for all pictures of a face in one pose.

    Args:
        straight: of a picture.
        mirrored: of its mirror image.
    """

    straight: MeshWarp
    mirrored: MeshWarp

    def apply(self, picture: Pixels, unknown: NDArray[np.bool_] | None = None) -> WarpedHead:
        """The head of a window (S, S, 3), see `warp_head`."""
        flipped = np.ascontiguousarray(picture[:, ::-1])
        mirrored_hidden = _find_hidden(self.mirrored, None if unknown is None else unknown[:, ::-1])
        return WarpedHead(
            picture=geometry.sample(picture, self.straight.places),
            hidden=_find_hidden(self.straight, unknown),
            moved=self.straight.moved,
            mirrored=geometry.sample(flipped, self.mirrored.places),
            mirrored_hidden=mirrored_hidden | ~self.mirrored.moved,
        )


def make_head_warp(source: Plane, target: Plane, side_px: int) -> HeadWarp:
    """The warp of windows of a side from one mesh to another."""
    straight = make_warp(source, target, side_px, side_px)
    return HeadWarp(straight, make_warp(mirror_mesh(source, side_px), target, side_px, side_px))


def warp_head(picture: Pixels, source: Plane, target: Plane, unknown: NDArray[np.bool_] | None = None) -> WarpedHead:
    """The head of a window warped from one mesh to another.

    Args:
        picture: (S, S, 3).
        source: its mesh.
        target: the mesh to reach.
        unknown: (S, S) pixels of the picture that show nothing; all are known by default.
    """
    return make_head_warp(source, target, len(picture)).apply(picture, unknown)


def _find_hidden(warp: MeshWarp, unknown: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if unknown is None:
        return warp.hidden
    return warp.hidden | (geometry.sample(unknown.astype(np.float32), warp.places) > 0.3)


def to_planes(picture: Pixels) -> Plane:
    """(H, W, 3) -> (3, H, W) in [-1, 1]."""
    return picture.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1


def make_planes(head: WarpedHead, lines: Pixels) -> Plane:
    """The input planes (`NUM_PLANES`, S, S) of the face generator, see `reage.nets.reenactment_config`.

    Args:
        head: of S = `REENACTMENT_PX` px.
        lines: (S, S) the line map of the target mesh.
    """
    filled = fill_hidden(head)
    pictures = [to_planes(picture) for picture in (filled, head.mirrored)]
    masks = [x[None].astype(np.float32) for x in (head.hidden, head.mirrored_hidden, lines / 255, head.moved)]
    pictures[1] = pictures[1] * (1 - masks[1])
    return np.concatenate([pictures[0], masks[0], pictures[1], masks[1], masks[2], masks[3]])


def fill_hidden(head: WarpedHead) -> Pixels:
    """The picture (S, S, 3), hidden pixels filled from the mirror image, and else from what lies around them."""
    mirrored = head.hidden & ~head.mirrored_hidden
    known = np.where(mirrored[..., None], _match_light(head), head.picture.astype(np.float32))
    share = (~head.hidden | mirrored).astype(np.float32)[..., None]
    sigma = _FILL_SIGMA * len(head.picture)
    around = geometry.blur(known * share, sigma) / np.maximum(geometry.blur(share, sigma)[..., None], 1e-3)
    return np.clip(np.where(share > 0, known, around), 0, 255).round().astype(np.uint8)


def _match_light(head: WarpedHead) -> Plane:
    """The mirror image with its light, low-pass, brought to that of the picture where both are known."""
    both = (~head.hidden & ~head.mirrored_hidden & head.moved).astype(np.float32)
    sigma = 2 * _FILL_SIGMA * len(head.picture)
    weight = geometry.blur(both, sigma)[..., None]
    picture, mirrored = head.picture.astype(np.float32), head.mirrored.astype(np.float32)
    seen, seen_mirrored = (geometry.blur(x * both[..., None], sigma) for x in (picture, mirrored))
    steadier = _STEADIER_LEVELS * weight + 0.01
    lit: Plane = mirrored * np.clip((seen + steadier) / (seen_mirrored + steadier), *_LIGHT_RATIOS)
    return lit
