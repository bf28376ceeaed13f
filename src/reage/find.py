"""Finds the faces of a picture and cuts the aligned crop that every engine works on.

dlib's HOG detector looks at a copy of bounded size, upright and turned; each hit is looked at again in its own aligned
crop, so that a pattern that only once looks like a face is dropped. Landmarks are refined at full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import dlib
import numpy as np

from reage.errors import FaceNotFound
from reage.images import geometry
from reage.matte import Parser, bare_skin, guess_parts, make_matte
from reage.types import Face, Matrix, Pixels, Plane
from reage.weights import find_dlib_model
from reage.zones import FIVE_POINTS, template_points

_VIEWER_ORDER = [2, 3, 1, 0, 4]
"""dlib's five points start at the eye on the right of the picture."""


@dataclass(frozen=True, kw_only=True)
class FinderConfig:
    """How faces are looked for.

    Args:
        crop_px: side of the aligned crop.
        search_px: long side of the copy that is searched.
        most_enlarged: a small picture is enlarged at most this often for the search.
        turned_search_px: long side of the turned copies.
        turns_degrees: the turned copies, counter-clockwise.
        doubtful_score: hits of the first look below this are not looked at again.
        least_score: mean score of both looks from which a hit is a face.
        largest_overlap: share of the smaller of two boxes from which they are one face.
    """

    crop_px: int = 512
    search_px: int = 1600
    most_enlarged: float = 4.0
    turned_search_px: int = 800
    turns_degrees: tuple[float, ...] = (-30.0, 30.0)
    doubtful_score: float = -0.1
    least_score: float = 0.4
    largest_overlap: float = 0.4


@dataclass(frozen=True)
class _Hit:
    points: Plane
    box: tuple[float, float, float, float]
    score: float


class Finder:
    """Finds faces with dlib's HOG detector and its five-point model (both free to use for any purpose).

    The 68-point model was trained on iBUG 300-W, whose licence forbids commercial use; it is read only when asked for.

    Example:
        >>> faces = Finder.load().find(pixels)  # doctest: +SKIP
    """

    def __init__(self, config: FinderConfig = FinderConfig(), parser: Parser | None = None) -> None:
        self.config = config
        self._parser = parser
        self._detector: Any = dlib.get_frontal_face_detector()
        self._five: Any = dlib.shape_predictor(str(find_dlib_model("shape_predictor_5_face_landmarks.dat")))

    @classmethod
    def load(cls, config: FinderConfig = FinderConfig()) -> Self:
        """A finder whose mattes follow the person's own hair and skin; without a parser they go by place alone.

        Raises:
            WeightsError: when the parser's weights or dlib's models are missing.
        """
        return cls(config, Parser.load())

    @cached_property
    def _sixty_eight(self) -> Any:
        return dlib.shape_predictor(str(find_dlib_model("shape_predictor_68_face_landmarks.dat")))

    def find(self, pixels: Pixels, *, dense_landmarks: bool = False) -> list[Face]:
        """Every face of a picture, the largest first.

        Args:
            pixels: (H, W, 3) RGB uint8.
            dense_landmarks: also find the 68 landmarks (not for commercial use, see the class).

        Returns:
            Faces with crops of `config.crop_px`; an empty list when there are none.
        """
        hits = self._look(pixels, self.config.search_px, 0.0)
        for degrees in self.config.turns_degrees:
            hits += self._look(pixels, self.config.turned_search_px, degrees)
        confirmed = [checked for hit in hits if (checked := self._look_again(pixels, hit)) is not None]
        kept = self._drop_repeats(confirmed)
        kept.sort(key=lambda hit: hit.box[1] - hit.box[3])
        return [self._cut(pixels, hit, dense_landmarks) for hit in kept]

    def _look(self, pixels: Pixels, search_px: int, degrees: float) -> list[_Hit]:
        factor = min(self.config.most_enlarged, search_px / max(pixels.shape[:2]))
        copy = np.ascontiguousarray(geometry.resize_by(pixels, factor))
        copy_from_image = np.array([[copy.shape[1] / pixels.shape[1], 0, 0], [0, copy.shape[0] / pixels.shape[0], 0]])
        copy_from_image[:, 2] = (np.diag(copy_from_image[:, :2]) - 1) / 2
        if degrees:
            copy, turned_from_copy = geometry.rotate_about_centre(copy, degrees)
            copy_from_image = _chain(turned_from_copy, copy_from_image)
        boxes, scores, _ = self._detector.run(copy, 0, self.config.doubtful_score)
        image_from_copy = geometry.invert(copy_from_image)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            points = geometry.move_points(self._five_points(copy, box), image_from_copy)
            found.append(_Hit(points, _box_around(points), float(score)))
        return found

    def _look_again(self, pixels: Pixels, hit: _Hit) -> _Hit | None:
        """The hit with refined points and the mean score of both looks; None when it is no face."""
        side = 256
        matrix = align(hit.points, side)
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
        if best is None or (hit.score + best[0]) / 2 < self.config.least_score:
            return None
        points = geometry.move_points(self._five_points(crop, best[1]), geometry.invert(matrix))
        return _Hit(points, _box_around(points), (hit.score + best[0]) / 2)

    def _five_points(self, pixels: Pixels, box: Any) -> Plane:
        shape = self._five(pixels, box)
        return np.array([(shape.part(i).x, shape.part(i).y) for i in _VIEWER_ORDER], np.float32)

    def _drop_repeats(self, hits: Sequence[_Hit]) -> list[_Hit]:
        kept: list[_Hit] = []
        for hit in sorted(hits, key=lambda hit: -hit.score):
            if all(_overlap(hit.box, other.box) < self.config.largest_overlap for other in kept):
                kept.append(hit)
        return kept

    def _cut(self, pixels: Pixels, hit: _Hit, dense_landmarks: bool) -> Face:
        side = self.config.crop_px
        crop_from_image = align(hit.points, side)
        points = hit.points
        for _ in range(2):  # whole-pixel points of the small look are refined in the sharp crop
            crop = np.ascontiguousarray(geometry.warp(pixels, crop_from_image, side, side))
            box = dlib.rectangle(*(round(side * part) for part in _BOX_IN_CROP))
            points = geometry.move_points(self._five_points(crop, box), geometry.invert(crop_from_image))
            crop_from_image = align(points, side)
        crop = np.ascontiguousarray(geometry.warp(pixels, crop_from_image, side, side))
        dense = self._dense_points(crop) if dense_landmarks else None
        image_from_crop = geometry.invert(crop_from_image)
        five = geometry.move_points(points, crop_from_image)
        parts = self._parser.parse(crop) if self._parser else guess_parts(side, five, dense)
        bare = bare_skin(crop, five, parts.skin)
        return Face(
            box=_box_around(points),
            score=hit.score,
            landmarks=points,
            crop_from_image=crop_from_image,
            crop=crop,
            matte=make_matte(bare, parts.hair, five, dense),
            skin=parts.skin,
            bare=bare,
            hair=parts.hair,
            dense_landmarks=None if dense is None else geometry.move_points(dense, image_from_crop),
        )

    def _dense_points(self, crop: Pixels) -> Plane:
        box = dlib.rectangle(*(round(crop.shape[0] * part) for part in _BOX_IN_CROP))
        shape = self._sixty_eight(crop, box)
        return np.array([(part.x, part.y) for part in shape.parts()], np.float32)


