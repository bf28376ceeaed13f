"""New pictures of a learned person at another age, generated from noise, and the gate that decides which are kept.

After identity-preserving aging (IJCB 2023, arXiv 2307.08585). The gate checks in this order: a face is found, its
quality is good enough, it is the person, its apparent age is in the age group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from reage.faces.finder import FaceFinder
from reage.faces.quality import QualityRules, measure_quality
from reage.images import draw_sheet, draw_strip
from reage.measure import SAME_PERSON_DISTANCE, AgeEstimator, DlibRecognizer, identity_distance, measure_face
from reage.nets.diffusion import DiffusionBase
from reage.nets.dreambooth import Person
from reage.nets.sampling import FROM_NOISE, SamplingConfig, generate_pictures
from reage.prompts import label_of
from reage.types import Pixels, Plane

RULES = QualityRules(min_sharpness=0.15)
"""A lower limit than for photos: the autoencoder of `ldm-small` alone blurs real faces of 96 px from 0.4 to 0.2."""

REJECTED, SHEET = "rejected", "sheet.jpg"
"""Folder of the rejected pictures, inside that of the kept ones, and the contact sheet of all."""

_CELL_PX = 224
_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of the gate for one picture.

    Args:
        reason: why the picture was rejected, in a few words; "" when it was kept.
        distance: to the person, see `reage.measure.identity_distance`; NaN without a face.
        age_years: apparent age of the face; NaN without a face.
        quality: quality measurements of the face, as plain values.
    """

    reason: str
    distance: float = math.nan
    age_years: float = math.nan
    quality: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A generated picture (P, P, 3), its number from 1, and its verdict."""

    number: int
    pixels: Pixels
    verdict: Verdict

    @property
    def name(self) -> str:
        """The file name: the number, and why the picture was rejected."""
        return "-".join([f"{self.number:03}", *self.verdict.reason.split()]) + ".png"

    def to_json(self) -> dict[str, Any]:
        """Name and verdict as plain values, without what could not be measured."""
        measured = {"distance": self.verdict.distance, "age_years": self.verdict.age_years}
        return {
            "file": self.name,
            "reason": self.verdict.reason,
            **{name: round(value, 3) for name, value in measured.items() if not math.isnan(value)},
            **({"quality": self.verdict.quality} if self.verdict.quality else {}),
        }


class Gate:
    """Decides which generated pictures are kept.

    Args:
        face_finder: finds faces.
        recognizer: compares faces with the person.
        age_estimator: gives the apparent age.
        rules: limits of quality.
        max_distance: identity distance from which a face is another person's.
    """

    def __init__(
        self,
        face_finder: FaceFinder,
        recognizer: DlibRecognizer,
        age_estimator: AgeEstimator,
        rules: QualityRules = RULES,
        max_distance: float = SAME_PERSON_DISTANCE,
    ) -> None:
        self._face_finder, self._recognizer, self._age_estimator = face_finder, recognizer, age_estimator
        self._rules, self._max_distance = rules, max_distance

    @classmethod
    def load(cls) -> Self:
        """A gate with the shipped nets.

        Raises:
            WeightsError: when one of them is missing.
        """
        return cls(FaceFinder(), DlibRecognizer.load(), AgeEstimator.load())

    def judge(self, pixels: Pixels, identity: Plane, label: str) -> Verdict:
        """The verdict on the largest face of a picture.

        Args:
            pixels: (H, W, 3) of the picture.
            identity: (128,) of the person.
            label: age group that the face should be in.
        """
        faces = self._face_finder.find(pixels)
        if not faces:
            return Verdict(reason="no face")
        face = faces[0]
        quality = measure_quality(face, self._rules)
        found = self._recognizer.embed(face.crop, face.to_crop(face.landmarks))
        distance = float(identity_distance(found, identity))
        age_years = measure_face(face, self._age_estimator).age_years
        reasons = (
            *quality.flags,
            "another person" if distance >= self._max_distance else "",
            "" if label_of(max(0.0, age_years)) == label else f"looks {age_years:.0f}",
        )
        return Verdict(
            reason=next(filter(None, reasons), ""), distance=distance, age_years=age_years, quality=quality.to_json()
        )


def generate(
    base: DiffusionBase,
    person: Person,
    label: str,
    count: int,
    gate: Gate,
    *,
    seed: int = 0,
    config: SamplingConfig = FROM_NOISE,
    track: Callable[[Iterable[Pixels]], Iterable[Pixels]] = iter,
) -> list[Sample]:
    """New pictures of a person in an age group, each with the verdict of the gate.

    Args:
        base: that has learned the person, see `reage.nets.dreambooth.load_person`.
        person: to generate pictures of.
        label: one of `reage.prompts.AGE_LABELS`.
        count: number of pictures.
        gate: judges them.
        seed: of the noise.
        config: with a noise strength of 1.
        track: wraps the pictures in a progress bar.

    Returns:
        All samples, the kept ones first, each group by rising distance to the person.
    """
    pictures = track(generate_pictures(base, person.prompt(label), count, seed, config))
    samples = [
        Sample(number=number, pixels=pixels, verdict=gate.judge(pixels, person.identity, label))
        for number, pixels in enumerate(pictures, start=1)
    ]
    return rank_samples(samples)


def rank_samples(samples: list[Sample]) -> list[Sample]:
    """The kept samples first; each group by rising distance to the person, samples without a face last."""

    def rank(sample: Sample) -> tuple[bool, bool, float]:
        without_face = math.isnan(sample.verdict.distance)
        return bool(sample.verdict.reason), without_face, 0.0 if without_face else sample.verdict.distance

    return sorted(samples, key=rank)


def draw_samples(samples: list[Sample]) -> Pixels:
    """A contact sheet: the kept samples, then the rejected ones with their reasons."""
    rows: list[list[Pixels]] = []
    names: list[str] = []
    for name in ("kept", "rejected"):
        cells = [_draw_cell(sample) for sample in samples if bool(sample.verdict.reason) == (name == "rejected")]
        for start in range(0, len(cells), _COLUMNS):
            rows.append(cells[start : start + _COLUMNS])
            names.append("" if start else name)
    return draw_sheet(rows, [""] * _COLUMNS, names, cell_px=_CELL_PX)


def _draw_cell(sample: Sample) -> Pixels:
    measured = f"{sample.verdict.distance:.2f} away, looks {sample.verdict.age_years:.0f}"
    return draw_strip([sample.pixels], [f"{sample.number}: {sample.verdict.reason or measured}"], height_px=_CELL_PX)
