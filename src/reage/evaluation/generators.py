"""What makes the pictures that are evaluated: an engine, or another program that has made them already."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.pipeline import render
from reage.plan import complete
from reage.types import CompletePlan, Pixels, Plan, Plane, Reading
from reage.zones import ZONES


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture made of a subject.

    Args:
        kind: at a target age, or with one zone at a requested score.
        crop: (S, S, 3) aligned by its own landmarks; None when no face was found in it.
        points: (5, 2) landmarks in crop px.
        in_source_frame: (S, S, 3) the region of the source's crop, for a comparison pixel by pixel; None when the
            pictures differ in size.
        target: age in years that was asked for.
        zone: that was asked for, "" for none.
        score: requested for the zone.
        seconds: that making it took; NaN when another program has made it.
    """

    kind: Kind
    crop: Pixels | None
    points: Plane
    in_source_frame: Pixels | None
    target: float = np.nan
    zone: str = ""
    score: float = np.nan
    seconds: float = np.nan


class PictureGenerator(Protocol):
    """Makes pictures of a subject."""

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    @property
    def weights_hash(self) -> str:
        """Hash of its weights; "" without weights."""
        ...

    def generate(self, subject: Subject, index: int) -> Iterator[Picture]:
        """The pictures of the subject at that index of the list."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineGenerator:
    """An engine of reage; its change is composited as in the pipeline.

    Args:
        engine: that is evaluated.
        age_estimator: reads the source's age, as in the pipeline.
        zone_scorer: scores the source's zones for an engine that is driven by them, as in the pipeline.
        targets: ages in years that the engine is asked for.
        zone_scores: scores that each zone is asked for in turn.
        zone_every: zone requests are made for one in so many subjects, because twelve zones take a while; 0 for none.
    """

    engine: Engine
    age_estimator: AgeEstimator
    zone_scorer: ZoneScorer
    targets: Sequence[float]
    zone_scores: Sequence[float] = ()
    zone_every: int = 0

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self.engine.name

    @property
    def weights_hash(self) -> str:
        """Hash of the engine's weights."""
        return self.engine.weights_hash

    def generate(self, subject: Subject, index: int) -> Iterator[Picture]:
        """A picture for every target, then one for every zone and every score."""
        zone_scorer = self.zone_scorer if self.engine.zone_driven else None
        reading = measure_face(subject.face, self.age_estimator, zone_scorer)
        for target in self.targets:
            plan = complete(Plan(age=target), reading)
            yield self._generate_one(subject, reading, plan, kind="aged", target=target)
        if not self.zone_every or index % self.zone_every:
            return
        for zone in ZONES:
            for score in self.zone_scores:
                plan = complete(Plan(zones={zone: score}), reading)
                yield self._generate_one(subject, reading, plan, kind="zone", zone=zone, score=score)

    def _generate_one(
        self,
        subject: Subject,
        reading: Reading,
        plan: CompletePlan,
        *,
        kind: Kind,
        target: float = np.nan,
        zone: str = "",
        score: float = np.nan,
    ) -> Picture:
        start = time.perf_counter()
        aged = render(self.engine, subject.face, reading, plan)
        crop = composite(subject.face.crop, subject.face, aged)
        seconds = time.perf_counter() - start
        return Picture(
            kind=kind,
            crop=crop,
            points=subject.points,
            in_source_frame=crop,
            target=target,
            zone=zone,
            score=score,
            seconds=seconds,
        )


@dataclass(frozen=True, kw_only=True)
class PairGenerator:
    """Pictures that another program has made and saved in a folder.

    Args:
        name: of the program, or of the folder.
        after: photo -> the picture made of it.
        target: age in years that was asked for.
        finder: finds the face in both.
    """

    name: str
    after: Mapping[Path, Path]
    target: float
    finder: FaceFinder
    weights_hash: str = ""

    def generate(self, subject: Subject, index: int) -> Iterator[Picture]:
        """The one picture of the subject."""
        if subject.photo is None or subject.face_in_photo is None:
            raise ReageError("Pairs are two folders of photos; shards hold no photos to pair with.")
        before, after = load_image(subject.photo).pixels, load_image(self.after[subject.photo]).pixels
        side = len(subject.face.crop)
        in_source_frame = None
        if before.shape == after.shape:
            in_source_frame = geometry.warp(after, subject.face_in_photo.crop_from_image, side, side)
        faces = self.finder.find(after)
        crop, points = (faces[0].crop, faces[0].to_crop(faces[0].landmarks)) if faces else (None, subject.points)
        yield Picture(kind="aged", crop=crop, points=points, in_source_frame=in_source_frame, target=self.target)
