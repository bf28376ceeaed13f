"""What a similarity means: how often two different people reach it, by recognizer and way of matching.

Measured by `benchmarks/sketch_matching.py` on 93,732 pairs of two held-out people; the
sketches are pencil portraits and composites drawn by rules, none by an artist.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

FALSE_MATCH_RATE = 0.001
"""False match rate at which two faces count as one person."""


@dataclass(frozen=True)
class Calibration:
    """The similarities at which shares of impostors are accepted.

    Args:
        rates: false match rates, falling.
        scores: the similarity (rising) that each of them needs.
    """

    rates: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def threshold(self) -> float:
        """The similarity from which two faces count as one person."""
        return float(np.interp(-math.log(FALSE_MATCH_RATE), -np.log(self.rates), self.scores))

    def false_match_rate(self, score: float) -> float:
        """How often two different people reach a similarity; within the measured rates."""
        return float(np.exp(np.interp(score, self.scores, np.log(self.rates))))


_RATES = (0.1, 0.01, 0.001)
CALIBRATIONS: Mapping[tuple[str, str], Calibration] = MappingProxyType(
    {
        ("aifd", "direct"): Calibration(_RATES, (0.204, 0.387, 0.519)),
        ("aifd", "synthesis"): Calibration(_RATES, (0.226, 0.406, 0.535)),
        ("aifd", "reverse"): Calibration(_RATES, (0.198, 0.375, 0.513)),
        ("aifd", "photo"): Calibration(_RATES, (0.207, 0.401, 0.543)),
        ("dlib", "direct"): Calibration(_RATES, (-0.699, -0.587, -0.479)),
        ("dlib", "synthesis"): Calibration(_RATES, (-0.675, -0.569, -0.466)),
        ("dlib", "reverse"): Calibration(_RATES, (-0.699, -0.587, -0.488)),
        ("dlib", "photo"): Calibration(_RATES, (-0.705, -0.582, -0.472)),
    }
)
"""Recognizer, way of matching -> its calibration."""


def find_calibration(recognizer: str, mode: str) -> Calibration | None:
    """The calibration of a recognizer and a way of matching; None where it was not measured."""
    return CALIBRATIONS.get((recognizer, mode))
