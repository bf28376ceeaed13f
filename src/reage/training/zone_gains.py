"""Measures how far an engine that ages zones moves each of them, so that it can do as much as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reage.composite import composite
from reage.engines import Engine
from reage.evaluation.subjects import in_own_crop
from reage.measure import Meter
from reage.plan import complete
from reage.signs import OTHER_SIDE
from reage.types import ZONES, Face, Plan
from reage.zone_scores import ZoneScorer

MOST = 2.5
"""Largest gain: beyond, a change is more visible than what it shows, and a map unlike any that a net has seen."""


def measure_zone_gains(
    engine: Engine,
    faces: Sequence[Face],
    reader: Meter,
    scorer: ZoneScorer,
    track: Callable[[Sequence[Face]], Iterable[Face]] = iter,
) -> tuple[float, ...]:
    """One number for each of `ZONES`, 1 to `MOST`: by how much its scores fall short of what is asked.

    All zones of each face are asked for 0 and for 1; both sides of the face get the same.

    Args:
        engine: with no gains of its own.
        faces: of training people.
        reader: of ages.
        scorer: that the engine has learned from; never the one that judges.
        track: wraps the faces in a progress bar.
    """
    rises = []
    for face in map(in_own_crop, track(faces)):
        reading = replace(reader.measure(face), zones=scorer.measure(face))
        scores = []
        for score in (0.0, 1.0):
            aged = engine.render(face, reading, complete(Plan(zones={"all": score}), reading))
            scores.append(scorer.measure(replace(face, crop=composite(face.crop, face, aged))))
        rises.append([scores[1].get(zone, np.nan) - scores[0].get(zone, np.nan) for zone in ZONES])
    return to_gains(np.nanmean(rises, axis=0))


def to_gains(slopes: NDArray[np.floating]) -> tuple[float, ...]:
    """Mean rises (12,) of the zones that were asked to rise by 1 -> as many gains, 1 to `MOST`, alike on both sides."""
    slopes = (slopes + slopes[list(OTHER_SIDE)]) / 2
    return tuple(np.maximum(1 / np.maximum(slopes, 1 / MOST), 1.0).tolist())
