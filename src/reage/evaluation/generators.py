"""Who makes the pictures that are judged: an engine, or another program that has made them already."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from reage.composite import composite
from reage.engines import Engine
from reage.errors import ReageError
from reage.evaluation.rows import Kind
from reage.evaluation.subjects import Subject
from reage.faces.finder import FaceFinder
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry, load_image
from reage.measure.age import AgeEstimator
from reage.pipeline import render
from reage.plan import complete
from reage.types import Pixels, Plan, Plane, Reading
from reage.zones import ZONES


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture made of a subject.

    Args:
        kind: at a target age, or with one zone at a score.
        crop: (S, S, 3) aligned by its own landmarks; None when no face was found in it.
        points: (5, 2) landmarks in crop px.
        in_frame: (S, S, 3) the same face cut out where the source's was, to be set beside it pixel by pixel; None when
            the pictures differ in size.
        target: years asked for.
        zone: that was asked for, "" for none.
        score: asked of it.
        seconds: it took; NaN when somebody else has made it.
    """

    kind: Kind
    crop: Pixels | None
    points: Plane
    in_frame: Pixels | None
    target: float = np.nan
    zone: str = ""
    score: float = np.nan
    seconds: float = np.nan


class PictureGenerator(Protocol):
    """Makes pictures of a subject."""

    @property
    def name(self) -> str:
        """Who it is."""
        ...

    @property
    def weights_hash(self) -> str:
        """Of its weights; "" without."""
        ...

    def make(self, subject: Subject, place: int) -> Iterator[Picture]:
        """The pictures of the subject at that place in the list."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineGenerator:
    """An engine of reage, its change composited as at run time.

    Args:
        engine: that is judged.
        reader: reads the source's age, as at run time.
        scorer: scores the source's zones, as at run time, for an engine that is driven by them.
        targets: ages it is asked for.
        zone_scores: scores each zone is asked for in turn.
        zone_every: zones are ordered for every so manieth subject, 0 for none: twelve zones take a while.
    """

    engine: Engine
    reader: AgeEstimator
    scorer: ZoneScorer
    targets: Sequence[float]
    zone_scores: Sequence[float] = ()
    zone_every: int = 0

    @property
    def name(self) -> str:
        """Of the engine."""
        return self.engine.name

    @property
    def weights_hash(self) -> str:
        """Of the engine's weights."""
        return self.engine.weights_hash

    def make(self, subject: Subject, place: int) -> Iterator[Picture]:
        """Every target, then every zone at every score."""
        reading = self.reader.measure(subject.face)
        if self.engine.zone_driven:
            reading = replace(reading, zones=self.scorer.measure(subject.face))
        for target in self.targets:
            plan = complete(Plan(age=target), reading)
            yield self._make(subject, reading, plan, kind="aged", target=target)
        if not self.zone_every or place % self.zone_every:
            return
        for zone in ZONES:
            for score in self.zone_scores:
                plan = complete(Plan(zones={zone: score}), reading)
                yield self._make(subject, reading, plan, kind="zone", zone=zone, score=score)

    def _make(self, subject: Subject, reading: Reading, plan: Plan, **order: object) -> Picture:
        start = time.perf_counter()
        aged = render(self.engine, subject.face, reading, plan)
        crop = composite(subject.face.crop, subject.face, aged)
        seconds = time.perf_counter() - start
        return Picture(crop=crop, points=subject.points, in_frame=crop, seconds=seconds, **order)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class PairGenerator:
    """Pictures that lie in a folder already.

    Args:
        name: of the program, or of the folder.
        after: photo -> the picture made of it.
        target: years that were asked for.
        finder: finds the face in both.
    """

    name: str
    after: Mapping[Path, Path]
    target: float
    finder: FaceFinder
    weights_hash: str = ""

    def make(self, subject: Subject, place: int) -> Iterator[Picture]:
        """The one picture."""
        if subject.photo is None or subject.in_photo is None:
            raise ReageError("PairedLatents are two folders of photos; shards hold no photos to pair with.")
        before, after = load_image(subject.photo).pixels, load_image(self.after[subject.photo]).pixels
        side = len(subject.face.crop)
        in_frame = None
        if before.shape == after.shape:
            in_frame = geometry.warp(after, subject.in_photo.crop_from_image, side, side)
        faces = self.finder.find(after)
        crop, points = (faces[0].crop, faces[0].to_crop(faces[0].landmarks)) if faces else (None, subject.points)
        yield Picture(kind="aged", crop=crop, points=points, in_frame=in_frame, target=self.target)
