"""The values that all modules share: `Plan`, `CompletePlan`, `Face`, `Reading`, `Aged`, `Layers`.

All are frozen and validated, and need only numpy.

Convention:
    points (x, y) in px; boxes (x0, y0, x1, y1) in px; sizes (height, width);
    images RGB uint8 (H, W, 3); mattes float32 (H, W) in [0, 1];
    a matrix is named target_from_source: `crop_from_image @ (x, y, 1)` is the point in the crop;
    left and right are the viewer's: `.left` is the left side of an upright picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import PlanError
from reage.mesh_points import (
    LANDMARK_POINTS,
    NUM_POINTS,
    measure_eye_openness,
    measure_mouth_openness,
    measure_pose,
)
from reage.skin_scores import check_skin
from reage.zones import check_range, expand_zones

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Samples = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Matrix = NDArray[np.float64]

YOUNGEST_TARGET, OLDEST_TARGET = 1, 100
MAX_STRENGTH = 1.5

GAIN_FLOOR = 0.03
"""Intensity that is added before a logarithm, so that black stays black."""

FACE_BOX_IN_CROP = (0.25, 0.31, 0.75, 0.81)
"""Box of the face, brow to chin, in an aligned crop, xyxy in crop sides."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do with a face; the same picture, plan, engine and weights give the same pixels.

    Args:
        age: target age in years, 1 to 100; None keeps the age, so that only `zones` act.
        zones: zone or group name, see `reage.zones`, -> score in [0, 1]; stored by the full names of zones.
        strength: share of the change that is applied, 0 (none) to 1.5 (exaggerated).
        seed: for engines that draw random numbers, 0 or more.
        age_from: age of the person in the picture, 1 to 100; None to measure it.
        skin: one of `reage.skin_scores.SKIN_SCORES` -> score in [0, 1], see `Reading.skin`.

    Raises:
        PlanError: when a value is outside its range.

    Example:
        >>> Plan(zones={"crows_feet": 0.9, "crows_feet.left": 0.2}).zones["crows_feet.left"]
        0.2
    """

    age: float | None = None
    zones: Mapping[str, float] = field(default_factory=dict)
    strength: float = 1.0
    seed: int = 0
    age_from: float | None = None
    skin: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.age is not None:
            check_range("The target age", self.age, YOUNGEST_TARGET, OLDEST_TARGET)
        if self.age_from is not None:
            check_range("The age of the person", self.age_from, YOUNGEST_TARGET, OLDEST_TARGET)
        check_range("The strength", self.strength, 0, MAX_STRENGTH)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise PlanError(f"The seed is {self.seed!r}; it must be a whole number, 0 or more.")
        object.__setattr__(self, "zones", MappingProxyType(expand_zones(self.zones)))
        object.__setattr__(self, "skin", MappingProxyType(check_skin(self.skin)))
        for name in ("age", "strength", "age_from"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        if self.age is None and not self.zones and not self.skin:
            raise PlanError(
                "The plan asks for nothing: give a target age from 1 to 100, or scores of zones or skin from 0 to 1."
            )

    def __hash__(self) -> int:
        return hash(
            (self.age, *map(tuple, (self.zones.items(), self.skin.items())), self.strength, self.seed, self.age_from)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self.to_json()), ()  # its read-only mapping cannot be pickled

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values; `Plan(**plan.to_json())` is the same plan."""
        return {
            "age": self.age,
            "zones": dict(self.zones),
            "strength": self.strength,
            "seed": self.seed,
            "age_from": self.age_from,
            "skin": dict(self.skin),
        }


