"""Judges an engine on portraits of known age that it never learned from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reage.composite import composite
from reage.engines import Engine
from reage.evaluation.metrics import (
    backdrop_of,
    bootstrap_interval,
    changed_share,
    individual_typology_angle,
    rank_correlation,
    steps_up,
    thirds,
)
from reage.evaluation.progression import TOLERANCE_YEARS
from reage.find import align
from reage.matte import Parser, make_matte
from reage.measure import Identifier, Meter, identity_distance
from reage.pipeline import render
from reage.plan import complete
from reage.portraits import Portraits
from reage.types import Face, Pixels, Plan, Reading

PROGRESSION = tuple(float(age) for age in range(20, 81, 10))
"""Targets over which the reading should rise."""
OLDER, YOUNGER = 75.0, 30.0
"""Targets of the headline figures."""
TARGETS = tuple(sorted({*PROGRESSION, OLDER, YOUNGER}))


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The nets that judge; the engine has learned from neither the estimator nor its training people's portraits.

    Args:
        reader: reads the source age, as at run time.
        estimator: reads the aged faces; another net than the reader.
        identifier: tells how far apart two faces are.
        parser: finds skin and hair, as at run time.
    """

    reader: Meter
    estimator: Meter
    identifier: Identifier
    parser: Parser


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was measured on one portrait.

    Args:
        file: of the portrait.
        person: id.
        age_years: true age in the portrait.
        tone_degrees: individual typology angle of the skin.
        source_years: estimated age of the source.
        readings: target -> estimated age of the aged face.
        distances: target -> identity distance to the source.
        background: largest share of backdrop pixels that changed visibly at any target; None without a backdrop.
    """

    file: str
    person: str
    age_years: float
    tone_degrees: float
    source_years: float
    readings: Mapping[float, float]
    distances: Mapping[float, float]
    background: float | None


def face_of(portraits: Portraits, row: int, parser: Parser) -> Face:
    """A portrait's crop as the face that a finder would cut from it."""
    crop, landmarks, dense = portraits.crops[row], portraits.landmarks[row], portraits.dense_landmarks[row]
    parts = parser.parse(crop)
    return Face(
        box=(0.25 * len(crop), 0.31 * len(crop), 0.75 * len(crop), 0.81 * len(crop)),
        score=float(portraits.score[row]),
        landmarks=landmarks,
        crop_from_image=align(landmarks, len(crop)),
        crop=crop,
        matte=make_matte(crop, landmarks, parts, dense),
        skin=parts.skin,
        hair=parts.hair,
        dense_landmarks=dense,
    )


def age_portrait(engine: Engine, face: Face, reading: Reading, targets: Iterable[float]) -> dict[float, Pixels]:
    """Target -> the finished picture, composited as at run time."""
    aged = {}
    for target in targets:
        plan = complete(Plan(age=target), reading)
        aged[target] = composite(face.crop, face, render(engine, face, reading, plan))
    return aged


def judge_portrait(
    engine: Engine, portraits: Portraits, row: int, judges: Judges
) -> tuple[Verdict, dict[float, Pixels]]:
    """The verdict on one portrait, and its aged pictures."""
    face = face_of(portraits, row, judges.parser)
    reading = judges.reader.measure(face)
    aged = age_portrait(engine, face, reading, TARGETS)
    pictures = np.stack([face.crop, *aged.values()])
    years = [found.age_years for found in judges.estimator.measure_crops(pictures)]
    points = np.repeat(face.landmarks[None], len(pictures), 0)
    identities = judges.identifier.embed_crops(pictures, points)
    backdrop = backdrop_of(face.crop)
    verdict = Verdict(
        file=str(portraits.file[row]),
        person=str(portraits.person[row]),
        age_years=float(portraits.age_years[row]),
        tone_degrees=individual_typology_angle(_skin_colour(face)),
        source_years=years[0],
        readings=dict(zip(aged, years[1:], strict=True)),
        distances={
            target: float(identity_distance(identities[0], one))
            for target, one in zip(aged, identities[1:], strict=True)
        },
        background=None if backdrop is None else max(changed_share(face.crop, one, backdrop) for one in aged.values()),
    )
    return verdict, aged


def _skin_colour(face: Face) -> np.ndarray:
    return np.median(face.crop[face.matte * face.skin > 0.8], 0) / 255


def summarise(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The headline figures, for all portraits and for each third of skin tone, with 95 % intervals by person."""
    tone = thirds(np.array([verdict.tone_degrees for verdict in verdicts]))
    groups = {"all": list(verdicts)}
    for third, name in enumerate(("darkest third", "middle third", "lightest third")):
        groups[name] = [verdict for verdict, own in zip(verdicts, tone, strict=True) if own == third]
    return {name: _figures(group) for name, group in groups.items() if group}


def _figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    people = [verdict.person for verdict in verdicts]

    def mean(values: Sequence[float]) -> dict[str, Any]:
        return {"value": float(np.mean(values)), "interval": bootstrap_interval(np.array(values), people)}

    def median(values: Sequence[float]) -> dict[str, Any]:
        interval = bootstrap_interval(np.array(values), people, lambda drawn: float(np.median(drawn)))
        return {"value": float(np.median(values)), "interval": interval}

    progressions = [np.array([verdict.readings[t] for t in PROGRESSION]) for verdict in verdicts]
    background = [verdict.background for verdict in verdicts if verdict.background is not None]
    return {
        "num_portraits": len(verdicts),
        "tone_degrees": [min(v.tone_degrees for v in verdicts), max(v.tone_degrees for v in verdicts)],
        f"years at {OLDER:g}": mean([v.readings[OLDER] - v.source_years for v in verdicts]),
        f"years at {YOUNGER:g}": mean([v.readings[YOUNGER] - v.source_years for v in verdicts]),
        f"identity distance at {OLDER:g}": median([v.distances[OLDER] for v in verdicts]),
        f"identity distance at {YOUNGER:g}": median([v.distances[YOUNGER] for v in verdicts]),
        "rank correlation": mean([rank_correlation(np.array(PROGRESSION), readings) for readings in progressions]),
        "monotone faces": mean([float(steps_up(readings, TOLERANCE_YEARS)) for readings in progressions]),
        "background changed": {
            "value": float(np.mean(background)),
            "most": float(np.max(background)),
            "num": len(background),
        }
        if background
        else None,
    }
