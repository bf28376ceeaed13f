"""All that is measured of the faces of a photo: age, zones, skin, quality, and what to expect at another age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from reage.faces.quality import Quality, measure_quality
from reage.faces.skin_scorer import SkinScorer
from reage.faces.zone_scorer import ZoneScorer
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.measure.doubts import find_doubts
from reage.plan import complete
from reage.types import Face, Plan, Reading


@dataclass(frozen=True, kw_only=True)
class MeasuredFace:
    """One face, and what was measured of it.

    Args:
        face: as it was found.
        reading: of it, with zones and skin.
        quality: of it.
        doubts: why the age may be wrong, see `find_doubts`.
        expected: zone -> score to expect at the age of a plan; None without a plan.
    """

    face: Face
    reading: Reading
    quality: Quality
    doubts: tuple[str, ...]
    expected: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Box, age, zones, skin, quality, doubts and, with a plan, the expected zones, as plain values."""
        values = {
            "box": self.face.to_json()["box"],
            "age_years": round(self.reading.age_years, 1),
            "age_std_years": round(self.reading.age_std_years, 1),
            "zones": _rounded(self.reading.zones),
            "skin": _rounded(self.reading.skin),
            "quality": self.quality.to_json(),
            "doubts": list(self.doubts),
        }
        return values if self.expected is None else values | {"zones_at": _rounded(self.expected)}


@dataclass(frozen=True, kw_only=True)
class FaceMeasurer:
    """Measures faces with scorers that are loaded once.

    Args:
        age_estimator: see `AgeEstimator.load`.
        zone_scorer: see `ZoneScorer.load`.
        skin_scorer: see `SkinScorer.load`.

    Example:
        >>> FaceMeasurer.load().measure(faces)[0].reading.age_years  # doctest: +SKIP
        43.1
    """

    age_estimator: AgeEstimator
    zone_scorer: ZoneScorer
    skin_scorer: SkinScorer

    @classmethod
    def load(cls, age_estimator: AgeEstimator | None = None) -> Self:
        """A measurer with the shipped scorers.

        Args:
            age_estimator: to share with others; loaded by default.

        Raises:
            WeightsError: when their weights are missing.
        """
        return cls(
            age_estimator=age_estimator or AgeEstimator.load(),
            zone_scorer=ZoneScorer.load(),
            skin_scorer=SkinScorer.load(),
        )

    def measure(self, faces: Sequence[Face], plan: Plan | None = None) -> list[MeasuredFace]:
        """What was measured of each face.

        Args:
            faces: from a `FaceFinder` with a parser.
            plan: at whose age zone scores are expected; None for none.
        """
        return [self._measure(face, plan) for face in faces]

    def _measure(self, face: Face, plan: Plan | None) -> MeasuredFace:
        reading = measure_face(face, self.age_estimator, self.zone_scorer, self.skin_scorer)
        return MeasuredFace(
            face=face,
            reading=reading,
            quality=measure_quality(face),
            doubts=find_doubts(face, reading),
            expected=None if plan is None else complete(plan, reading).zones,
        )


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {zone: round(score, 3) for zone, score in scores.items()}