@dataclass(frozen=True, kw_only=True)
class CompletePlan(Plan):
    """A plan in which both ages are known, as engines take it; `reage.plan.complete` makes one.

    Args:
        age: target age in years.
        age_from: age in years of the person in the picture.
    """

    age: float = field()
    age_from: float = field()

    __hash__ = Plan.__hash__


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face that was found in a picture, with the aligned crop that engines edit.

    Args:
        box: of the face, brow to chin, px in the image.
        score: confidence of the detector, about 0 (doubtful) to 3 (certain).
        mesh: (478, 3) the points of the face mesh, see `reage.mesh_points`: x and y px in the image, z of the same
            scale, smaller nearer to the camera.
        crop_from_image: (2, 3) similarity matrix.
        crop: (S, S, 3) RGB uint8, upright, from some hair to below the chin.
        matte: (S, S) how far each crop pixel may change: skin and hair 1; eyes, teeth, glasses and background 0.
        skin: (S, S) share of skin, with eyes, lips and glasses.
        bare: (S, S) share of skin without eyes, brows and frames of glasses; also under hair.
        hair: (S, S) share of hair.
        expression: blend shape -> score in [0, 1], see `reage.faces.expression`; empty when it was not measured.
        photo: (H, W, 3) RGB uint8, the picture in which the face was found, not copied; None when only the crop is
            known.
    """

    box: tuple[float, float, float, float]
    score: float
    mesh: Plane
    crop_from_image: Matrix
    crop: Pixels
    matte: Plane
    skin: Plane
    bare: Plane
    hair: Plane
    expression: Mapping[str, float] = field(default_factory=dict)
    photo: Pixels | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        side = self.crop.shape[0]
        assert self.crop.shape == (side, side, 3), self.crop.shape
        assert self.crop.dtype == np.uint8, self.crop.dtype
        for mask in (self.matte, self.skin, self.bare, self.hair):
            assert mask.shape == (side, side), mask.shape
        assert self.mesh.shape == (NUM_POINTS, 3), self.mesh.shape
        assert self.crop_from_image.shape == (2, 3), self.crop_from_image.shape

    @property
    def landmarks(self) -> Plane:
        """(5, 2) px in the image: corners of the left eye, outer first, of the right eye, inner first, nose base."""
        return self.mesh[list(LANDMARK_POINTS), :2]

    @property
    def pose_degrees(self) -> tuple[float, float, float]:
        """Yaw, positive to the right of the picture, pitch, positive upwards, and roll, clockwise."""
        return measure_pose(self.mesh)

    @property
    def eye_openness(self) -> tuple[float, float]:
        """Distance of the lids by the length of the eye, of the left and the right eye: about 0.1 (shut) to 0.4."""
        return measure_eye_openness(self.mesh)

    @property
    def mouth_openness(self) -> float:
        """Distance of the inner lips by the width of the mouth: 0 when it is shut."""
        return measure_mouth_openness(self.mesh)

    @property
    def height_px(self) -> float:
        """Height of the box in the image, px."""
        return self.box[3] - self.box[1]

    @property
    def image_px_per_crop_px(self) -> float:
        """How many image px one crop px covers along a side."""
        return 1.0 / math.sqrt(abs(float(np.linalg.det(self.crop_from_image[:, :2]))))

    def to_crop(self, points: Plane) -> Plane:
        """(N, 2) or (N, 3) px in the image -> the same px in the crop; z is scaled."""
        xy = points[:, :2] @ self.crop_from_image[:, :2].T + self.crop_from_image[:, 2]
        return np.hstack([xy, points[:, 2:] / self.image_px_per_crop_px]).astype(np.float32)

    def in_crop_frame(self) -> Face:
        """The face with its crop as the picture: box and mesh in crop px, the identity as matrix."""
        side = len(self.crop)
        x0, y0, x1, y1 = FACE_BOX_IN_CROP
        return replace(
            self,
            box=(x0 * side, y0 * side, x1 * side, y1 * side),
            mesh=self.to_crop(self.mesh),
            crop_from_image=np.eye(2, 3),
            photo=None,
        )

    def to_json(self) -> dict[str, Any]:
        """Box, score, landmarks and pose as plain values, px in the image and degrees."""
        return {
            "box": [round(float(value), 1) for value in self.box],
            "score": round(float(self.score), 3),
            "landmarks": np.round(self.landmarks.astype(float), 1).tolist(),
            "pose_degrees": dict(zip(("yaw", "pitch", "roll"), np.round(self.pose_degrees, 1).tolist(), strict=True)),
        }


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was measured on a face; `reage.measure.measure_face` makes one.

    Args:
        age_years: expected apparent age.
        age_std_years: its standard deviation.
        masculinity: estimated probability that the face is male, 0 to 1; men and women age differently.
        zones: zone -> score in [0, 1], the share of people whose zone looks younger; hidden zones are left out, and the
            mapping is empty when zones were not measured.
        skin: one of `reage.skin_scores.SKIN_SCORES` -> score in [0, 1], the share of people of the same skin tone who
            have less; what the photo does not show is left out, and it is empty when it was not measured.
    """

    age_years: float
    age_std_years: float
    masculinity: float
    zones: Mapping[str, float] = field(default_factory=dict)
    skin: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceFace:
    """The face of the same person in another photo, at another age; two are equal when they are the same object.

    Args:
        face: as it was found there.
        reading: of it.
    """

    face: Face
    reading: Reading


@dataclass(frozen=True)
class Gain:
    """A change by which a picture is multiplied, at any resolution: the picture keeps its own detail.

    The intensity I, in [0, 1], of a pixel becomes (I + `GAIN_FLOOR`) * exp(log_ratio) - `GAIN_FLOOR`.

    Args:
        log_ratio: (G, G, 3) float32, natural logarithm; 0 leaves a pixel as it is.
        crops: side of the square that it covers, crop sides; its centre is that of the crop.
    """

    log_ratio: Plane
    crops: float = 1.0

    def crop_from_gain(self, crop_px: int) -> Matrix:
        """(2, 3) matrix from px of the gain to px of a crop of that side."""
        scale = self.crops * crop_px / len(self.log_ratio)
        offset = (crop_px - self.crops * crop_px + scale - 1) / 2
        return np.array([[scale, 0, offset], [0, scale, offset]])


@dataclass(frozen=True, kw_only=True)
class Aged:
    """The result of an engine: the aged crop, and how its shape moved.

    Args:
        crop: (S, S, 3) RGB uint8, same size as `Face.crop`.
        shift: (S, S, 2) float32 crop px or None: the aged crop at (x, y) shows what the source crop shows at
            (x, y) + shift. It keeps the fine detail of a face larger than the crop where the shape moves.
        gains: changes that take the place of the difference between the crops; they may reach beyond the crop and be
            finer than it, and hold where the shape has moved to.
        details: what the engine tells of how it was done, as plain values.
    """

    crop: Pixels
    shift: Plane | None = None
    gains: tuple[Gain, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Layers:
    """An aged picture taken apart for a compositor, in the frame and size of the picture.

    The aged picture, in levels from 0 to 255, is (moved + floor) * exp(gain) - floor + added, rounded and clipped, with
    floor = 255 * `GAIN_FLOOR`.

    Args:
        moved: (H, W, 3) RGB uint8, uint16 or float32 as in the picture, after the change of shape.
        gain: (H, W, 3) float32, natural logarithm of the factor, see `Gain`; 0 leaves a pixel as it is.
        added: (H, W, 3) float32, levels.
        skin: (H, W) share of skin, with eyes, lips and glasses, of the faces that were aged, where it has moved to.
        hair: (H, W) share of their hair within the crops.
    """

    moved: Samples
    gain: Plane
    added: Plane
    skin: Plane
    hair: Plane
