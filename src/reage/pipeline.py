"""The five verbs in a row: find, measure, plan, render, composite."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reage.composite import blend, composite
from reage.engines import DEFAULT_ENGINE, Engine, load_engine
from reage.errors import ImageError
from reage.faces.finder import FaceFinder, choose_faces
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.images import Image, load_image
from reage.measure.age import AgeEstimator
from reage.plan import complete, layers
from reage.types import Aged, CompletePlan, Face, Pixels, Plan, Reading


@dataclass(frozen=True, kw_only=True)
class AgedFace:
    """What was done to one face: where it was, what was read on it, the complete plan, and its aged crop."""

    face: Face
    reading: Reading
    plan: CompletePlan
    aged: Aged


@dataclass(frozen=True, kw_only=True)
class Result:
    """An aged picture and how it came about.

    Args:
        image: the whole picture; metadata of the source kept.
        faces: one entry for each face that was aged.
        engine: name of the engine.
        weights_hash: 12 hex digits of the engine's weights, "" if it has none.
        seconds: time spent in each verb.
    """

    image: Image
    faces: tuple[AgedFace, ...]
    engine: str
    weights_hash: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Writes the picture in the format its name says, marked as altered by AI.

        Raises:
            ImageError: when it cannot be written there, or would overwrite the source.
        """
        self.image.save(path, altered=bool(self.faces) and self.engine != "none")
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """Engine, weights, seconds and, for each face, box, score, reading and plan, as plain values."""
        return {
            "engine": self.engine,
            "weights_hash": self.weights_hash,
            "seconds": {verb: round(seconds, 4) for verb, seconds in self.seconds.items()},
            "faces": [
                {
                    **done.face.to_json(),
                    "age_years": round(done.reading.age_years, 1),
                    "age_std_years": round(done.reading.age_std_years, 1),
                    "plan": done.plan.to_json(),
                }
                for done in self.faces
            ],
        }


class Reager:
    """Ages faces; loads its parts once, at the first picture that needs them.

    Args:
        engine: name of an engine, or a loaded one.
        device: "cpu" or a torch device.
        finder: a loaded `FaceFinder`, to share one between several.
        age_estimator: a loaded `AgeEstimator`, likewise.

    Example:
        >>> artist = Reager()  # doctest: +SKIP
        >>> artist("me.jpg", Plan(age=70)).save("me-70.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        engine: str | Engine = DEFAULT_ENGINE,
        *,
        device: str = "cpu",
        finder: FaceFinder | None = None,
        age_estimator: AgeEstimator | None = None,
    ) -> None:
        self.engine: Engine = load_engine(engine, device=device) if isinstance(engine, str) else engine
        self.finder = finder or FaceFinder.load()
        self._device, self._given_age_estimator = device, age_estimator

    @cached_property
    def age_estimator(self) -> AgeEstimator:
        """Reads ages."""
        return self._given_age_estimator or AgeEstimator.load(device=self._device)

    @cached_property
    def scorer(self) -> ZoneScorer:
        """Scores zones, for engines that want a score for every one."""
        return ZoneScorer.load()

    def find(self, image: str | Path | Pixels | Image) -> list[Face]:
        """The faces of a picture, the largest first, with what the engine needs to know of them."""
        return self.finder.find(as_image(image).pixels, dense_landmarks=self.engine.dense_landmarks)

    def measure(self, face: Face) -> Reading:
        """What the engine needs to know of a face before it changes it."""
        reading = self.age_estimator.measure(face)
        return replace(reading, zones=self.scorer.measure(face)) if self.engine.zone_driven else reading

    def __call__(
        self,
        image: str | Path | Pixels | Image,
        plan: Plan,
        *,
        faces: str | int | Sequence[Face] = "all",
        readings: Sequence[Reading] | None = None,
    ) -> Result:
        """Ages a picture.

        Args:
            image: a file, (H, W, 3) RGB uint8 pixels, or an `Image`.
            plan: the order; the same for every face.
            faces: "all", "largest", a number from 1 (the largest), or faces that `find` returned for this picture.
            readings: of those faces, to age them several times and measure them once.

        Raises:
            ImageError: when the picture cannot be read.
            FaceNotFound: when there is no such face.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "load"):
            picture = as_image(image)
        with _timed(seconds, "find"):
            chosen = choose_faces(self.find(picture), faces) if isinstance(faces, str | int) else list(faces)
        with _timed(seconds, "measure"):
            read = list(readings or map(self.measure, chosen))
        pixels, done = picture.pixels, []
        for face, reading in zip(chosen, read, strict=True):
            whole = complete(plan, reading)
            with _timed(seconds, "render"):
                aged = render(self.engine, face, reading, whole)
            with _timed(seconds, "composite"):
                pixels = composite(pixels, face, aged)
            done.append(AgedFace(face=face, reading=reading, plan=whole, aged=aged))
        return Result(
            image=picture.with_pixels(pixels),
            faces=tuple(done),
            engine=self.engine.name,
            weights_hash=self.engine.weights_hash,
            seconds=seconds,
        )


def render(engine: Engine, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
    """The engine's aged crop for a complete plan; zones it cannot take are made by masking its change."""
    if not plan.zones or "zones" in engine.accepts:
        return engine.render(face, reading, plan)
    masks = zone_masks(face)
    whole, *zoned = layers(plan)
    parts = [
        (engine.render(face, reading, layer.plan), np.sum([masks[zone] for zone in layer.zones], axis=0))
        for layer in zoned
    ]
    rest = 1 - np.sum([mask for _, mask in parts], axis=0)
    return blend(face, [(engine.render(face, reading, whole.plan), rest), *parts])


def reage(
    image: str | Path | Pixels | Image,
    *,
    age: float | None = None,
    zones: Mapping[str, float] | None = None,
    strength: float = Plan.strength,
    engine: str = DEFAULT_ENGINE,
    faces: str | int = "all",
) -> Result:
    """Ages the faces of one picture; see `Reager` for many.

    Example:
        >>> reage("me.jpg", age=70).save("me-70.png")  # doctest: +SKIP
    """
    return Reager(engine)(image, Plan(age=age, zones=zones or {}, strength=strength), faces=faces)


def as_image(image: str | Path | Pixels | Image) -> Image:
    """A file or (H, W, 3) RGB uint8 pixels as an `Image`.

    Raises:
        ImageError: when it is neither, or the file cannot be read.
    """
    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Image):
        return image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"The picture is {given}; give a path, a reage.Image, or RGB uint8 pixels (height, width, 3).")
    return Image(pixels=np.ascontiguousarray(image))


@contextmanager
def _timed(seconds: dict[str, float], verb: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[verb] = seconds.get(verb, 0.0) + time.perf_counter() - start