_BOX_IN_CROP = (0.25, 0.31, 0.75, 0.81)
"""Where the detector sees the face in its own aligned crop, in crop sides."""


def align(points: Plane, side_px: int) -> Matrix:
    """The (2, 3) crop_from_image similarity that puts five landmarks (5, 2) px on their places in a crop."""
    return geometry.fit_similarity(points, template_points(FIVE_POINTS, side_px))


def _box_around(points: Plane) -> tuple[float, float, float, float]:
    """Box from brow to chin, upright in the image, around the five points."""
    image_from_crop = geometry.invert(align(points, 1000))
    corners = np.array([(x, y) for x in _BOX_IN_CROP[::2] for y in _BOX_IN_CROP[1::2]]) * 1000
    centre = geometry.move_points(corners, image_from_crop).mean(0)
    half = 1000 * (_BOX_IN_CROP[2] - _BOX_IN_CROP[0]) / 2 * geometry.scale_of(image_from_crop)
    return (float(centre[0] - half), float(centre[1] - half), float(centre[0] + half), float(centre[1] + half))


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Shared area over the smaller of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _chain(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that applies `first`, then `second`."""
    return np.hstack([second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]])


def choose_faces(faces: Sequence[Face], which: str | int) -> list[Face]:
    """The faces asked for: "all", "largest", or the number (from 1) that `reage find` prints.

    Raises:
        FaceNotFound: when there is no face, or none of that number.
    """
    if not faces:
        raise FaceNotFound("No face was found in the picture; use one in which a face looks towards the camera.")
    if which == "all":
        return list(faces)
    number = 1 if which == "largest" else which
    if not isinstance(number, int) or not 1 <= number <= len(faces):
        raise FaceNotFound(f"There is no face {which!r}: choose 'all', 'largest' or a number from 1 to {len(faces)}.")
    return [faces[number - 1]]
