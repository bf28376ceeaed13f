"""The interface of face detectors, and the shipped one, which uses dlib's HOG detector.

The picture is searched in a copy of bounded size, upright and rotated. Each hit is verified in its own aligned crop,
which removes patterns that resemble a face at one scale only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import dlib
import numpy as np

from reage.faces.geometry import FIVE_POINTS, template_points
from reage.images import geometry
from reage.types import FACE_BOX_IN_CROP, Matrix, Pixels, Plane
from reage.weights import find_dlib_model

Box = tuple[float, float, float, float]

_VIEWER_ORDER = [2, 3, 1, 0, 4]
"""dlib's five points start at the eye on the right of the picture."""


@dataclass(frozen=True)
class Detection:
    """One detected face.

    Args:
        landmarks: (5, 2) px in the image, ordered as `reage.types.Face.landmarks`.
        box: brow to chin, xyxy px in the image.
        score: confidence, about 0 (doubtful) to 3 (certain).
    """

    landmarks: Plane
    box: Box
    score: float


class FaceDetector(Protocol):
    """A face detector with landmarks, as `reage.faces.finder.FaceFinder` uses it; any class with these methods is one.

    Convention:
        pictures RGB uint8; landmarks (x, y) px; left and right are the viewer's.

    Example:
        >>> FaceFinder(detector=MyDetector()).find(pixels)  # doctest: +SKIP
    """

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces of a picture (H, W, 3), each once, in any order; an empty list when there are none."""
        ...

    def find_landmarks(self, crop: Pixels) -> Plane:
        """The five landmarks (5, 2) px, ordered as `Face.landmarks`, of the face in an aligned crop (S, S, 3)."""
        ...

    def find_dense_landmarks(self, crop: Pixels) -> Plane:
        """The 68 landmarks (68, 2) px, ordered as in iBUG 300-W, of the face in an aligned crop (S, S, 3)."""
        ...


@dataclass(frozen=True, kw_only=True)
class DlibDetectorConfig:
    """Settings of `DlibFaceDetector`.

    Args:
        search_px: long side of the upright copy that is searched.
        max_enlargement: a small picture is enlarged at most by this factor for the search.
        rotated_search_px: long side of the rotated copies.
        rotations_degrees: angles of the rotated copies, counter-clockwise.
        min_search_score: hits of the search with a lower score are dropped before they are verified.
        min_score: hits whose mean score of search and verification is lower are dropped.
        max_overlap: two boxes that share at least this part of the smaller one are the same face.
    """

    search_px: int = 1600
    max_enlargement: float = 4.0
    rotated_search_px: int = 800
    rotations_degrees: tuple[float, ...] = (-30.0, 30.0)
    min_search_score: float = -0.1
    min_score: float = 0.4
    max_overlap: float = 0.4


class DlibFaceDetector:
    """A face detector on dlib's HOG detector and five-point model, both free to use for any purpose.

    The 68-point model was trained on iBUG 300-W, whose licence forbids commercial use; it is read at its first use.

    Args:
        config: how the picture is searched.

    Raises:
        WeightsError: when dlib's models are missing.
    """

    def __init__(self, config: DlibDetectorConfig = DlibDetectorConfig()) -> None:
        self.config = config
        self._detector: Any = dlib.get_frontal_face_detector()
        self._five: Any = dlib.shape_predictor(str(find_dlib_model("shape_predictor_5_face_landmarks.dat")))

    @cached_property
    def _sixty_eight(self) -> Any:
        return dlib.shape_predictor(str(find_dlib_model("shape_predictor_68_face_landmarks.dat")))

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces of a picture (H, W, 3), each once, the highest score first."""
        hits = self._search(pixels, self.config.search_px, 0.0)
        for degrees in self.config.rotations_degrees:
            hits += self._search(pixels, self.config.rotated_search_px, degrees)
        verified = [found for hit in hits if (found := self._verify(pixels, hit)) is not None]
        return suppress_overlaps(verified, self.config.max_overlap)

    def find_landmarks(self, crop: Pixels) -> Plane:
        """The five landmarks (5, 2) px, ordered as `Face.landmarks`, of the face in an aligned crop (S, S, 3)."""
        return self._five_points(crop, _crop_box(len(crop)))

    def find_dense_landmarks(self, crop: Pixels) -> Plane:
        """The 68 landmarks (68, 2) px, ordered as in iBUG 300-W, of the face in an aligned crop (S, S, 3)."""
        shape = self._sixty_eight(crop, _crop_box(len(crop)))
        return np.array([(part.x, part.y) for part in shape.parts()], np.float32)

    def _search(self, pixels: Pixels, search_px: int, degrees: float) -> list[Detection]:
        factor = min(self.config.max_enlargement, search_px / max(pixels.shape[:2]))
        copy = np.ascontiguousarray(geometry.resize_by(pixels, factor))
        copy_from_image = np.array([[copy.shape[1] / pixels.shape[1], 0, 0], [0, copy.shape[0] / pixels.shape[0], 0]])
        copy_from_image[:, 2] = (np.diag(copy_from_image[:, :2]) - 1) / 2
        if degrees:
            copy, rotated_from_copy = geometry.rotate_about_centre(copy, degrees)
            copy_from_image = _chain(rotated_from_copy, copy_from_image)
        boxes, scores, _ = self._detector.run(copy, 0, self.config.min_search_score)
        image_from_copy = geometry.invert(copy_from_image)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            points = geometry.move_points(self._five_points(copy, box), image_from_copy)
            found.append(Detection(points, face_box(points), float(score)))
        return found

    def _verify(self, pixels: Pixels, hit: Detection) -> Detection | None:
        """The hit with refined landmarks and the mean score of search and verification; None when it is no face."""
        side = 256
        matrix = align(hit.landmarks, side)
        if not np.isfinite(matrix).all() or not 0.5 < side * geometry.scale_of(matrix) < 1e6:
            return None
        crop = np.ascontiguousarray(geometry.warp(pixels, matrix, side, side))
        boxes, scores, _ = self._detector.run(crop, 0, -1.0)
        centre, width = np.array([side / 2, 0.55 * side]), 0.5 * side
        best = max(
            (
                (float(score), box)
                for box, score in zip(boxes, scores, strict=True)
                if abs(box.center().x - centre[0]) < 0.12 * side
                and abs(box.center().y - centre[1]) < 0.16 * side
                and 0.6 * width < box.width() < 1.6 * width
            ),
            key=lambda found: found[0],
            default=None,
        )
        if best is None or (hit.score + best[0]) / 2 < self.config.min_score:
            return None
        points = geometry.move_points(self._five_points(crop, best[1]), geometry.invert(matrix))
        return Detection(points, face_box(points), (hit.score + best[0]) / 2)

    def _five_points(self, pixels: Pixels, box: Any) -> Plane:
        shape = self._five(pixels, box)
        return np.array([(shape.part(i).x, shape.part(i).y) for i in _VIEWER_ORDER], np.float32)


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


def suppress_overlaps(detections: Sequence[Detection], max_overlap: float) -> list[Detection]:
    """Non-maximum suppression: of detections that overlap by at least that share, only the highest score is kept."""
    kept: list[Detection] = []
    for hit in sorted(detections, key=lambda hit: -hit.score):
        if all(_overlap(hit.box, other.box) < max_overlap for other in kept):
            kept.append(hit)
    return kept


def _crop_box(side_px: int) -> Any:
    """The box that dlib's detector would find in an aligned crop."""
    return dlib.rectangle(*(round(side_px * part) for part in FACE_BOX_IN_CROP))


def _overlap(a: Box, b: Box) -> float:
    """Shared area over the smaller of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _chain(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that applies `first`, then `second`."""
    return np.hstack([second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]])
