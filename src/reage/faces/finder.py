"""Finds the faces of a picture and cuts the aligned crops that engines edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from reage.errors import FaceNotFound
from reage.faces.blazeface import Box
from reage.faces.detector import BlazeFaceDetector, Detection, FaceDetector, align, face_box
from reage.faces.expression import measure_expression
from reage.faces.segmentation import FaceParser, guess_segmentation, make_matte
from reage.images import geometry
from reage.types import Face, Pixels


@dataclass(frozen=True, kw_only=True)
class FaceFinderConfig:
    """Settings of `FaceFinder`.

    Args:
        crop_px: side of the aligned crop.
    """

    crop_px: int = 512


class FaceFinder:
    """Finds faces: meshes, aligned crops, masks of skin and hair, mattes.

    Args:
        config: size of the crops.
        parser: segments skin and hair; None takes the oval of the face as skin and no hair.
        detector: detects faces and fits meshes; `BlazeFaceDetector` by default.

    Raises:
        WeightsError: when the detector's models are missing.

    Example:
        >>> faces = FaceFinder.load().find(pixels)  # doctest: +SKIP
    """

    def __init__(
        self,
        config: FaceFinderConfig = FaceFinderConfig(),
        parser: FaceParser | None = None,
        detector: FaceDetector | None = None,
    ) -> None:
        self.config = config
        self._parser = parser
        self._detector = detector or BlazeFaceDetector()

    @classmethod
    def load(cls, config: FaceFinderConfig = FaceFinderConfig(), device: str = "cpu") -> Self:
        """A finder with the shipped detector and face parser.

        Args:
            config: size of the crops.
            device: of the parser, see `reage.nets.runtime`; the smaller nets are fastest on the CPU.

        Raises:
            WeightsError: when the parser's weights or the detector's models are missing.
            EngineError: when there is no such device.
        """
        return cls(config, FaceParser.load(device=device))

    def find(self, pixels: Pixels) -> list[Face]:
        """Every face of a picture, the largest first.

        Args:
            pixels: (H, W, 3) RGB uint8.

        Returns:
            Faces with crops of `config.crop_px`; an empty list when there are none.
        """
        detections = sorted(self._detector.detect(pixels), key=lambda hit: hit.box[1] - hit.box[3])
        return [self.cut(pixels, hit) for hit in detections]

    def find_in_box(self, pixels: Pixels, box: Box) -> Face:
        """The face in a box that a person drew around it, where `find` misses it.

        Args:
            pixels: (H, W, 3) RGB uint8.
            box: brow to chin, xyxy px in the image; it need not be exact.

        Raises:
            FaceNotFound: when the box is empty or outside the picture, or shows no face.
        """
        return self.cut(pixels, self._detector.find_in_box(pixels, box))

    def cut(self, pixels: Pixels, hit: Detection) -> Face:
        """The face of a detection in a picture (H, W, 3) RGB uint8."""
        side = self.config.crop_px
        crop_from_image = align(hit.landmarks, side)
        crop = np.ascontiguousarray(geometry.warp(pixels, crop_from_image, side, side))
        mesh = geometry.move_points(hit.mesh, crop_from_image)
        five = geometry.move_points(hit.landmarks, crop_from_image)
        segmentation = self._parser.parse(crop, mesh) if self._parser else guess_segmentation(side, five, mesh)
        return Face(
            box=face_box(hit.landmarks),
            score=hit.score,
            mesh=hit.mesh,
            crop_from_image=crop_from_image,
            crop=crop,
            matte=make_matte(segmentation, five, mesh),
            skin=segmentation.skin,
            bare=segmentation.bare,
            hair=segmentation.hair,
            expression=measure_expression(hit.mesh),
            photo=pixels,
        )


def choose_faces(faces: Sequence[Face], which: str | int | Sequence[int]) -> list[Face]:
    """A selection of faces, which are sorted by size: "all", "largest", or numbers from 1 as `reage find` prints them.

    Several numbers give each face once, in the order of the numbers' size.

    Raises:
        FaceNotFound: when there is no face, or none of that number.
    """
    if not faces:
        raise FaceNotFound(
            "No face was found in the picture, upright, rotated or brightened; use one in which a face looks towards "
            "the camera, or give the face by hand with --box X0,Y0,X1,Y1."
        )
    if which == "all":
        return list(faces)
    if isinstance(which, tuple | list):
        return [face for number in sorted(set(which)) for face in choose_faces(faces, number)]
    number = 1 if which == "largest" else which
    if not isinstance(number, int) or not 1 <= number <= len(faces):
        raise FaceNotFound(f"There is no face {number!r}: choose 'all', 'largest' or a number from 1 to {len(faces)}.")
    return [faces[number - 1]]
