"""Segments a crop into skin, hair and the rest, and makes the matte: the pixels that may change.

Convention: masks are float32 (S, S) in [0, 1] in the crop frame; lengths in face units (see `reage.faces.geometry`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from reage.faces.geometry import FACE_PER_CROP, ellipse_mask, face_grid, smoothstep
from reage.faces.mesh import to_ibug
from reage.images import geometry, regions
from reage.images.tensors import to_net
from reage.nets.segmentation import SegmentationNet, load_segmentation_net
from reage.types import Face, Pixels, Plane
from reage.zones import Ellipse

_BORDER = 0.15
"""Share of half the crop over which the matte dies away at its border."""
_HAIRLINE = -1.05
"""Mean height of the hairline."""
_RIM_DEPTH, _PIECE_DEPTH = 0.04, 0.08
"""Least drop of log luminance in the rim of glasses, and in a separate piece of it."""
_PIECE_LENGTH = 0.35
"""Least length of such a piece, face units."""


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Soft masks of a crop.

    Args:
        skin: (S, S) share of skin; facial features and glasses are included.
        hair: (S, S) share of hair.
    """

    skin: Plane
    hair: Plane


class FaceParser:
    """Segments a crop into skin, hair and the rest; the borders follow the edges of the picture.

    Args:
        net: in evaluation mode.

    Example:
        >>> FaceParser.load().parse(face.crop).hair.shape  # doctest: +SKIP
        (512, 512)
    """

    def __init__(self, net: SegmentationNet) -> None:
        self._net = net

    @classmethod
    def load(cls, weights: str | Path = "face-parser") -> Self:
        """A face parser with the shipped weights, or those of a file.

        Raises:
            WeightsError: when they are missing, damaged or made for something else.
        """
        return cls(load_segmentation_net(weights))

    @torch.inference_mode()
    def parse(self, crop: Pixels) -> Segmentation:
        """The masks of skin and hair, (S, S) each, of an RGB uint8 crop (S, S, 3)."""
        side, small = crop.shape[0], self._net.config.input_px
        shares = self._net(to_net(geometry.resize(crop, small, small)))[0].softmax(0).numpy()
        guide = regions.to_lab(crop)[..., 0] / np.float32(100)
        unit = side / FACE_PER_CROP
        skin, hair = (
            regions.follow_edges(geometry.resize(share, side, side), guide, round(0.05 * unit), 1e-3)
            for share in shares[1:]
        )
        return Segmentation(skin=skin.astype(np.float32), hair=smoothstep(hair, 0.35, 0.85))


def guess_segmentation(side_px: int, landmarks: Plane, mesh: Plane) -> Segmentation:
    """Segmentation without a net: skin is the oval of the face, and there is no hair."""
    return Segmentation(skin=face_oval(side_px, landmarks, mesh), hair=np.zeros((side_px, side_px), np.float32))


def eye_mask(side_px: int, landmarks: Plane) -> Plane:
    """1 in the eye openings, from the eye corners (5, 2) crop px alone."""
    mask = np.zeros((side_px, side_px), np.float32)
    grid = geometry.pixel_grid(side_px, side_px)
    for outer, inner in ((0, 1), (3, 2)):
        centre = (landmarks[outer] + landmarks[inner]) / 2
        half = float(np.linalg.norm(landmarks[outer] - landmarks[inner])) / 2
        x, y = (grid[..., 0] - centre[0]) / half, (grid[..., 1] - centre[1]) / (0.42 * half)
        mask = np.maximum(mask, smoothstep(np.hypot(x, y), 1.25, 0.95))
    return mask


def face_oval(side_px: int, landmarks: Plane, mesh: Plane) -> Plane:
    """1 on the face from hairline to jaw, soft at the border, from landmarks (5, 2) and mesh (478, 3) crop px."""
    grid = face_grid(side_px, landmarks)
    unit = side_px / FACE_PER_CROP
    points = to_ibug(mesh)
    jaw = geometry.fill_polygon(np.vstack([points[:17], points[[26, 17]] - [0, 1.2 * unit]]), side_px, side_px)
    jaw = geometry.blur(geometry.grow(jaw, -0.03 * unit), 0.035 * unit)
    top = smoothstep(grid[..., 1], _HAIRLINE - 0.12, _HAIRLINE + 0.2)
    return jaw * (ellipse_mask(grid, Ellipse(0.0, 0.4, 1.25, 1.62), 0.08) * top)


