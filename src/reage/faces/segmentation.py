"""Segments a crop into skin, hair and the rest, and makes the matte: the pixels that may change.

Convention: masks are float32 (S, S) in [0, 1] in the crop frame; lengths in face units (see `reage.faces.geometry`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reage.errors import WeightsError
from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP, ellipse_mask, face_grid, smoothstep
from reage.faces.headwear import HeadwearDetector
from reage.faces.mesh import to_ibug
from reage.images import geometry, regions, shapes
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, MOUTH_OUTLINE
from reage.nets.runtime import load_session, open_session
from reage.types import Face, Matrix, Pixels, Plane
from reage.zones import Ellipse

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_BORDER = 0.15
"""Share of half the crop over which the matte dies away at its border."""
_MAX_STRAY_HAT = 0.2
"""Share of a hat in what is hair or hat, below which there is no hat: 0.14 on photos without, 0.3 on those with one."""
_HAIRLINE = -1.05
"""Mean height of the hairline."""


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Soft masks of a crop, each (S, S); a doubtful pixel has a low share of everything.

    Args:
        skin: share of skin; facial features, beard and glasses are included.
        bare: share of skin and beard, without eyes, brows, the open mouth and glasses.
        hair: share of hair of the head.
    """

    skin: Plane
    bare: Plane
    hair: Plane


class FaceParser:
    """Segments a crop into ten classes; the borders follow the edges of the picture.

    Args:
        session: of the net, which takes a picture (1, 3, P, P) in [-1, 1] and its face map (1, 6, P / 2, P / 2), and
            gives the shares of `CLASSES` (1, 10, P, P).
        headwear: tells cloth that the net takes for hair; None for what the net gives.

    Example:
        >>> FaceParser.load().parse(face.crop, face.to_crop(face.mesh)).hair.shape  # doctest: +SKIP
        (512, 512)
    """

    def __init__(self, session: InferenceSession, headwear: HeadwearDetector | None = None) -> None:
        self._session, self._headwear = session, headwear
        self._input_px = session.get_inputs()[0].shape[-1]

    @classmethod
    def load(cls, path: str | Path | None = None, device: str = "cpu") -> Self:
        """The shipped face parser, or the net of an ONNX file alone.

        Raises:
            WeightsError: when the file is missing, damaged or another net.
            EngineError: when there is no such device.
        """
        if path is None:
            return cls(load_session("face-parser", device), HeadwearDetector.load())
        session = open_session(path, device)
        if [value.name for value in session.get_inputs()] != ["picture", "face_map"]:
            raise WeightsError(f"{path} is not a face parser; export one with `reage training export`.")
        return cls(session)

    def parse(self, crop: Pixels, mesh: Plane) -> Segmentation:
        """The masks of an RGB uint8 crop (S, S, 3), aligned as `Face.crop`, with the mesh (478, 3) crop px."""
        return segment(self.measure_shares(crop, mesh), crop)

    def measure_shares(self, crop: Pixels, mesh: Plane, crops: float = 1.0) -> Plane:
        """The shares (10, P, P) of `CLASSES` at the resolution of the net.

        Args:
            crop: (S, S, 3), a square of so many crop sides around the face.
            mesh: (478, 2) or (478, 3) px of it.
            crops: 1 for `Face.crop`; the net was trained for 1 to 2.
        """
        side, px = len(crop), self._input_px
        small = geometry.resize(crop, px, px)
        points = geometry.move_points(mesh[:, :2], geometry.resize_matrix(side, px))
        face_map = make_face_map(points, crop_places(px, crops), px)
        picture = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        shares: Plane = self._session.run(None, {"picture": picture[None], "face_map": face_map[None]})[0][0]
        if self._headwear is not None:
            take_headwear_from_hair(self._headwear, shares, crop, mesh, crops)
        return shares


