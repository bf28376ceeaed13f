"""Measures faces: apparent age and sex, zone scores, and identity."""

from __future__ import annotations

from dataclasses import replace

from reage.faces.skin_scorer import SkinScorer
from reage.faces.zone_scorer import ZoneScorer
from reage.measure.age import AgeEstimator
from reage.measure.doubts import find_doubts
from reage.measure.recognizers import (
    SAME_PERSON_DISTANCE,
    AifdRecognizer,
    DlibRecognizer,
    FaceRecognizer,
    OnnxRecognizer,
    identity_distance,
    load_recognizer,
)
from reage.types import Face, Reading

__all__ = [
    "SAME_PERSON_DISTANCE",
    "AgeEstimator",
    "AifdRecognizer",
    "DlibRecognizer",
    "FaceRecognizer",
    "OnnxRecognizer",
    "SkinScorer",
    "ZoneScorer",
    "find_doubts",
    "identity_distance",
    "load_recognizer",
    "measure_face",
]


def measure_face(
    face: Face,
    age_estimator: AgeEstimator,
    zone_scorer: ZoneScorer | None = None,
    skin_scorer: SkinScorer | None = None,
) -> Reading:
    """The reading of a face: apparent age and sex and, with their scorers, every visible zone, dark spots and redness.

    Args:
        face: from a `FaceFinder`.
        age_estimator: see `AgeEstimator.load`.
        zone_scorer: see `ZoneScorer.load`; None leaves `Reading.zones` empty.
        skin_scorer: see `SkinScorer.load`; None leaves `Reading.skin` empty.

    Example:
        >>> measure_face(face, AgeEstimator.load(), ZoneScorer.load()).age_years  # doctest: +SKIP
        43.1
    """
    reading = age_estimator.measure(face)
    zones = {} if zone_scorer is None else zone_scorer.measure(face)
    skin = {} if skin_scorer is None else skin_scorer.measure(face)
    return replace(reading, zones=zones, skin=skin)
