"""The drawings of `reage zones`: masks of zones, aging maps, and what an engine makes of each zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reage.cli.console import track
from reage.composite import composite
from reage.engines import Engine
from reage.faces.aging_map import draw_on_face, make_aging_map, make_location_gradients
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.images import draw_sheet, draw_strip, draw_zones
from reage.measure import AgeEstimator, measure_face
from reage.pipeline import render
from reage.plan import complete
from reage.types import OLDEST_TARGET, YOUNGEST_TARGET, Face, Pixels, Plan, Reading
from reage.zones import ZONE_PRESETS, ZONES

_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
_CELL_PX = 256
_FACE_IN_CROP = (0.22, 0.82, 0.2, 0.8)
"""Top, bottom, left and right of the shown part of a crop, crop sides."""


def draw_zone_masks(faces: Sequence[Face]) -> Pixels:
    """The crops of faces side by side, with their zones tinted and named."""
    drawn = [draw_zones(face.crop, zone_masks(face)) for face in faces]
    return draw_strip(drawn, [f"face {number}" for number in range(1, len(drawn) + 1)], height_px=drawn[0].shape[0])


def measure_map_plans(faces: Sequence[Face], plan: Plan | None) -> list[dict[str, Plan]]:
    """For each face "now", its measured age and scores as a plan, and "target", the completed plan, if there is one."""
    age_estimator, zone_scorer = AgeEstimator.load(), ZoneScorer.load()
    readings = [measure_face(face, age_estimator, zone_scorer) for face in faces]
    return [
        {"now": _plan_of(reading)} if plan is None else {"now": _plan_of(reading), "target": complete(plan, reading)}
        for reading in readings
    ]


def _plan_of(reading: Reading) -> Plan:
    age_years = min(float(OLDEST_TARGET), max(float(YOUNGEST_TARGET), reading.age_years))
    return Plan(age=age_years, zones=reading.zones)


def draw_aging_maps(faces: Sequence[Face], plans: Sequence[Mapping[str, Plan]]) -> Pixels:
    """The aging maps of each face by its plans, side by side, then the location gradients of the first face."""
    side = len(faces[0].crop)
    planes, labels = [], []
    for number, (face, own) in enumerate(zip(faces, plans, strict=True), start=1):
        for when, plan in own.items():
            assert plan.age is not None
            planes.append(draw_on_face(face, make_aging_map(side, plan.age, plan.zones)))
            labels.append(f"face {number}, {when}: {plan.age:.0f} years")
    planes.extend(draw_on_face(faces[0], gradient) for gradient in make_location_gradients(side))
    pictures = [np.rint(255 * plane).astype(np.uint8)[..., None].repeat(3, -1) for plane in planes]
    return draw_strip(pictures, [*labels, "X", "Y"], height_px=side)


def plans_to_json(face: Face, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """The box of a face, and age and zone scores of its plans, as plain values."""
    return {"box": face.to_json()["box"]} | {
        when: {
            "age_years": round(plan.age or 0, 1),
            "zones": {zone: round(score, 3) for zone, score in plan.zones.items()},
        }
        for when, plan in plans.items()
    }


def draw_engine_zones(face: Face, engine: Engine) -> Pixels:
    """A sheet of a face with each zone changed by itself: a row for each zone, a column for each score."""
    reading = _measure(face)
    rows, labels = [], []
    for zone in track(ZONES, "zones"):
        rows.append([_render_zones(face, reading, engine, {zone: score}) for score in _SCORES])
        labels.append(f"{zone} ({reading.zones[zone]:.2f})" if zone in reading.zones else f"{zone} (hidden)")
    return draw_sheet(rows, [f"{score:g}" for score in _SCORES], labels, cell_px=_CELL_PX)


def draw_engine_presets(face: Face, engine: Engine) -> Pixels:
    """A strip of a face as it is and as changed by each preset."""
    reading = _measure(face)
    scores = {"original": {}, **ZONE_PRESETS}
    drawn = [_render_zones(face, reading, engine, own) for own in track(scores.values(), "presets", total=len(scores))]
    return draw_strip(drawn, list(scores), height_px=_CELL_PX)


def _measure(face: Face) -> Reading:
    return measure_face(face, AgeEstimator.load(), ZoneScorer.load())


def _render_zones(face: Face, reading: Reading, engine: Engine, scores: Mapping[str, float]) -> Pixels:
    """The inner part of the crop with zones at these scores; of the crop itself without scores."""
    top, bottom, left, right = (round(share * len(face.crop)) for share in _FACE_IN_CROP)
    if not scores:
        return face.crop[top:bottom, left:right]
    aged = render(engine, face, reading, complete(Plan(zones=scores), reading))
    return composite(face.crop, face.in_crop_frame(), aged)[top:bottom, left:right]