def frame_mask(crop: Pixels, landmarks: Plane) -> Plane:
    """1 on strong dark or bright structures around the eyes, which skin does not have: frames, brows, glints, rims."""
    side = crop.shape[0]
    unit = side / FACE_PER_CROP
    light = np.log(crop.astype(np.float32).mean(-1) / 255 + 0.04)
    calm, smooth = geometry.blur(light, 0.012 * unit), geometry.blur(light, 0.16 * unit)
    strong = geometry.grow(smoothstep(np.abs(calm - smooth), 0.30, 0.50), 0.02 * unit)
    grid = face_grid(side, landmarks)
    band = smoothstep(grid[..., 1], -0.55, -0.40) * smoothstep(grid[..., 1], 0.62, 0.48)
    rims = geometry.grow(_find_rims(calm, grid).astype(np.float32), 0.025 * unit)
    return geometry.blur(np.maximum(strong, rims) * band, 0.015 * unit)


def _find_rims(light: Plane, grid: Plane) -> NDArray[np.bool_]:
    """Mask (S, S) of the rims of glasses: thin dark lines that join the eyes over the bridge of the nose.

    Args:
        light: (S, S) log luminance.
        grid: (S, S, 2) face units.
    """
    radius_px = 0.035 * len(light) / FACE_PER_CROP
    depth = geometry.grow(geometry.grow(light, radius_px), -radius_px) - light
    x, y = np.abs(grid[..., 0]), grid[..., 1]
    near = (y > -0.55) & (y < 0.62) & ((x > 0.12) | ((y > -0.22) & (y < 0.3)))
    rims = regions.keep_connected_parts(
        near & (depth > _RIM_DEPTH), lambda box: (box[:, 0] < -0.3) & (box[:, 2] > 0.3), grid
    )
    if not rims.any():
        return rims
    return rims | regions.keep_connected_parts(
        near & (depth > _PIECE_DEPTH), lambda box: _length(box) > _PIECE_LENGTH, grid
    )


def _length(box: Plane) -> Plane:
    return np.max(box[:, 2:] - box[:, :2], 1)


def mouth_mask(side_px: int, mesh: Plane) -> Plane:
    """1 between the lips (teeth, tongue), from the mesh (478, 3) crop px."""
    unit = side_px / FACE_PER_CROP
    points = to_ibug(mesh)
    open_mouth = geometry.grow(geometry.fill_polygon(points[60:68], side_px, side_px), 0.015 * unit)
    gap = float(np.linalg.norm(points[66] - points[62]))
    return geometry.blur(open_mouth, 0.015 * unit) * float(np.clip(gap / (0.04 * unit), 0, 1))


def bare_skin(crop: Pixels, landmarks: Plane, skin: Plane) -> Plane:
    """The skin mask (S, S) without eyes, brows, and frames and glints of glasses.

    Args:
        crop: (S, S, 3) RGB uint8.
        landmarks: (5, 2) crop px.
        skin: (S, S) see `Segmentation`.
    """
    return (skin * (1 - eye_mask(len(crop), landmarks)) * (1 - frame_mask(crop, landmarks))).astype(np.float32)


def make_matte(bare: Plane, hair: Plane, landmarks: Plane, mesh: Plane) -> Plane:
    """The matte (S, S) of a crop: 1 on skin of the face and hair, 0 on eyes, teeth, glasses frames and all else.

    Args:
        bare: (S, S) see `bare_skin`.
        hair: (S, S) see `Segmentation`.
        landmarks: (5, 2) crop px.
        mesh: (478, 3) crop px.
    """
    side = len(bare)
    skin = bare * face_oval(side, landmarks, mesh) * (1 - mouth_mask(side, mesh))
    away = np.abs(geometry.pixel_grid(side, side) / ((side - 1) / 2) - 1).max(-1)
    inside = smoothstep(away, 1.0, 1 - _BORDER)  # hair that continues outside the crop must not end in a line
    return (np.clip(np.maximum(skin, hair), 0, 1) * inside).astype(np.float32)


def colourfulness(face: Face) -> float:
    """How much colour the skin has: 0 for a black-and-white photo, which must stay one, to 1."""
    chroma = np.ptp(face.crop.astype(np.float32), axis=-1)
    return float(np.clip((chroma * face.skin).sum() / (face.skin.sum() + 1) / 24 - 0.25, 0, 1))


def in_colours_of(face: Face, change: Plane) -> Plane:
    """A change of the crop (S, S, 3) whose colours are reduced as far as the photo has none."""
    light = change.mean(-1, keepdims=True)
    return (light + colourfulness(face) * (change - light)).astype(np.float32)
