"""Faces, and how their zones respond when all are asked for 0 and then for 1; for the benchmarks of `ldla`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

from common.clocks import timed
from reage.composite import composite
from reage.data.faces import portrait_to_face
from reage.data.shards import read_shards
from reage.engines import Engine
from reage.evaluation.metrics.controllability import direction_accuracy
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import DlibRecognizer, identity_distance
from reage.plan import complete
from reage.types import Face, Plan
from reage.zones import ZONES

COLUMNS = (
    "slope by `zones-a`",
    "slope by `zones-b`",
    "right direction by `zones-b`",
    "identity at 1, median",
    "s a face",
)


def read_faces(shards: Path, split: str, num: int) -> list[Face]:
    """So many portraits of a split, evenly spaced over all of it."""
    portraits, parser = read_shards(shards, split).with_known_age(), FaceParser.load()
    rows = np.linspace(0, len(portraits) - 1, num).astype(int)
    return [portrait_to_face(portraits, row, parser).in_crop_frame() for row in rows]


def respond(engine: Engine, faces: Sequence[Face]) -> list[str]:
    """The cells of `COLUMNS`: all zones are asked for 0, and for 1."""
    age_estimator, recognizer = AgeEstimator.load("age-a"), DlibRecognizer.load()
    scorers = [ZoneScorer.load(name) for name in ("zones-a", "zones-b")]
    measured, distances, seconds = [], [], []
    for face in track(faces, "responses"):
        reading = measure_face(face, age_estimator, scorers[0])
        versions = [face]
        for score in (0.0, 1.0):
            plan = complete(Plan(zones={"all": score}), reading)
            aged, took = timed(partial(engine.render, face, reading, plan))
            versions.append(replace(face, crop=composite(face.crop, face, aged)))
            seconds.append(took)
        measured.append([[scores_of(scorer, version) for version in versions] for scorer in scorers])
        points = face.to_crop(face.landmarks)
        first, last = (recognizer.embed(version.crop, points) for version in (face, versions[-1]))
        distances.append(identity_distance(first, last))
    source, low, high = np.moveaxis(np.array(measured), 2, 0)
    slopes = np.nanmean(high - low, (0, 2))
    known = ~np.isnan(source[:, 1] + low[:, 1] + high[:, 1])
    before, after_low, after_high = (scores[:, 1][known] for scores in (source, low, high))
    requested = np.concatenate([np.zeros_like(before), np.ones_like(before)])
    right = direction_accuracy(np.tile(before, 2), requested, np.concatenate([after_low, after_high]))
    cells = (*(f"{slope:.2f}" for slope in slopes), f"{right:.0%}")
    return [*cells, f"{np.median(distances):.3f}", f"{np.mean(seconds):.1f}"]


def scores_of(scorer: ZoneScorer, face: Face) -> list[float]:
    """(12,) scores of a face, NaN where a zone is hidden."""
    scores = scorer.measure(face)
    return [scores.get(zone, np.nan) for zone in ZONES]
