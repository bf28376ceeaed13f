"""Whether zones do as they are told, by a scorer that no engine has learned from."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.metrics.controllability import (
    cross_talk,
    cross_talk_ratio,
    direction_accuracy,
    mirror_ratio,
    overlapping_zones,
    response_of,
    zone_errors,
)
from reage.evaluation.metrics.progression import TOLERANCE_SCORE
from reage.evaluation.metrics.statistics import steps_up
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Faces, Values, figure
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.evaluation.rows import Rows
from reage.faces.geometry import FIVE_POINTS, ellipse_mask, face_grid, template_points
from reage.zones import ZONE_SHAPES, ZONES

_MASK_PX = 256


def zones_by_target(faces: Faces) -> Table:
    """Mean score of every zone before, and at every target age."""
    rows: dict[str, list[Cell]] = {}
    before = faces.sources["zones"]
    for place, zone in enumerate(ZONES):
        rows[zone] = [figure(before[:, place], faces.people)]
        for target in faces.targets:
            aged = faces.rows.at(target)
            rows[zone].append(figure(aged["zones"][:, place], aged["person"]))
    return Table(
        name="zones by target",
        title="Zones, target by target",
        corner="zone",
        headers=["before", *(f"{target:g}" for target in faces.targets)],
        rows=rows,
        note="Mean share of people whose zone looks younger, by the judging scorer.",
    )


def zone_responses(faces: Faces, reference: Reference) -> Table | None:
    """What is measured of a zone that was asked for a score; None without such orders."""
    orders = faces.rows.of_kind("zone")
    if not len(orders):
        return None
    before = faces.sources["zones"][faces.places_of(orders)]
    table = {}
    for place, zone in enumerate(ZONES):
        own = orders["zone"] == zone
        measured, source = orders["zones"][own, place], before[own, place]
        seen = ~np.isnan(measured) & ~np.isnan(source)
        people, leak = orders["person"][own][seen], orders["leak"][own][seen]
        table[zone] = [
            str(len(set(people.tolist()))),
            *_responses(orders["score"][own][seen], measured[seen], source[seen], people),
            _rising(orders.pick(own), place),
            Figure(value=reference.zones_apart.get(zone, math.nan)),
            figure(leak, people, style=".1%"),
        ]
    return Table(
        name="zone orders",
        title="One zone at a time",
        corner="zone",
        headers=(
            "people",
            "slope (1 is ideal)",
            "R²",
            "mean error",
            "right direction",
            "never falls as the order rises",
            "both scorers apart on real faces",
            "change outside the zone",
        ),
        rows=table,
        note=(
            f"Each zone was asked for the scores {', '.join(f'{score:g}' for score in np.unique(orders['score']))} in "
            f"turn; a fall by up to {TOLERANCE_SCORE} is none. Errors below what both scorers differ by on real faces "
            "are noise."
        ),
    )


def _responses(wanted: Values, measured: Values, source: Values, people: NDArray[np.str_]) -> list[Cell]:
    places = np.arange(len(wanted), dtype=float)

    def over(statistic: Callable[[NDArray[np.int64]], float]) -> Callable[[Values], float]:
        return lambda drawn: statistic(drawn.astype(int))

    return [
        figure(places, people, over(lambda at: response_of(wanted[at], measured[at]).slope)),
        figure(places, people, over(lambda at: response_of(wanted[at], measured[at]).explained)),
        figure(places, people, over(lambda at: float(zone_errors(measured[at, None], wanted[at, None])[0]))),
        figure(places, people, over(lambda at: direction_accuracy(source[at], wanted[at], measured[at])), style=".0%"),
    ]


def _rising(orders: Rows, place: int) -> Figure:
    """Share of the faces whose zone's measured score never falls from one order to the next higher one."""
    rises, people = [], []
    for file in np.unique(orders["file"]):
        own = orders["file"] == file
        measured = orders["zones"][own, place][np.argsort(orders["score"][own])]
        if len(measured) > 1 and not np.isnan(measured).any():
            rises.append(float(steps_up(measured, TOLERANCE_SCORE)))
            people.append(orders["person"][own][0])
    return figure(np.array(rises), np.array(people), style=".0%")


def cross_talk_table(rows: Rows) -> Table | None:
    """What happens to all zones when one goes from the lowest to the highest score; None without both orders."""
    orders = rows.of_kind("zone")
    scores = np.unique(orders["score"])
    if len(scores) < 2:
        return None
    lowest, highest = (_by_moved_zone(orders.pick(orders["score"] == score)) for score in (scores[0], scores[-1]))
    seen = ~(np.isnan(lowest) | np.isnan(highest)).any((1, 2))
    if not seen.any():
        return None
    changes = cross_talk(lowest[seen], highest[seen])
    ratio, mirrored = cross_talk_ratio(changes, _overlapping()), mirror_ratio(changes)
    return Table(
        name="cross-talk",
        title="What one zone does to the others",
        corner="moved",
        headers=ZONES,
        rows={
            zone: [Figure(value=float(one), style="+.2f") for one in changes[place]] for place, zone in enumerate(ZONES)
        },
        note=(
            f"Mean change of each column's zone when the row's zone goes from {scores[0]:g} to {scores[-1]:g} "
            f"(N={seen.sum()} faces showing all zones). Others by moved: {Figure(value=ratio)}, those that share skin "
            f"left out; mirror images of paired zones: {Figure(value=mirrored)}."
        ),
    )


def _by_moved_zone(orders: Rows) -> Values:
    """(faces, moved zone, measured zone) scores; NaN where an order or a zone is missing."""
    files = sorted(set(orders["file"].tolist()))
    found = np.full((len(files), len(ZONES), len(ZONES)), math.nan)
    places = [files.index(file) for file in orders["file"].tolist()]
    moved = [ZONES.index(zone) for zone in orders["zone"].tolist()]
    found[places, moved] = orders["zones"]
    return found


def _overlapping() -> NDArray[np.bool_]:
    grid = face_grid(_MASK_PX, template_points(FIVE_POINTS, _MASK_PX))
    return overlapping_zones(np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES]))
