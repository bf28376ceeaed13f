"""What the benchmarks of `ldla` share: faces, and how their zones respond when all are asked for 0 and then for 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from reage.composite import composite
from reage.engines import Engine
from reage.evaluation.control import direction_accuracy
from reage.evaluation.subjects import face_of, in_own_crop
from reage.matte import Parser
from reage.measure import Identifier, Meter, identity_distance
from reage.plan import complete
from reage.portraits import read_shards
from reage.types import ZONES, Face, Plan
from reage.zone_scores import ZoneScorer

COLUMNS = ("slope", "right direction", "identity at 1, median", "s a face")


def read_faces(shards: Path, split: str, num: int) -> list[Face]:
    """So many portraits of a split, spread over all of it."""
    portraits, parser = read_shards(shards, split), Parser.load()
    rows = np.linspace(0, len(portraits) - 1, num).astype(int)
    return [in_own_crop(face_of(portraits, row, parser)) for row in rows]


def respond(engine: Engine, faces: Sequence[Face], scorer: ZoneScorer) -> list[str]:
    """The cells of `COLUMNS`: all zones are asked for 0, and for 1, and read by `scorer`."""
    from runs import timed

    reader, own_scorer, identifier = Meter.load("age-a"), ZoneScorer.load("zones-a"), Identifier.load()
    measured, before, apart, seconds = [], [], [], []
    for face in track(faces, "responses"):
        reading = replace(reader.measure(face), zones=own_scorer.measure(face))
        before.append(scores_of(scorer, face))
        for score in (0.0, 1.0):
            plan = complete(Plan(zones={"all": score}), reading)
            made, took = timed(lambda plan=plan, reading=reading, face=face: engine.render(face, reading, plan))
            aged = replace(face, crop=composite(face.crop, face, made))
            measured.append(scores_of(scorer, aged))
            seconds.append(took)
        points = face.to_crop(face.landmarks)
        apart.append(identity_distance(*(identifier.embed(one.crop, points) for one in (face, aged))))
    low, high = measured[::2], measured[1::2]
    source = np.array(before)
    wanted = np.stack([np.zeros_like(source), np.ones_like(source)])
    seen = ~np.isnan(source)
    right = direction_accuracy(
        np.stack([source, source])[:, seen], wanted[:, seen], np.stack([np.array(low), np.array(high)])[:, seen]
    )
    slope = np.nanmean(np.array(high) - np.array(low))
    return [f"{slope:.2f}", f"{right:.0%}", f"{np.median(apart):.3f}", f"{np.mean(seconds):.1f}"]


def scores_of(scorer: ZoneScorer, face: Face) -> list[float]:
    """(12,) scores of a face, NaN where a zone is hidden."""
    found = scorer.measure(face)
    return [found.get(zone, np.nan) for zone in ZONES]
