"""The interface of face detectors, and the shipped one: BlazeFace finds faces, the face mesh confirms each of them.

A dark picture is searched brightened too, and a picture in which nothing is found, rotated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from reage.errors import FaceNotFound
from reage.faces.blazeface import BlazeFaceConfig, BlazeFaceHit, Box, roll_degrees, search, suppress_overlaps
from reage.faces.geometry import FIVE_POINTS, template_points
from reage.faces.mesh import FaceMesh, fit_mesh
from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS
from reage.types import FACE_BOX_IN_CROP, Matrix, Pixels, Plane


@dataclass(frozen=True)
class Detection:
    """One detected face.

    Args:
        mesh: (478, 3) px in the image, see `reage.types.Face.mesh`.
        box: brow to chin, xyxy px in the image.
        score: confidence in [0, 1].
    """

    mesh: Plane
    box: Box
    score: float

    @property
    def landmarks(self) -> Plane:
        """The five landmarks (5, 2) px in the image, ordered as `reage.types.Face.landmarks`."""
        return self.mesh[list(LANDMARK_POINTS), :2]


class FaceDetector(Protocol):
    """A face detector that fits meshes, for `reage.faces.finder.FaceFinder`; any class with these methods is one.

    Convention:
        pictures RGB uint8; points (x, y) px; left and right are the viewer's.

    Example:
        >>> FaceFinder(detector=MyDetector()).find(pixels)  # doctest: +SKIP
    """

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces of a picture (H, W, 3), each once, in any order; an empty list when there are none."""
        ...

    def find_in_box(self, pixels: Pixels, box: Box) -> Detection:
        """The face in a box (xyxy px in the image) that a person drew; a `FaceNotFound` when there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Settings of `BlazeFaceDetector`.

    Args:
        blazeface: where faces are searched for.
        min_presence: presence score of the mesh, in [0, 1], below which a find is no face.
        dark_level: mean level, 0 to 255, below which a picture, or a face, is dark and brightened to twice that.
        max_brightening: largest factor of that.
        rotations_degrees: rotations of a picture in which nothing was found, counter-clockwise, multiples of 90.
    """

    blazeface: BlazeFaceConfig = field(default_factory=BlazeFaceConfig)
    min_presence: float = 0.5
    dark_level: float = 50.0
    max_brightening: float = 16.0
    rotations_degrees: tuple[int, ...] = (90, 270, 180)


