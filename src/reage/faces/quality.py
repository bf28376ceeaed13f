"""Whether a face shows enough to be read: three simple measurements, each with a threshold.

Readings of a face that is too small, blurred or turned away are still given; they are less to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reage.images import geometry
from reage.types import Face, Pixels, Plane

_LOOK_PX = 256
_FACE = np.s_[70:200, 60:196]
"""Brows to mouth, in a crop of `_LOOK_PX`."""
_DARKEST = 0.04


@dataclass(frozen=True, kw_only=True)
class QualityRules:
    """Where each flag begins.

    Args:
        smallest_eye_distance_px: between the eye centres in the photo; below it readings of age move by a year.
        least_sharpness: see `measure_sharpness`. A lens blur of 2 % of the eye distance stays above it in 99 % of
            studio portraits, one of 3.3 % falls below it in 99 %.
        most_turned: see `measure_turn`; about 25 to 30 degrees. 99 % of studio portraits stay below 0.14.
    """

    smallest_eye_distance_px: float = 25.0
    least_sharpness: float = 0.25
    most_turned: float = 0.17


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What was measured on a face, and the flags that follow.

    Args:
        eye_distance_px: in the photo.
        sharpness: fine detail for each part of coarse detail, about 0.1 (very blurred) to 1.
        turned: offset of the nose base from the middle of the face in eye distances; positive to the viewer's right.
        rules: where each flag begins.
    """

    eye_distance_px: float
    sharpness: float
    turned: float
    rules: QualityRules = QualityRules()

    @property
    def too_small(self) -> bool:
        """Too few pixels between the eyes."""
        return self.eye_distance_px < self.rules.smallest_eye_distance_px

    @property
    def blurred(self) -> bool:
        """Out of focus, shaken, or enlarged from a smaller picture."""
        return self.sharpness < self.rules.least_sharpness

    @property
    def turned_away(self) -> bool:
        """Not a front view."""
        return abs(self.turned) > self.rules.most_turned

    @property
    def flags(self) -> tuple[str, ...]:
        """What is wrong, in words; empty for a good face."""
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
    """How well the face can be read."""
    left, right = face.landmarks[:2].mean(0), face.landmarks[2:4].mean(0)
    return Quality(
        eye_distance_px=float(np.linalg.norm(right - left)),
        sharpness=measure_sharpness(face.crop),
        turned=measure_turn(face.landmarks),
        rules=rules,
    )


def measure_sharpness(crop: Pixels) -> float:
    """Fine detail of an aligned crop (S, S, 3) for each part of its coarse detail, whatever the contrast and light."""
    light = np.log(geometry.resize(crop, _LOOK_PX, _LOOK_PX).astype(np.float32).mean(-1) / 255 + _DARKEST)
    once, twice, thrice = (geometry.blur(light, sigma_px) for sigma_px in (1.0, 2.0, 4.0))
    fine, coarse = (light - once)[_FACE].std(), (twice - thrice)[_FACE].std()
    return float(fine / max(coarse, 1e-6))


def measure_turn(landmarks: Plane) -> float:
    """Offset of the nose base from the middle between the eyes, along the line of the eyes, in eye distances.

    Args:
        landmarks: (5, 2) in any frame, ordered as `Face.landmarks`.
    """
    left, right = landmarks[:2].mean(0), landmarks[2:4].mean(0)
    across = right - left
    return float((landmarks[4] - (left + right) / 2) @ across / (across @ across))
