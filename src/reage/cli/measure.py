"""`reage measure`: measure the faces of a photo, without changing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson, FaceBox, Photo
from reage.cli.request import parse_box
from reage.skin_scores import SKIN_SCORES
from reage.types import Plan
from reage.zones import ZONES

if TYPE_CHECKING:
    from reage.faces.quality import Quality
    from reage.types import Face, Pixels, Reading

_SKIN_LABELS = tuple(name.replace("_", " ") for name in SKIN_SCORES)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """One face, its reading with the doubts about it, its quality, and its expected zone scores at --to, or None."""

    face: Face
    reading: Reading
    quality: Quality
    doubts: tuple[str, ...]
    expected: Mapping[str, float] | None

    def to_json(self) -> dict[str, Any]:
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

    def to_column(self) -> tuple[str, ...]:
        """Age, quality, and the score of each zone, of dark spots and of redness, in words."""
        age = f"{self.reading.age_years:.0f} ± {self.reading.age_std_years:.0f}"
        zones = (self._describe_zone(zone) for zone in ZONES)
        return age, ", ".join(self.doubts) or "good", *zones, *(self._describe_skin(name) for name in SKIN_SCORES)

    def _describe_zone(self, zone: str) -> str:
        if zone not in self.reading.zones:
            return "hidden"
        now = f"{self.reading.zones[zone]:.2f}"
        return now if self.expected is None else f"{now} → {self.expected[zone]:.2f}"

    def _describe_skin(self, name: str) -> str:
        return f"{self.reading.skin[name]:.2f}" if name in self.reading.skin else "not shown"


def measure(
    photo: Photo,
    to: Annotated[
        float | None, typer.Option(metavar="AGE", help="Also show the zone scores to expect at this age, 1 to 100.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Also draw what was measured.")
    ] = None,
    box: FaceBox = None,
    as_json: AsJson = False,
) -> None:
    """Measure age, zones and skin of each face, and why the age may be wrong: too small, blurred, turned away.

    A zone's score is the share of people whose zone looks younger. The score to expect at another age is as far above
    or below the average of that age as the score is now. Dark spots and redness are the share of people of the same
    skin tone who have less; a photo without colour, a small photo and a head that is turned do not show them.
    """
    from reage.cli.photos import read_faces, save_drawing

    plan = None if to is None else Plan(age=to)
    _, faces = read_faces(photo, output, box=parse_box(box))
    measured = _measure(faces, plan)
    if output is not None:
        save_drawing(_draw(measured), output)
    if as_json:
        print_json({"faces": [one.to_json() for one in measured]})
        return
    when = "" if to is None else f", now → at {to:g}"
    headers = ("", *(f"face {number}{when}" for number in range(1, len(measured) + 1)))
    columns = [one.to_column() for one in measured]
    print_table(headers, list(zip(("looks, years", "quality", *ZONES, *_SKIN_LABELS), *columns, strict=True)))
    if output is not None:
        typer.echo(output)


def _measure(faces: Sequence[Face], plan: Plan | None) -> list[_Measured]:
    from reage.faces.quality import measure_quality
    from reage.faces.skin_scorer import SkinScorer
    from reage.faces.zone_scorer import ZoneScorer
    from reage.measure import AgeEstimator, find_doubts, measure_face
    from reage.plan import complete

    age_estimator, zone_scorer, skin_scorer = AgeEstimator.load(), ZoneScorer.load(), SkinScorer.load()
    measured = []
    for face in faces:
        reading = measure_face(face, age_estimator, zone_scorer, skin_scorer)
        expected = None if plan is None else complete(plan, reading).zones
        measured.append(
            _Measured(
                face=face,
                reading=reading,
                quality=measure_quality(face),
                doubts=find_doubts(face, reading),
                expected=expected,
            )
        )
    return measured


def _draw(measured: Sequence[_Measured]) -> Pixels:
    """The crops side by side, with each zone and its score, and the age above."""
    from reage.faces.geometry import zone_masks
    from reage.images import draw_strip, draw_zones

    drawn, labels = [], []
    for number, one in enumerate(measured, start=1):
        masks, scores = zone_masks(one.face), one.reading.zones
        texts = {zone: f"{score:.2f}" for zone, score in scores.items()}
        drawn.append(draw_zones(one.face.crop, {zone: masks[zone] for zone in scores}, texts))
        labels.append(f"face {number}: {one.reading.age_years:.0f} ± {one.reading.age_std_years:.0f} years")
    return draw_strip(drawn, labels, height_px=drawn[0].shape[0])


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {zone: round(score, 3) for zone, score in scores.items()}
