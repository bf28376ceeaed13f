"""Measures faces: apparent age and sex, zone scores, and identity."""

from __future__ import annotations

from dataclasses import replace

from reage.faces.zone_scorer import ZoneScorer
from reage.measure.age import AgeEstimator
from reage.measure.doubts import find_doubts
from reage.measure.recognizers import (
    SAME_PERSON_DISTANCE,
    DlibRecognizer,
    FaceRecognizer,
    OnnxRecognizer,
    identity_distance,
)
from reage.types import Face, Reading

__all__ = [
    "SAME_PERSON_DISTANCE",
    "AgeEstimator",
    "DlibRecognizer",
    "FaceRecognizer",
    "OnnxRecognizer",
    "ZoneScorer",
    "find_doubts",
    "identity_distance",
    "measure_face",
]


def measure_face(face: Face, age_estimator: AgeEstimator, zone_scorer: ZoneScorer | None = None) -> Reading:
    """The reading of a face: apparent age and sex and, with a zone scorer, the score of every visible zone.

    Args:
        face: from a `FaceFinder`.
        age_estimator: see `AgeEstimator.load`.
        zone_scorer: see `ZoneScorer.load`; None leaves `Reading.zones` empty.

    Example:
        >>> measure_face(face, AgeEstimator.load(), ZoneScorer.load()).age_years  # doctest: +SKIP
        43.1
    """
    reading = age_estimator.measure(face)
    return reading if zone_scorer is None else replace(reading, zones=zone_scorer.measure(face))
