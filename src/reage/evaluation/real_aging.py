"""What years do to real people, measured by the same judges: the yardstick for every engine.

Two photos of one person differ in more than age: print, camera, light, colour. Both are therefore made alike first,
grey and as coarse as the coarser one. Estimators and scorers have learned from training people, so only held-out people
count for them.
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
from reage.evaluation.metrics.image_similarity import LUMA
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Values, figure, mean, median
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.measure import measure_face
from reage.pipeline import render
from reage.plan import complete
from reage.types import OLDEST_TARGET, Face, Pixels, Plan
from reage.zones import ZONES

MIDDLE_AGES = (45.0, 60.0)
"""People younger, between and older are groups of their own in the table of ages."""
_LUMA = np.array(LUMA, np.float32)


@dataclass(frozen=True, kw_only=True)
class RealAging:
    """Held-out people (N,) at two ages, made alike, and, when an engine was given, the earlier photo aged by it.

    Args:
        person: ids.
        first_years: true age in the earlier photo.
        years_apart: years between both photos.
        readings: (N, 3) age that the judges read in the earlier photo, the later one, and the engine's picture (or
            NaN).
        zones: (N, 3, 12) scores of the same pictures.
        distances: (N, 3) identity distances: earlier to later, earlier to the engine's, later to the engine's.
    """

    person: NDArray[np.str_]
    first_years: Values
    years_apart: Values
    readings: Values
    zones: Values
    distances: Values


def pairs_of(portraits: Portraits) -> list[tuple[int, int]]:
    """Rows of the earliest and the latest photo of everyone with two photos or more."""
    rows: dict[str, list[int]] = {}
    for row in np.argsort(portraits.age_years, kind="stable").tolist():
        rows.setdefault(str(portraits.person[row]), []).append(row)
    return [(own[0], own[-1]) for _, own in sorted(rows.items()) if len(own) > 1]


def make_alike(first: Pixels, second: Pixels, first_scale: float, second_scale: float) -> tuple[Pixels, Pixels]:
    """Both crops (S, S, 3) grey and as coarse as the coarser one; a scale is photo px for each crop px."""
    coarsest = min(first_scale, second_scale, 1.0)
    return _to_coarse_grey(first, coarsest), _to_coarse_grey(second, coarsest)


def _to_coarse_grey(crop: Pixels, scale: float) -> Pixels:
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
) -> RealAging:
    """Measures every held-out person with two photos or more.

    Args:
        portraits: of all people.
        judges: that measure.
        parser: of skin and hair.
        engine: ages the earlier photo by the years to the later one; or None.
        track: wraps the range of people in a progress bar.
    """
    held_out = portraits.pick(portraits.split == "val")
    pairs = pairs_of(held_out)
    readings, zones = np.full((len(pairs), 3), math.nan), np.full((len(pairs), 3, len(ZONES)), math.nan)
    distances = np.full((len(pairs), 3), math.nan)
    for index in track(range(len(pairs))):
        first, second = pairs[index]
        faces = _alike_faces(held_out, first, second, parser)
        if engine is not None:
            years = float(held_out.age_years[second] - held_out.age_years[first])
            faces.append(replace(faces[0], crop=_age(engine, judges, faces[0], years)))
        crops = np.stack([face.crop for face in faces])
        identities = judges.recognizer.embed_crops(crops, np.stack([face.landmarks for face in faces]))
        readings[index, : len(faces)] = [reading.age_years for reading in judges.age_estimator.measure_crops(crops)]
        scores = [judges.zone_scorer.measure(face) for face in faces]
        zones[index, : len(faces)] = [[own.get(zone, math.nan) for zone in ZONES] for own in scores]
        for column, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
            if b < len(faces):
                distances[index, column] = np.linalg.norm(identities[a] - identities[b])
    rows = np.array(pairs).reshape(-1, 2)
    ages = held_out.age_years.astype(np.float64)
    return RealAging(
        person=held_out.person[rows[:, 0]],
        first_years=ages[rows[:, 0]],
        years_apart=ages[rows[:, 1]] - ages[rows[:, 0]],
        readings=readings,
        zones=zones,
        distances=distances,
    )


def _alike_faces(portraits: Portraits, first: int, second: int, parser: FaceParser) -> list[Face]:
    """The faces of two rows, made alike."""
    scales = portraits.image_px_per_crop_px[[first, second]].tolist()
    crops = make_alike(portraits.crops[first], portraits.crops[second], *scales)
    alike = replace(portraits.pick(np.array([first, second])), crops=np.stack(crops))
    return [portrait_to_face(alike, row, parser) for row in (0, 1)]


def _age(engine: Engine, judges: Judges, face: Face, years: float) -> Pixels:
    """The crop of the face, made so many years older than its reading."""
    zone_scorer = judges.second_zone_scorer if engine.zone_driven else None
    reading = measure_face(face, judges.second_age_estimator, zone_scorer)
    plan = Plan(age=min(reading.age_years + years, OLDEST_TARGET))
    return composite(face.crop, face, render(engine, face, reading, complete(plan, reading)))


# Tables


def describe_years(measured: RealAging, reference: Reference, engine: str = "") -> list[Table]:
    """Tables of ages, identity and zones, real and, when an engine was given, made by it."""
    columns = {"in real life": 1, **({f"by {engine}": 2} if engine else {})}
    return [
        _age_table(measured, columns),
        _identity_table(measured, reference, engine),
        _zone_table(measured, columns),
    ]


def _age_table(measured: RealAging, columns: dict[str, int]) -> Table:
    gained = {name: measured.readings[:, column] - measured.readings[:, 0] for name, column in columns.items()}
    low, high = MIDDLE_AGES
    groups = {
        "everybody": np.ones(len(measured.person), bool),
        f"under {low:g} at first": measured.first_years < low,
        f"{low:g} to {high:g}": (measured.first_years >= low) & (measured.first_years < high),
        f"{high:g} and over": measured.first_years >= high,
    }
    rows: dict[str, list[Cell]] = {}
    for name, mask in groups.items():
        people = measured.person[mask]
        rows[name] = [
            str(int(mask.sum())),
            figure(measured.years_apart[mask], people, style=".1f"),
            *(figure(years[mask], people, style="+.1f") for years in gained.values()),
            *(figure((years[mask] > 0).astype(float), people, style=".0%") for years in gained.values()),
            *(_standard_deviation(years[mask]) for years in gained.values()),
        ]
    return Table(
        name="ages",
        title="How much older people look",
        headers=[
            "people",
            "years apart",
            *(f"years gained {name}" for name in gained),
            *(f"looking older {name}" for name in gained),
            *(f"standard deviation {name}" for name in gained),
        ],
        rows=rows,
        note="Apparent ages as the judges' age estimator reads them; 95 % intervals by person.",
    )


def _standard_deviation(values: Values) -> Figure:
    return Figure(value=float(np.std(values)) if len(values) else math.nan, num=len(values), style=".1f")


def _identity_table(measured: RealAging, reference: Reference, engine: str) -> Table:
    identity = reference.identity
    genuine, impostors = identity.genuine, identity.impostors
    rows: dict[str, list[Cell]] = {
        "earlier and later photo, made alike": [figure(measured.distances[:, 0], measured.person, median)],
        f"earlier and later photo as they are, all {genuine.num} people": [
            f"{-genuine.median:.2f}, nine in ten from {-genuine.quantile_95:.2f} to {-genuine.quantile_05:.2f}"
        ],
        f"two people of one sex ({impostors.num} pairs)": [
            f"{-impostors.median:.2f}, nine in ten from {-impostors.quantile_95:.2f} to {-impostors.quantile_05:.2f}"
        ],
    }
    if engine:
        nearer = (measured.distances[:, 2] < measured.distances[:, 0]).astype(float)
        rows |= {
            f"earlier photo and the same aged by {engine}": [figure(measured.distances[:, 1], measured.person, median)],
            f"later photo and the earlier one aged by {engine}": [
                figure(measured.distances[:, 2], measured.person, median)
            ],
            f"ageing by {engine} brought the earlier photo nearer to the later one": [
                figure(nearer, measured.person, mean, ".0%")
            ],
        }
    return Table(
        name="identity",
        title="How much of the person is left",
        headers=("identity distance, median",),
        rows=rows,
        note=(
            f"Distances of dlib's 128 numbers; two photos count as one person below "
            f"{-identity.thresholds[0].score:.2f} (FMR 0.1 %)."
        ),
    )


def _zone_table(measured: RealAging, columns: dict[str, int]) -> Table:
    rows = {
        zone: [
            figure(measured.zones[:, 0, index], measured.person),
            *(
                figure(measured.zones[:, column, index] - measured.zones[:, 0, index], measured.person, style="+.3f")
                for column in columns.values()
            ),
        ]
        for index, zone in enumerate(ZONES)
    }
    return Table(
        name="zones",
        title="Which zones change",
        corner="zone",
        headers=("score at first", *(f"change {name}" for name in columns)),
        rows=rows,
        note="A score is the share of people whose zone looks younger, by the judges' zone scorer.",
    )
