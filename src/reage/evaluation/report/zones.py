"""Tables of zones: at every target age, and when single zones are asked for a score."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.metrics.controllability import (
    cross_talk,
    cross_talk_ratio,
    direction_accuracy,
    fit_response,
    mirror_ratio,
    zone_errors,
)
from reage.evaluation.metrics.progression import TOLERANCE_SCORE
from reage.evaluation.metrics.statistics import is_rising
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Mask, MeasuredFaces, Names, Values, figure
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.evaluation.rows import Rows
from reage.zones import ZONES, are_neighbours


def zone_target_table(faces: MeasuredFaces) -> Table:
    """Mean score of every zone before, and at every target age."""
    rows: dict[str, list[Cell]] = {}
    before = faces.sources["zones"]
    for index, zone in enumerate(ZONES):
        rows[zone] = [figure(before[:, index], faces.people)]
        for target in faces.targets:
            aged = faces.aged_rows[target]
            rows[zone].append(figure(aged["zones"][:, index], aged["person"]))
    return Table(
        name="zones by target",
        title="Zones, target by target",
        corner="zone",
        headers=["before", *(f"{target:g}" for target in faces.targets)],
        rows=rows,
        note="Mean share of people whose zone looks younger, by the judges' zone scorer.",
    )


def zone_request_table(faces: MeasuredFaces, reference: Reference) -> Table | None:
    """How each zone responds when it is asked for a score; None without such requests."""
    requests = faces.rows.of_kind("zone")
    if not len(requests):
        return None
    before = faces.sources["zones"][faces.source_indices(requests)]
    rows: dict[str, list[Cell]] = {}
    for index, zone in enumerate(ZONES):
        own = requests["zone"] == zone
        measured, source = requests["zones"][own, index], before[own, index]
        known = ~np.isnan(measured) & ~np.isnan(source)
        people = requests["person"][own][known]
        rows[zone] = [
            str(len(set(people.tolist()))),
            *_response_cells(requests["score"][own][known], measured[known], source[known], people),
            _rising_faces(requests.pick(own), index),
            Figure(value=reference.zone_differences.get(zone, math.nan)),
            figure(requests["background_share_of_change"][own][known], people, style=".1%"),
        ]
    return Table(
        name="zone requests",
        title="One zone at a time",
        corner="zone",
        headers=(
            "people",
            "slope (1 is ideal)",
            "R²",
            "mean error",
            "right direction",
            "never falls as the requested score rises",
            "difference of both scorers on real faces",
            "share of change outside the zone",
        ),
        rows=rows,
        note=(
            f"Each zone was asked for the scores {', '.join(f'{score:g}' for score in np.unique(requests['score']))} "
            f"in turn; a fall by up to {TOLERANCE_SCORE} is not counted as one. Errors smaller than the difference of "
            "both scorers on real faces are noise."
        ),
    )


def _response_cells(requested: Values, measured: Values, source: Values, people: Names) -> list[Cell]:
    indices = np.arange(len(requested), dtype=float)

    def over(statistic: Callable[[NDArray[np.int64]], float]) -> Callable[[Values], float]:
        return lambda sample: statistic(sample.astype(int))

    return [
        figure(indices, people, over(lambda at: fit_response(requested[at], measured[at]).slope)),
        figure(indices, people, over(lambda at: fit_response(requested[at], measured[at]).r_squared)),
        figure(indices, people, over(lambda at: float(zone_errors(measured[at, None], requested[at, None])[0]))),
        figure(
            indices, people, over(lambda at: direction_accuracy(source[at], requested[at], measured[at])), style=".0%"
        ),
    ]


def _rising_faces(requests: Rows, index: int) -> Figure:
    """Share of the faces whose zone's measured score never falls from one request to the next higher one."""
    rises, people = [], []
    for file in np.unique(requests["file"]):
        own = requests["file"] == file
        measured = requests["zones"][own, index][np.argsort(requests["score"][own])]
        if len(measured) > 1 and not np.isnan(measured).any():
            rises.append(float(is_rising(measured, TOLERANCE_SCORE)))
            people.append(requests["person"][own][0])
    return figure(np.array(rises), np.array(people), style=".0%")


def cross_talk_table(rows: Rows) -> Table | None:
    """Changes of all zones when one goes from the lowest to the highest requested score; None without two scores."""
    requests = rows.of_kind("zone")
    scores = np.unique(requests["score"])
    if len(scores) < 2:
        return None
    lowest, highest = (_by_moved_zone(requests.pick(requests["score"] == score)) for score in (scores[0], scores[-1]))
    known = ~(np.isnan(lowest) | np.isnan(highest)).any((1, 2))
    if not known.any():
        return None
    changes = cross_talk(lowest[known], highest[known])
    ratio, mirrored = cross_talk_ratio(changes, neighbouring_zones()), mirror_ratio(changes)
    return Table(
        name="cross-talk",
        title="What moving one zone does to the others",
        corner="moved",
        headers=ZONES,
        rows={
            zone: [Figure(value=float(change), style="+.2f") for change in changes[index]]
            for index, zone in enumerate(ZONES)
        },
        note=(
            f"Mean change of each column's zone when the row's zone goes from {scores[0]:g} to {scores[-1]:g} "
            f"(N={known.sum()} faces showing all zones). Change of the other zones divided by that of the moved one: "
            f"{Figure(value=ratio)}, zones that share skin left out; of the mirror image of paired zones: "
            f"{Figure(value=mirrored)}."
        ),
    )


def neighbouring_zones() -> Mask:
    """(Z, Z) pairs of zones that share skin, by the zone table."""
    return np.array([[first == second or are_neighbours(first, second) for second in ZONES] for first in ZONES])


def _by_moved_zone(requests: Rows) -> Values:
    """(faces, moved zone, measured zone) scores; NaN where a request or a zone is missing."""
    files = sorted(set(requests["file"].tolist()))
    scores = np.full((len(files), len(ZONES), len(ZONES)), math.nan)
    faces = [files.index(file) for file in requests["file"].tolist()]
    moved = [ZONES.index(zone) for zone in requests["zone"].tolist()]
    scores[faces, moved] = requests["zones"]
    return scores
