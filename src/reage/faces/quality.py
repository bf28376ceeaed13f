"""Measures whether a face is large, sharp and frontal enough for reliable readings.

Faces that are not are still measured; the flags say which readings are less reliable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reage.images import geometry
from reage.types import Face, Pixels, Plane

_CROP_PX = 256
"""Side that a crop is resized to before its sharpness is measured."""
_BROWS_TO_MOUTH = np.s_[70:200, 60:196]
_LOG_FLOOR = 0.04
"""Added to levels in [0, 1] before the logarithm."""


@dataclass(frozen=True, kw_only=True)
class QualityRules:
    """The thresholds of the flags.

    Args:
        min_eye_distance_px: between the eye centres in the photo; below it, readings of age shift by a year.
        min_sharpness: see `measure_sharpness`. A lens blur of 2 % of the eye distance stays above it in 99 % of
            studio portraits, one of 3.3 % falls below it in 99 %.
        max_turn: see `measure_turn`; about 25 to 30 degrees. 99 % of studio portraits stay below 0.14.
    """

    min_eye_distance_px: float = 25.0
    min_sharpness: float = 0.25
    max_turn: float = 0.17


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The measured quality of a face, and the flags that follow from it.

    Args:
        eye_distance_px: in the photo.
        sharpness: ratio of fine to coarse detail, about 0.1 (very blurred) to 1.
        turned: offset of the nose base from the middle of the face in eye distances; positive to the viewer's right.
        rules: the thresholds of the flags.
    """

    eye_distance_px: float
    sharpness: float
    turned: float
    rules: QualityRules = QualityRules()

    @property
    def too_small(self) -> bool:
        """Whether there are too few pixels between the eyes."""
        return self.eye_distance_px < self.rules.min_eye_distance_px

    @property
    def blurred(self) -> bool:
        """Whether the face is out of focus, motion-blurred, or enlarged from a smaller picture."""
        return self.sharpness < self.rules.min_sharpness

    @property
    def turned_away(self) -> bool:
        """Whether the face is not frontal."""
        return abs(self.turned) > self.rules.max_turn

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that are raised, in words; empty for a good face."""
        wrong = {"too small": self.too_small, "blurred": self.blurred, "turned away": self.turned_away}
        return tuple(words for words, holds in wrong.items() if holds)

    def to_json(self) -> dict[str, Any]:
        """Flags and measurements as plain values."""
        return {
            "too_small": self.too_small,
            "blurred": self.blurred,
            "turned_away": self.turned_away,
            "eye_distance_px": round(self.eye_distance_px, 1),
            "sharpness": round(self.sharpness, 3),
            "turned": round(self.turned, 3),
        }


def measure_quality(face: Face, rules: QualityRules = QualityRules()) -> Quality:
    """The quality of a face."""
    left, right = face.landmarks[:2].mean(0), face.landmarks[2:4].mean(0)
    return Quality(
        eye_distance_px=float(np.linalg.norm(right - left)),
        sharpness=measure_sharpness(face.crop),
        turned=measure_turn(face.landmarks),
        rules=rules,
    )


def measure_sharpness(crop: Pixels) -> float:
    """Ratio of fine to coarse detail of an aligned crop (S, S, 3); it does not depend on contrast and light."""
    light = np.log(geometry.resize(crop, _CROP_PX, _CROP_PX).astype(np.float32).mean(-1) / 255 + _LOG_FLOOR)
    once, twice, thrice = (geometry.blur(light, sigma_px) for sigma_px in (1.0, 2.0, 4.0))
    fine, coarse = (light - once)[_BROWS_TO_MOUTH].std(), (twice - thrice)[_BROWS_TO_MOUTH].std()
    return float(fine / max(coarse, 1e-6))


def measure_turn(landmarks: Plane) -> float:
    """Offset of the nose base from the middle between the eyes, along the line of the eyes, in eye distances.

    Args:
        landmarks: (5, 2) in any frame, ordered as `Face.landmarks`.
    """
    left, right = landmarks[:2].mean(0), landmarks[2:4].mean(0)
    across = right - left
    return float((landmarks[4] - (left + right) / 2) @ across / (across @ across))
