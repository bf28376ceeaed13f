"""`reage measure`: measure the faces of a photo, without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson, FaceBox, Photo
from reage.plan_texts import parse_box
from reage.skin_scores import SKIN_SCORES
from reage.types import Plan
from reage.zones import ZONES

if TYPE_CHECKING:
    from reage.measure.measured import MeasuredFace
    from reage.types import Pixels

_SKIN_LABELS = tuple(name.replace("_", " ") for name in SKIN_SCORES)


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
    from reage.measure.measured import FaceMeasurer

    plan = None if to is None else Plan(age=to)
    _, faces = read_faces(photo, output, box=parse_box(box))
    measured = FaceMeasurer.load().measure(faces, plan)
    if output is not None:
        save_drawing(_draw(measured), output)
    if as_json:
        print_json({"faces": [one.to_json() for one in measured]})
        return
    when = "" if to is None else f", now → at {to:g}"
    headers = ("", *(f"face {number}{when}" for number in range(1, len(measured) + 1)))
    columns = [_to_column(one) for one in measured]
    print_table(headers, list(zip(("looks, years", "quality", *ZONES, *_SKIN_LABELS), *columns, strict=True)))
    if output is not None:
        typer.echo(output)


def _to_column(one: MeasuredFace) -> tuple[str, ...]:
    """Age, quality, and the score of each zone, of dark spots and of redness, in words."""
    age = f"{one.reading.age_years:.0f} ± {one.reading.age_std_years:.0f}"
    zones = (_describe_zone(one, zone) for zone in ZONES)
    return age, ", ".join(one.doubts) or "good", *zones, *(_describe_skin(one, name) for name in SKIN_SCORES)


def _describe_zone(one: MeasuredFace, zone: str) -> str:
    if zone not in one.reading.zones:
        return "hidden"
    now = f"{one.reading.zones[zone]:.2f}"
    return now if one.expected is None else f"{now} → {one.expected[zone]:.2f}"


def _describe_skin(one: MeasuredFace, name: str) -> str:
    return f"{one.reading.skin[name]:.2f}" if name in one.reading.skin else "not shown"


def _draw(measured: Sequence[MeasuredFace]) -> Pixels:
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