def take_headwear_from_hair(
    detector: HeadwearDetector, shares: Plane, crop: Pixels, mesh: Plane, crops: float = 1.0
) -> None:
    """Makes a hat of what is hair by the shares (10, P, P), but cloth by a detector; see `FaceParser.measure_shares`.

    What lies outside the crop is told by what is beside it inside.
    """
    first, px = round(len(crop) * (1 - 1 / crops) / 2), shares.shape[-1]
    inside, where = (slice(at, size - at) for at, size in ((first, len(crop)), (round(px * (1 - 1 / crops) / 2), px)))
    found = detector.find(crop[inside, inside], shares[:, where, where], mesh[:, :2] - first)
    if not found.any():
        return
    cells = np.pad(found, round(len(found) * (crops - 1) / 2), mode="edge")
    moved = shares[CLASSES.index("hair")] * np.clip(geometry.resize(cells, px, px), 0, 1)
    shares[CLASSES.index("hair")] -= moved
    shares[CLASSES.index("hat")] += moved


def segment(measured: Plane, crop: Pixels) -> Segmentation:
    """The masks of an RGB uint8 crop (S, S, 3) from the shares (10, P, P) of `CLASSES` in it."""
    shares = dict(zip(CLASSES, measured, strict=True))
    hair = _with_stray_hat(shares["hair"], shares["hat"])
    below_eyes = (face_grid(measured.shape[-1])[..., 1] > 0).astype(np.float32)
    bare = shares["skin"] + shares["facial_hair"] * below_eyes
    features = shares["facial_hair"] + shares["eyes"] + shares["mouth"] + shares["glasses"]
    skin, bare, hair = (_to_crop(share, crop) for share in (shares["skin"] + features, bare, hair))
    return Segmentation(skin=skin, bare=bare, hair=smoothstep(hair, 0.25, 0.85))


def _with_stray_hat(hair: Plane, hat: Plane) -> Plane:
    """The share of hair, with that of a hat where so little of one was seen that it is hair taken for a hat."""
    return hair + hat if hat.sum() < _MAX_STRAY_HAT * (hair + hat).sum() else hair


def make_face_map(points: Plane, places_from_picture: Matrix, picture_px: int) -> Plane:
    """Where the face is in a picture, as the net of the parser takes it.

    Args:
        points: (478, 2) mesh, px of the picture.
        places_from_picture: (2, 3) matrix from px of the picture to places in the crop, -1 to 1 inside `Face.crop`.
        picture_px: P, side of the picture.

    Returns:
        (6, P / 2, P / 2): x and y of the place; then 0 to 1 inside the face, the eyes, the brows and the open mouth.
    """
    half = picture_px // 2
    axis = np.arange(half) * 2 + 0.5
    x, y = np.meshgrid(axis, axis)
    places = np.einsum("ij,jhw->ihw", places_from_picture, np.stack([x, y, np.ones_like(x)]))
    outlines = ((FACE_OUTLINE,), EYE_OUTLINES, BROW_OUTLINES, (MOUTH_OUTLINE,))
    masks = [
        shapes.join([shapes.fill_polygon(points[list(outline)], picture_px, picture_px) for outline in group])
        for group in outlines
    ]
    halved = [geometry.resize(mask, half, half).astype(np.float32) / 255 for mask in masks]
    return np.stack([*places, *halved]).astype(np.float32)


def crop_places(side_px: float, crops: float = 1.0) -> Matrix:
    """(2, 3) matrix from px of a square of so many crop sides around the face to places in the crop, -1 to 1."""
    scale, centre = 2 * crops / side_px, (side_px - 1) / 2
    return np.array([[scale, 0, -scale * centre], [0, scale, -scale * centre]])


def _to_crop(share: Plane, crop: Pixels) -> Plane:
    """A share at the resolution of the net in that of the crop, aligned with its edges."""
    side = len(crop)
    guide = regions.to_lab(crop)[..., 0] / np.float32(100)
    enlarged = geometry.resize(share, side, side)
    return regions.follow_edges(enlarged, guide, round(0.04 * side / FACE_PER_CROP), 1e-3).astype(np.float32)