class BlazeFaceDetector:
    """Finds faces from 20 px up, at any tilt, by BlazeFace and the face mesh, both free to use for any purpose.

    Args:
        config: how the picture is searched.

    Raises:
        WeightsError: when a net is missing.
    """

    def __init__(self, config: DetectorConfig = DetectorConfig()) -> None:
        self.config = config

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces of a picture (H, W, 3), each once, the highest score first."""
        bright = self._brighten(pixels, pixels)
        versions = (
            [pixels] if bright is pixels else [pixels, bright]
        )  # a lit face in the dark is too bright in `bright`
        for degrees in (0, *self.config.rotations_degrees):
            found = [face for version in versions for face in self._detect_rotated(version, degrees)]
            if found:
                return suppress_overlaps(found, self.config.blazeface.max_overlap)
        return []

    def _detect_rotated(self, pixels: Pixels, degrees: int) -> list[Detection]:
        rotated, image_from_rotated = _rotate(pixels, degrees)
        hits = search(rotated, self.config.blazeface)
        meshes = [(self.fit_mesh(rotated, hit), hit) for hit in hits]
        return [
            _describe(mesh, hit, image_from_rotated)
            for mesh, hit in meshes
            if mesh.presence >= self.config.min_presence
        ]

    def find_in_box(self, pixels: Pixels, box: Box) -> Detection:
        """The face in a box (xyxy px in the image) that was drawn by hand.

        Raises:
            FaceNotFound: when the box is empty or outside the picture, or shows no face.
        """
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = box
        given = f"The box {x0:g},{y0:g},{x1:g},{y1:g}"
        if not (x0 < x1 and y0 < y1):
            raise FaceNotFound(f"{given} has no area; give the left, top, right and bottom of the face in px.")
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise FaceNotFound(f"{given} lies outside the picture, which is {width} x {height} px.")
        centre, side_px = np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32), max(x1 - x0, y1 - y0)
        shown = pixels[max(0, math.floor(y0)) : math.ceil(y1), max(0, math.floor(x0)) : math.ceil(x1)]
        bright = self._brighten(pixels, shown)
        meshes = [fit_mesh(bright, centre, side_px, degrees) for degrees in (0.0, 90.0, 180.0, 270.0)]
        mesh = max(meshes, key=lambda mesh: mesh.presence)
        if mesh.presence < self.config.min_presence:
            raise FaceNotFound(f"{given} shows no face; draw it around one, from the brows to the chin.")
        return Detection(mesh.points, face_box(mesh.landmarks), mesh.presence)

    def fit_mesh(self, pixels: Pixels, hit: BlazeFaceHit) -> FaceMesh:
        """The mesh of a find of BlazeFace."""
        return fit_mesh(pixels, hit.centre, hit.side_px, roll_degrees(hit.points))

    def _brighten(self, pixels: Pixels, shown: Pixels) -> Pixels:
        """The picture, made brighter when the shown part of it is dark."""
        return brighten(pixels, shown, self.config.dark_level, self.config.max_brightening)


def brighten(pixels: Pixels, shown: Pixels, dark_level: float, max_factor: float) -> Pixels:
    """A picture (H, W, 3) so bright that a dark part of it (h, w, 3) has twice the dark level; or as it is."""
    step = max(1, max(shown.shape[:2]) // 256)
    level = float(shown[::step, ::step].mean())
    if level >= dark_level:
        return pixels
    factor = min(2 * dark_level / max(level, 1e-3), max_factor)
    levels = np.minimum(np.arange(256) * factor, 255).astype(np.uint8)
    return levels[pixels]


def _rotate(pixels: Pixels, degrees: int) -> tuple[Pixels, Matrix]:
    """The picture rotated counter-clockwise, with its image_from_rotated matrix."""
    height, width = pixels.shape[:2]
    image_from_rotated = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, -1, width - 1], [1, 0, 0]],
        180: [[-1, 0, width - 1], [0, -1, height - 1]],
        270: [[0, 1, 0], [-1, 0, height - 1]],
    }[degrees]
    return np.ascontiguousarray(np.rot90(pixels, degrees // 90)), np.array(image_from_rotated, np.float64)


def _describe(mesh: FaceMesh, hit: BlazeFaceHit, image_from_rotated: Matrix) -> Detection:
    points = geometry.move_points(mesh.points, image_from_rotated)
    return Detection(points, face_box(points[list(LANDMARK_POINTS), :2]), hit.score)


def align(landmarks: Plane, side_px: int) -> Matrix:
    """The (2, 3) similarity crop_from_image that aligns five landmarks (5, 2) px with the mean face in a crop."""
    return geometry.fit_similarity(landmarks, template_points(FIVE_POINTS, side_px))


def face_box(landmarks: Plane) -> Box:
    """Box from brow to chin, upright in the image, around the five landmarks (5, 2) px."""
    image_from_crop = geometry.invert(align(landmarks, 1000))
    corners = np.array([(x, y) for x in FACE_BOX_IN_CROP[::2] for y in FACE_BOX_IN_CROP[1::2]]) * 1000
    centre = geometry.move_points(corners, image_from_crop).mean(0)
    half = 1000 * (FACE_BOX_IN_CROP[2] - FACE_BOX_IN_CROP[0]) / 2 * geometry.scale_of(image_from_crop)
    return (float(centre[0] - half), float(centre[1] - half), float(centre[0] + half), float(centre[1] + half))
