"""What a similarity means: how often two different people reach it, by recognizer and way of matching.

Measured by `benchmarks/sketch_matching.py` on 3,481 pairs of two held-out people, so the rate of 0.001 is that of about
three pairs; the sketches are pencil portraits drawn by rules, none by an artist.
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
        ("aifd", "direct"): Calibration(_RATES, (0.193, 0.396, 0.578)),
        ("aifd", "synthesis"): Calibration(_RATES, (0.224, 0.443, 0.587)),
        ("aifd", "reverse"): Calibration(_RATES, (0.182, 0.387, 0.566)),
        ("aifd", "photo"): Calibration(_RATES, (0.196, 0.396, 0.622)),
        ("dlib", "direct"): Calibration(_RATES, (-0.699, -0.571, -0.442)),
        ("dlib", "synthesis"): Calibration(_RATES, (-0.671, -0.540, -0.421)),
        ("dlib", "reverse"): Calibration(_RATES, (-0.697, -0.570, -0.446)),
        ("dlib", "photo"): Calibration(_RATES, (-0.709, -0.569, -0.440)),
    }
)
"""Recognizer, way of matching -> its calibration."""


def find_calibration(recognizer: str, mode: str) -> Calibration | None:
    """The calibration of a recognizer and a way of matching; None where it was not measured."""
    return CALIBRATIONS.get((recognizer, mode))
