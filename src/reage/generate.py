"""New pictures of one person at another age, drawn from noise, and the gate that keeps only those that hold.

After identity-preserving aging (IJCB 2023, arXiv 2307.08585). The gate goes in this order: a face is found, it can be
read, it is the person, it looks as old as was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from reage.faces.finder import FaceFinder
from reage.faces.quality import QualityRules, measure_quality
from reage.images import draw_sheet, draw_strip
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.nets.diffusion import DiffusionBase
from reage.nets.dreambooth import Person
from reage.nets.sampling import FROM_NOISE, SamplingConfig, generate_pictures
from reage.prompts import label_of
from reage.types import Pixels, Plane

RULES = QualityRules(min_sharpness=0.15)
"""Less sharp than photos must be: `ldm-small`'s autoencoder alone takes real faces of 96 px from 0.4 to 0.2."""

REJECTED, SHEET = "rejected", "sheet.jpg"
"""Where pictures that do not hold lie beside those that do, and the sheet of all."""

_CELL_PX = 224
_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate found.

    Args:
        reason: why the picture was rejected, in a few words; "" when it was kept.
        distance: to the person, see `reage.measure.age.identity_distance`; NaN without a face.
        age_years: how old the face looks; NaN without a face.
        quality: what was measured on the face, as plain values.
    """

    reason: str
    distance: float = math.nan
    age_years: float = math.nan
    quality: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture (P, P, 3), its number from 1, and what the gate said of it."""

    number: int
    pixels: Pixels
    verdict: Verdict

    @property
    def name(self) -> str:
        """Of its file: the number, and why it was rejected."""
        return "-".join([f"{self.number:03}", *self.verdict.reason.split()]) + ".png"

    def to_json(self) -> dict[str, Any]:
        """Name and verdict as plain values; what could not be measured is left out."""
        seen = {"distance": self.verdict.distance, "age_years": self.verdict.age_years}
        return {
            "file": self.name,
            "reason": self.verdict.reason,
            **{name: round(value, 3) for name, value in seen.items() if not math.isnan(value)},
            **({"quality": self.verdict.quality} if self.verdict.quality else {}),
        }


class Gate:
    """Tells which pictures hold.

    Args:
        finder: of faces.
        recognizer: tells who a face shows.
        age_estimator: reads ages.
        rules: of quality.
        farthest: distance from which a face is another person's.
    """

    def __init__(
        self,
        finder: FaceFinder,
        recognizer: DlibRecognizer,
        age_estimator: AgeEstimator,
        rules: QualityRules = RULES,
        farthest: float = SAME_PERSON_DISTANCE,
    ) -> None:
        self._finder, self._identifier, self._meter = finder, recognizer, age_estimator
        self._rules, self._farthest = rules, farthest

    @classmethod
    def load(cls) -> Self:
        """With the shipped nets.

        Raises:
            WeightsError: when one of them is missing.
        """
        return cls(FaceFinder(), DlibRecognizer.load(), AgeEstimator.load())

    def judge(self, pixels: Pixels, identity: Plane, label: str) -> Verdict:
        """Looks at the largest face of a picture (H, W, 3).

        Args:
            pixels: of the picture.
            identity: (128,) of the person.
            label: age group that the face should be in.
        """
        faces = self._finder.find(pixels)
        if not faces:
            return Verdict(reason="no face")
        face = faces[0]
        quality = measure_quality(face, self._rules)
        who = self._identifier.embed(face.crop, face.to_crop(face.landmarks))
        distance, age_years = float(identity_distance(who, identity)), self._meter.measure(face).age_years
        reasons = (
            *quality.flags,
            "another person" if distance >= self._farthest else "",
            "" if label_of(max(0.0, age_years)) == label else f"looks {age_years:.0f}",
        )
        return Verdict(
            reason=next(filter(None, reasons), ""), distance=distance, age_years=age_years, quality=quality.to_json()
        )


def imagine(
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
    """Draws a person in an age group, and judges what was drawn.

    Args:
        base: that has learned the person, see `reage.nets.dreambooth.load_person`.
        person: whom to draw.
        label: one of `reage.prompts.AGE_LABELS`.
        count: of pictures.
        gate: that judges them.
        seed: decides on the noise.
        config: with a noise strength of 1.
        track: wraps the pictures in a progress bar.

    Returns:
        All samples, the kept ones first, those nearest to the person before the others.
    """
    drawn = track(generate_pictures(base, person.prompt(label), count, seed, config))
    samples = [
        Sample(number=number, pixels=pixels, verdict=gate.judge(pixels, person.identity, label))
        for number, pixels in enumerate(drawn, start=1)
    ]
    return rank_samples(samples)


def rank_samples(samples: list[Sample]) -> list[Sample]:
    """The kept ones first; among each, those nearest to the person, and those without a face last."""

    def place(one: Sample) -> tuple[bool, bool, float]:
        without_face = math.isnan(one.verdict.distance)
        return bool(one.verdict.reason), without_face, 0.0 if without_face else one.verdict.distance

    return sorted(samples, key=place)


def draw_samples(samples: list[Sample]) -> Pixels:
    """A contact sheet: the kept samples, then the rejected ones with their reasons."""
    rows: list[list[Pixels]] = []
    names: list[str] = []
    for name in ("kept", "rejected"):
        cells = [_draw_cell(one) for one in samples if bool(one.verdict.reason) == (name == "rejected")]
        for start in range(0, len(cells), _COLUMNS):
            rows.append(cells[start : start + _COLUMNS])
            names.append("" if start else name)
    return draw_sheet(rows, [""] * _COLUMNS, names, cell_px=_CELL_PX)


def _draw_cell(sample: Sample) -> Pixels:
    seen = f"{sample.verdict.distance:.2f} away, looks {sample.verdict.age_years:.0f}"
    return draw_strip([sample.pixels], [f"{sample.number}: {sample.verdict.reason or seen}"], height_px=_CELL_PX)
