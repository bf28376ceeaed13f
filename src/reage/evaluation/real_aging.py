"""What years do to real people, before the same judges: the yardstick for every engine.

Two photos of one person differ in more than age: print, camera, light, colour. Both are therefore made alike first,
grey and as coarse as the coarser one. Estimators and scorers have learned from training people, so only held-out people
count for them; the identity net has learned from none of them, so all do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reage.composite import composite
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.engines import Engine
from reage.evaluation.judges import Judges
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Values, figure, mean, median
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.pipeline import render
from reage.plan import complete
from reage.types import OLDEST_TARGET, Face, Pixels, Plan
from reage.zones import ZONES

_YOUNG, _OLD = 45.0, 60.0
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, kw_only=True)
class Years:
    """Held-out people (N,) at two ages, made alike, and, when an engine was given, the first photo aged by it.

    Args:
        person: ids.
        first_years: true age in the earlier photo.
        apart: years between both photos.
        read: (N, 3) what the judge reads on the earlier photo, the later one, and the engine's picture (or NaN).
        zones: (N, 3, 12) scores of the same.
        distances: (N, 3) identity distances: earlier to later, earlier to the engine's, later to the engine's.
    """

    person: NDArray[np.str_]
    first_years: Values
    apart: Values
    read: Values
    zones: Values
    distances: Values


def pairs_of(portraits: Portraits) -> list[tuple[int, int]]:
    """Rows of the earliest and the latest photo of everybody of whom there are two."""
    rows: dict[str, list[int]] = {}
    for row in np.argsort(portraits.age_years, kind="stable").tolist():
        rows.setdefault(str(portraits.person[row]), []).append(row)
    return [(own[0], own[-1]) for _, own in sorted(rows.items()) if len(own) > 1]


def make_alike(first: Pixels, second: Pixels, first_scale: float, second_scale: float) -> tuple[Pixels, Pixels]:
    """Both crops (S, S, 3) grey and as coarse as the coarser one; a scale is photo px for each crop px."""
    coarsest = min(first_scale, second_scale, 1.0)
    return _dull(first, coarsest), _dull(second, coarsest)


def _dull(crop: Pixels, scale: float) -> Pixels:
    side = len(crop)
    small = max(2, round(side * scale))
    grey = to_pixels(crop @ _LUMA)
    grey = geometry.resize(geometry.resize(grey, small, small), side, side)
    return np.repeat(grey[..., None], 3, -1)


def measure_years(
    portraits: Portraits,
    judges: Judges,
    parser: FaceParser,
    engine: Engine | None = None,
    track: Callable[[range], Iterable[int]] = iter,
) -> Years:
    """Measures everybody held out of whom there are two photos.

    Args:
        portraits: of all people.
        judges: that measure.
        parser: of skin and hair.
        engine: that ages the earlier photo by the years to the later one, or None.
        track: shows progress over a range.
    """
    held_out = portraits.pick(portraits.split == "val")
    pairs = pairs_of(held_out)
    read, zones = np.full((len(pairs), 3), math.nan), np.full((len(pairs), 3, len(ZONES)), math.nan)
    distances = np.full((len(pairs), 3), math.nan)
    for place in track(range(len(pairs))):
        first, second = pairs[place]
        scales = held_out.image_px_per_crop_px[[first, second]].tolist()
        crops = make_alike(held_out.crops[first], held_out.crops[second], *scales)
        dull = replace(held_out.pick(np.array([first, second])), crops=np.stack(crops))
        faces = [portrait_to_face(dull, row, parser) for row in (0, 1)]
        shown = [faces[0], faces[1]]
        if engine is not None:
            shown.append(
                replace(
                    faces[0],
                    crop=_aged(engine, judges, faces[0], float(held_out.age_years[second] - held_out.age_years[first])),
                )
            )
        seen = np.stack([face.crop for face in shown])
        identities = judges.recognizer.embed_crops(seen, np.stack([face.landmarks for face in shown]))
        read[place, : len(shown)] = [reading.age_years for reading in judges.estimator.measure_crops(seen)]
        scores = [judges.scorer.measure(face) for face in shown]
        zones[place, : len(shown)] = [[one.get(zone, math.nan) for zone in ZONES] for one in scores]
        for column, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
            if b < len(shown):
                distances[place, column] = np.linalg.norm(identities[a] - identities[b])
    rows = np.array(pairs).reshape(-1, 2)
    ages = held_out.age_years.astype(np.float64)
    return Years(
        person=held_out.person[rows[:, 0]],
        first_years=ages[rows[:, 0]],
        apart=ages[rows[:, 1]] - ages[rows[:, 0]],
        read=read,
        zones=zones,
        distances=distances,
    )


def _aged(engine: Engine, judges: Judges, face: Face, years: float) -> Pixels:
    """The face so many years older than it is read."""
    reading = judges.reader.measure(face)
    if engine.zone_driven:
        reading = replace(reading, zones=judges.zone_reader.measure(face))
    plan = Plan(age=min(reading.age_years + years, OLDEST_TARGET))
    return composite(face.crop, face, render(engine, face, reading, complete(plan, reading)))


# Tables


def describe_years(years: Years, reference: Reference, engine: str = "") -> list[Table]:
    """Ages, identity and zones, real and, when an engine was given, made."""
    shown = {"in real life": 1, **({f"by {engine}": 2} if engine else {})}
    return [_ages(years, shown), _identity(years, reference, engine), _zones(years, shown)]


def _ages(years: Years, shown: dict[str, int]) -> Table:
    gained = {name: years.read[:, column] - years.read[:, 0] for name, column in shown.items()}
    groups = {
        "everybody": np.ones(len(years.person), bool),
        f"under {_YOUNG:g} at first": years.first_years < _YOUNG,
        f"{_YOUNG:g} to {_OLD:g}": (years.first_years >= _YOUNG) & (years.first_years < _OLD),
        f"{_OLD:g} and over": years.first_years >= _OLD,
    }
    rows: dict[str, list[Cell]] = {}
    for name, mask in groups.items():
        rows[name] = [
            str(int(mask.sum())),
            figure(years.apart[mask], years.person[mask], style=".1f"),
            *(figure(own[mask], years.person[mask], style="+.1f") for own in gained.values()),
            *(figure((own[mask] > 0).astype(float), years.person[mask], style=".0%") for own in gained.values()),
            *(_spread(own[mask]) for own in gained.values()),
        ]
    return Table(
        name="ages",
        title="How much older people look",
        headers=[
            "people",
            "years apart",
            *(f"years gained {name}" for name in gained),
            *(f"looking older {name}" for name in gained),
            *(f"deviation {name}" for name in gained),
        ],
        rows=rows,
        note="Apparent ages as the judging estimator reads them; 95 % intervals by person.",
    )


def _spread(values: Values) -> Figure:
    return Figure(value=float(np.std(values)) if len(values) else math.nan, num=len(values), style=".1f")


def _identity(years: Years, reference: Reference, engine: str) -> Table:
    lines = reference.identity
    rows: dict[str, list[Cell]] = {
        "earlier and later photo, made alike": [figure(years.distances[:, 0], years.person, median)],
        f"earlier and later photo as they are, all {lines.genuine.num} people": [
            f"{-lines.genuine.median:.2f}, nine in ten from {-lines.genuine.high:.2f} to {-lines.genuine.low:.2f}"
        ],
        f"two people of one sex ({lines.impostors.num} pairs)": [
            f"{-lines.impostors.median:.2f}, nine in ten from {-lines.impostors.high:.2f} to {-lines.impostors.low:.2f}"
        ],
    }
    if engine:
        nearer = (years.distances[:, 2] < years.distances[:, 0]).astype(float)
        rows |= {
            f"earlier photo and the same aged by {engine}": [figure(years.distances[:, 1], years.person, median)],
            f"later photo and the earlier one aged by {engine}": [figure(years.distances[:, 2], years.person, median)],
            f"ageing by {engine} brought the earlier photo nearer to the later one": [
                figure(nearer, years.person, mean, ".0%")
            ],
        }
    return Table(
        name="identity",
        title="How much of the person is left",
        headers=("identity distance, median",),
        rows=rows,
        note=f"Distances of dlib's 128 numbers; one person below {-lines.thresholds[0].score:.2f} (FMR 0.1 %).",
    )


def _zones(years: Years, shown: dict[str, int]) -> Table:
    rows = {
        zone: [
            figure(years.zones[:, 0, place], years.person),
            *(
                figure(years.zones[:, column, place] - years.zones[:, 0, place], years.person, style="+.3f")
                for column in shown.values()
            ),
        ]
        for place, zone in enumerate(ZONES)
    }
    return Table(
        name="zones",
        title="Which zones show it",
        corner="zone",
        headers=("score at first", *(f"change {name}" for name in shown)),
        rows=rows,
        note="A score is the share of people whose zone looks younger, by the judging scorer.",
    )
