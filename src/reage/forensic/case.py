"""The chain: find, measure, change the age, measure again, draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import reage
from reage.faces.drawn_sketch import STYLES, check_style
from reage.images import Image, geometry
from reage.measure import find_doubts
from reage.measure.recognizers import SAME_PERSON_DISTANCE, AifdRecognizer, DlibRecognizer, identity_distance
from reage.measure.references import describe_left_out
from reage.pipeline import Reager, as_image, timed
from reage.sketch import Sketcher, check_kind
from reage.types import Face, Pixels, Plan, Plane, Reading
from reage.weights import find_weights, weights_hash


@dataclass(frozen=True, kw_only=True)
class CaseRequest:
    """What is to be drawn.

    Args:
        ages: in years, 1 to 100; one or more.
        style: one of `reage.faces.drawn_sketch.STYLES`.
        age_from: age of the person in the photo; None to measure it.
        seed: for engines that draw random numbers.
        given_as: one of `reage.sketch.KINDS`, what the picture is; None to find out.

    Raises:
        ReageError: when there is no such style.
        PlanError: when an age or the seed is out of range.
    """

    ages: tuple[float, ...]
    style: str = STYLES[0]
    age_from: float | None = None
    seed: int = 0
    given_as: str | None = None

    def __post_init__(self) -> None:
        check_style(self.style)
        for age in self.ages:
            self.plan(age)

    def plan(self, age: float) -> Plan:
        """The plan of the engine for one age."""
        return Plan(age=age, age_from=self.age_from, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class DrawnAge:
    """The face at one age.

    Args:
        age: that was asked for, years.
        aged: (S, S, 3) the aged photo, aligned.
        sketch: (S, S, 3) the drawing of it.
        reading: age that is read on the aged photo.
        distance: identity distance between the photo and the aged photo, by dlib's net.
        similarity: the same by `aifd`, from -1 to 1, higher for more similar faces.
        sketch_distance: identity distance between the photo and the sketch, by dlib's net.
        notes: of the engine, a sentence each.
    """

    age: float
    aged: Pixels
    sketch: Pixels
    reading: Reading
    distance: float
    similarity: float
    sketch_distance: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {
            "age_asked": self.age,
            **_reading_to_json(self.reading),
            "identity_distance": round(self.distance, 3),
            "identity_similarity_aifd": round(self.similarity, 3),
            "sketch_identity_distance": round(self.sketch_distance, 3),
        }


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that was made of a photo, and how.

    Args:
        source: name of the photo's file; "" for pixels.
        photo: (S, S, 3) the photo, aligned.
        face: as it was found.
        reading: age that is read on the photo.
        doubts: why that may be wrong.
        drawn: for each age.
        request: what was asked for.
        engine: name of the engine.
        weights: net -> 12 hex digits of its weights.
        seconds: time spent in each step: load, find, measure, age, draw.
        notes: what the user should know, a sentence each.
        num_references: photos that were used as references.
    """

    source: str
    photo: Pixels
    face: Face
    reading: Reading
    doubts: tuple[str, ...]
    drawn: tuple[DrawnAge, ...]
    request: CaseRequest
    engine: str
    weights: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    num_references: int = 0
    version: str = reage.__version__
    same_person_distance: float = SAME_PERSON_DISTANCE

    def to_json(self) -> dict[str, Any]:
        """Every number of the report as plain values."""
        return {
            "source": self.source,
            "face": self.face.to_json(),
            "before": _reading_to_json(self.reading),
            "age_given": self.request.age_from,
            "doubts": list(self.doubts),
            "drawn": [one.to_json() for one in self.drawn],
            "same_person_below": self.same_person_distance,
            "style": self.request.style,
            "engine": self.engine,
            "weights": dict(self.weights),
            "seed": self.request.seed,
            "references": self.num_references,
            "version": self.version,
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
            "notes": list(self.notes),
        }


