"""Whether two faces look like one person, and the years between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.types import Face


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two faces compared.

    Args:
        distance: between their identities, see `identity_distance`.
        age_years: that the first and the second look.
    """

    distance: float
    age_years: tuple[float, float]

    @property
    def same_person(self) -> bool:
        """Whether the distance is below `SAME_PERSON_DISTANCE`."""
        return self.distance < SAME_PERSON_DISTANCE

    @property
    def age_gap_years(self) -> float:
        """How much older the second looks than the first."""
        return self.age_years[1] - self.age_years[0]

    def to_json(self) -> dict[str, Any]:
        """The verdict, the distance with its threshold, the gap and the ages, as plain values."""
        return {
            "same_person": self.same_person,
            "distance": round(self.distance, 4),
            "threshold": SAME_PERSON_DISTANCE,
            "age_gap_years": round(self.age_gap_years, 1),
            "age_years": [round(age, 1) for age in self.age_years],
        }


def compare_faces(first: Face, second: Face, recognizer: DlibRecognizer, age_estimator: AgeEstimator) -> Comparison:
    """Two faces of a `FaceFinder`, compared."""
    one, other = (recognizer.embed(face.crop, face.to_crop(face.landmarks)) for face in (first, second))
    ages = (age_estimator.measure(first).age_years, age_estimator.measure(second).age_years)
    return Comparison(distance=float(identity_distance(one, other)), age_years=ages)