def guess_segmentation(side_px: int, landmarks: Plane, mesh: Plane) -> Segmentation:
    """Segmentation without a net: skin is the oval of the face, and there is no hair."""
    skin = face_oval(side_px, landmarks, mesh)
    bare = skin * (1 - eye_mask(side_px, mesh))
    return Segmentation(skin=skin, bare=bare, hair=np.zeros((side_px, side_px), np.float32))


def eye_mask(side_px: int, mesh: Plane) -> Plane:
    """1 in the eye openings, soft at the lids, from the mesh (478, 3) crop px."""
    unit = side_px / FACE_PER_CROP
    eyes = [geometry.fill_polygon(mesh[list(outline), :2], side_px, side_px) for outline in EYE_OUTLINES]
    return geometry.blur(geometry.grow(np.maximum(*eyes), 0.02 * unit), 0.015 * unit)


def brow_mask(side_px: int, mesh: Plane) -> Plane:
    """1 on the brows and closely around them, from the mesh (478, 3) crop px."""
    brows = [geometry.fill_polygon(mesh[list(outline), :2], side_px, side_px) for outline in BROW_OUTLINES]
    return geometry.grow(np.maximum(*brows), 0.05 * side_px / FACE_PER_CROP)


def face_oval(side_px: int, landmarks: Plane, mesh: Plane) -> Plane:
    """1 on the face from hairline to jaw, soft at the border, from landmarks (5, 2) and mesh (478, 3) crop px."""
    grid = face_grid(side_px, landmarks)
    unit = side_px / FACE_PER_CROP
    points = to_ibug(mesh)
    jaw = geometry.fill_polygon(np.vstack([points[:17], points[[26, 17]] - [0, 1.2 * unit]]), side_px, side_px)
    jaw = geometry.blur(geometry.grow(jaw, -0.03 * unit), 0.035 * unit)
    top = smoothstep(grid[..., 1], _HAIRLINE - 0.12, _HAIRLINE + 0.2)
    return jaw * (ellipse_mask(grid, Ellipse(0.0, 0.4, 1.25, 1.62), 0.08) * top)


def mouth_mask(side_px: int, mesh: Plane) -> Plane:
    """1 between the lips (teeth, tongue), from the mesh (478, 3) crop px."""
    unit = side_px / FACE_PER_CROP
    points = to_ibug(mesh)
    open_mouth = geometry.grow(geometry.fill_polygon(points[60:68], side_px, side_px), 0.015 * unit)
    gap = float(np.linalg.norm(points[66] - points[62]))
    return geometry.blur(open_mouth, 0.015 * unit) * float(np.clip(gap / (0.04 * unit), 0, 1))


def make_matte(segmentation: Segmentation, landmarks: Plane, mesh: Plane) -> Plane:
    """The matte (S, S) of a crop: 1 on skin and beard of the face and on hair, 0 on eyes, teeth, glasses and all else.

    Args:
        segmentation: of the crop.
        landmarks: (5, 2) crop px.
        mesh: (478, 3) crop px.
    """
    side = len(segmentation.bare)
    features = np.maximum(eye_mask(side, mesh), mouth_mask(side, mesh))
    skin = segmentation.bare * face_oval(side, landmarks, mesh) * (1 - features)
    away = np.abs(geometry.pixel_grid(side, side) / ((side - 1) / 2) - 1).max(-1)
    inside = smoothstep(away, 1.0, 1 - _BORDER)  # hair that continues outside the crop must not end in a line
    return (np.clip(np.maximum(skin, segmentation.hair), 0, 1) * inside).astype(np.float32)


def colourfulness(face: Face) -> float:
    """How much colour the skin has: 0 for a black-and-white photo, which must stay one, to 1."""
    chroma = np.ptp(face.crop.astype(np.float32), axis=-1)
    return float(np.clip((chroma * face.skin).sum() / (face.skin.sum() + 1) / 24 - 0.25, 0, 1))


def in_colours_of(face: Face, change: Plane) -> Plane:
    """A change of the crop (S, S, 3) whose colours are reduced as far as the photo has none."""
    light = change.mean(-1, keepdims=True)
    return (light + colourfulness(face) * (change - light)).astype(np.float32)