class ForensicChain:
    """Runs the chain with one engine.

    Args:
        reager: changes the age; its finder and age estimator are used for everything else too.
        sketcher: draws; a new one by default.

    Example:
        >>> case = ForensicChain(Reager()).run("me.jpg", CaseRequest(ages=(25.0,)))  # doctest: +SKIP
        >>> write_case(case, "case/")  # doctest: +SKIP
    """

    def __init__(self, reager: Reager, sketcher: Sketcher | None = None) -> None:
        self.reager = reager
        self.sketcher = sketcher or Sketcher(reager.finder)
        self._dlib, self._aifd = DlibRecognizer.load(), AifdRecognizer.load()

    def run(
        self,
        image: str | Path | Pixels | Image,
        request: CaseRequest,
        *,
        face: int | str | tuple[int, ...] = "largest",
        references: Sequence[str | Path] = (),
    ) -> Case:
        """The photo at every age of the request, drawn, with its numbers.

        Args:
            image: a file, RGB uint8 pixels (H, W, 3), or an `Image`.
            request: what is to be drawn.
            face: "largest", or its number from 1.
            references: photos of the same person at about that age, files or folders.

        Raises:
            ImageError: when a picture cannot be read, or is a sketch.
            FaceNotFound: when there is no such face, or no reference shows it.
            EngineError: when the engine does not accept references.
        """
        seconds: dict[str, float] = {}
        with timed(seconds, "load"):
            picture = as_image(image)
            picture = picture.frames[0] if picture.more else picture
            read = self.reager.read_references(references) if references else ()
        with timed(seconds, "find"):
            found = self.reager.choose(picture, face)[0]
        check_kind(found, "photo", request.given_as)
        with timed(seconds, "measure"):
            reading = self.reager.measure(found)
            identities = self._embed(found.crop, found)
        drawn, notes, used = [], list(picture.notes), 0
        for age in request.ages:
            with timed(seconds, "age"):
                result = self.reager(picture, request.plan(age), faces=[found], readings=[reading], references=read)
                aged = _cut(result.image.pixels, found)
            with timed(seconds, "draw"):
                drawn.append(self._draw(age, aged, found, request, identities))
            chosen = result.faces[0].references
            used = sum(one.reference is not None for one in chosen)
            left_out = describe_left_out(chosen)
            notes += [*result.notes, *([f"At {age:g} these references were left out: {left_out}."] if left_out else [])]
        return Case(
            source=picture.source.name if picture.source else "",
            photo=found.crop,
            face=found,
            reading=reading,
            doubts=() if request.age_from is not None else find_doubts(found, reading),
            drawn=tuple(drawn),
            request=request,
            engine=self.reager.engine.name,
            weights=self._weights(),
            seconds=seconds,
            notes=tuple(dict.fromkeys(notes)),
            num_references=used,
        )

    def _draw(
        self, age: float, aged: Pixels, face: Face, request: CaseRequest, identities: tuple[Plane, Plane]
    ) -> DrawnAge:
        sketch = self.sketcher.draw(aged, request.style, mesh=face.to_crop(face.mesh))
        own, sketched = self._embed(aged, face), self._embed(geometry.resize(sketch, *aged.shape[:2]), face)
        return DrawnAge(
            age=age,
            aged=aged,
            sketch=sketch,
            reading=self.reager.age_estimator.measure_crops(aged[None])[0],
            distance=float(identity_distance(identities[0], own[0])),
            similarity=float(self._aifd.similarity(identities[1], own[1])),
            sketch_distance=float(identity_distance(identities[0], sketched[0])),
        )

    def _embed(self, crop: Pixels, face: Face) -> tuple[Plane, Plane]:
        """Embeddings of a crop in the frame of a face, by dlib's net and by `aifd`."""
        points = face.to_crop(face.landmarks)
        return self._dlib.embed(crop, points), self._aifd.embed(crop, points)

    def _weights(self) -> dict[str, str]:
        nets = {"age-a": self.reager.age_estimator.weights_hash, "sketch": self.sketcher.sketch_net.weights_hash}
        recognizers = {name: weights_hash(find_weights(name)) for name in ("face-recognizer", "aifd")}
        return {self.reager.engine.name: self.reager.engine.weights_hash, **nets, **recognizers}


def _cut(pixels: Pixels, face: Face) -> Pixels:
    side = len(face.crop)
    return np.ascontiguousarray(geometry.warp(pixels, face.crop_from_image, side, side))


def _reading_to_json(reading: Reading) -> dict[str, float]:
    return {"age_years": round(reading.age_years, 1), "age_std_years": round(reading.age_std_years, 1)}
