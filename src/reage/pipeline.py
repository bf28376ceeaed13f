"""Ages pictures: find, measure, plan, render and composite, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.composite import blend, composite, mask_change
from reage.engines import DEFAULT_ENGINE, TORCH_ENGINES, Engine, load_engine
from reage.engines.base import ReferenceEngine
from reage.errors import EngineError, FaceNotFound, ImageError, PlanError
from reage.faces.blazeface import Box
from reage.faces.finder import FaceFinder, choose_faces
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.images import Image, load_image
from reage.measure import AgeEstimator, find_doubts, measure_face
from reage.measure.references import ChosenReference, References
from reage.plan import complete, layers
from reage.types import Aged, CompletePlan, Face, Pixels, Plan, Plane, Reading


@dataclass(frozen=True, kw_only=True)
class AgedFace:
    """One face that was aged.

    Args:
        face: as it was found.
        reading: of it.
        plan: the complete one.
        aged: the aged crop.
        age_was_given: whether the plan named the age of the person.
        references: what became of every reference for this face; empty without references.
        frame: number, from 1, of the page or frame that the face is in.
    """

    face: Face
    reading: Reading
    plan: CompletePlan
    aged: Aged
    age_was_given: bool = False
    references: tuple[ChosenReference, ...] = ()
    frame: int = 1

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the age that was read may be wrong, see `find_doubts`; empty where the age was given."""
        return () if self.age_was_given else find_doubts(self.face, self.reading)


@dataclass(frozen=True, kw_only=True)
class Result:
    """An aged picture, and how it was made.

    Args:
        image: the whole picture, with the metadata of the source.
        faces: one entry for each face that was aged.
        engine: name of the engine.
        weights_hash: 12 hex digits of the engine's weights; "" if it has none.
        seconds: time spent in each step: load, find, measure, render, composite.
        notes: what the user should know, a sentence each: what was left out in reading, and the age that was used where
            the engine does not reach the target.
    """

    image: Image
    faces: tuple[AgedFace, ...]
    engine: str
    weights_hash: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def altered(self) -> bool:
        """Whether the picture is to be marked as altered by AI."""
        return bool(self.faces) and self.engine != "none"

    def save(self, path: str | Path) -> Path:
        """Writes the picture in the format of the suffix, marked as altered by AI, and returns the path.

        Raises:
            ImageError: when it cannot be written there, or would overwrite the source.
        """
        self.image.save(path, altered=self.altered)
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """Engine, weights, seconds, notes and, for each face, box, score, reading, doubts, plan and references.

        What the engine tells of how it was done, see `reage.types.Aged`, stands beside them.
        """
        in_frames = bool(self.image.more)
        return {
            "engine": self.engine,
            "weights_hash": self.weights_hash,
            "seconds": {step: round(seconds, 4) for step, seconds in self.seconds.items()},
            "notes": list(self.notes),
            "faces": [
                {
                    **({"frame": done.frame} if in_frames else {}),
                    **done.face.to_json(),
                    "age_years": round(done.reading.age_years, 1),
                    "age_std_years": round(done.reading.age_std_years, 1),
                    "doubts": list(done.doubts),
                    "plan": done.plan.to_json(),
                    **done.aged.details,
                    **({"references": [one.to_json() for one in done.references]} if done.references else {}),
                }
                for done in self.faces
            ],
        }


class Reager:
    """Ages pictures with one engine, finder and age estimator, each of which is loaded once.

    Args:
        engine: name of an engine, or a loaded one.
        device: "cpu", or another of `reage.nets.runtime`; for an engine of `TORCH_ENGINES` a torch device.
        finder: a `FaceFinder` to share between several; a new one by default.
        age_estimator: an `AgeEstimator` to share between several; loaded at the first face by default.

    Example:
        >>> reager = Reager()  # doctest: +SKIP
        >>> reager("me.jpg", Plan(age=70)).save("me-70.png")  # doctest: +SKIP
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
        nets_device = "auto" if self.engine.name in TORCH_ENGINES and device != "cpu" else device
        self.finder = finder or FaceFinder.load(device=nets_device)
        self._device, self._given_age_estimator = nets_device, age_estimator

    @cached_property
    def age_estimator(self) -> AgeEstimator:
        """The age estimator."""
        return self._given_age_estimator or AgeEstimator.load(device=self._device)

    @cached_property
    def zone_scorer(self) -> ZoneScorer:
        """The zone scorer; only zone-driven engines need it."""
        return ZoneScorer.load()

    def find(self, image: str | Path | Pixels | Image) -> list[Face]:
        """The faces of a picture, the largest first."""
        return self.finder.find(as_image(image).pixels)

    def find_in_box(self, image: str | Path | Pixels | Image, box: Box) -> Face:
        """The face in a box that a person drew around it; see `FaceFinder.find_in_box`."""
        return self.finder.find_in_box(as_image(image).pixels, box)

    def choose(
        self, image: str | Path | Pixels | Image, faces: str | int | Sequence[int] | Sequence[Face]
    ) -> list[Face]:
        """The faces of a picture that a choice names; given faces are returned as they are.

        Args:
            image: as in `find`.
            faces: as in `__call__`.

        Raises:
            FaceNotFound: when there is no such face.
        """
        if isinstance(faces, str | int):
            return choose_faces(self.find(image), faces)
        numbers = [one for one in faces if isinstance(one, int)]
        return choose_faces(self.find(image), numbers) if numbers else [one for one in faces if isinstance(one, Face)]

    def read_references(self, paths: Sequence[str | Path]) -> References:
        """Photos of the person at about the wanted age, read once for several calls.

        Args:
            paths: files, and folders whose pictures are taken.

        Raises:
            EngineError: when the engine does not accept references.
            ImageError: when a folder or file is missing or holds no picture.
            FaceNotFound: when none shows a face.
        """
        self.check_references()
        return References.load(paths, self.finder, self.age_estimator)

    def _load_references(self, references: References | Sequence[str | Path]) -> References | None:
        """The references, read; None for none."""
        if not isinstance(references, References):
            return self.read_references(references) if references else None
        self.check_references()
        return references

    def check_references(self) -> None:
        """Checks that the engine accepts references.

        Raises:
            EngineError: when it does not.
        """
        if "references" not in self.engine.accepts:
            raise EngineError(
                f"The engine '{self.engine.name}' accepts no references; use --engine exemplar, or leave them out."
            )

    def measure(self, face: Face) -> Reading:
        """The reading of a face, with zone scores when the engine is zone-driven."""
        return measure_face(face, self.age_estimator, self.zone_scorer if self.engine.zone_driven else None)

    def __call__(
        self,
        image: str | Path | Pixels | Image,
        plan: Plan,
        *,
        faces: str | int | Sequence[int] | Sequence[Face] = "all",
        readings: Sequence[Reading] | None = None,
        mask: Plane | None = None,
        references: References | Sequence[str | Path] = (),
    ) -> Result:
        """The aged picture, with all its pages or frames.

        A target age beyond those of the engine is replaced by the nearest. In an animation, a face keeps the reading
        that it had first, so that one plan holds for the whole; a page or frame without a face stays as it is.

        Args:
            image: a file, (H, W, 3) RGB uint8 pixels, or an `Image`.
            plan: for every face.
            faces: "all", "largest", a number from 1 (the largest) or several, or faces that `find` or `find_in_box`
                returned for this picture; in a picture of several frames, a choice holds in each of them.
            readings: of these faces, to measure them once and age them several times; measured by default.
            mask: (H, W) float in [0, 1], where the picture may change: at 0 every bit is kept, in between the change is
                blended; everywhere by default.
            references: photos of the same person at about the wanted age, files or folders, or what `read_references`
                returned; their lines, light and shape take the place of those of other people.

        Raises:
            ImageError: when the picture or a reference cannot be read, the mask does not fit it, or faces were given
                for a picture of several frames.
            FaceNotFound: when there is no such face, or no reference shows it.
            EngineError: when the engine does not accept references.
            PlanError: when the plan asks for skin, and the engine does not accept it or the photo does not show it.
        """
        seconds: dict[str, float] = {}
        with timed(seconds, "load"):
            picture = as_image(image)
        clipped = describe_clipped_ages(self.engine, [plan.age])
        run = partial(
            self._age_frame,
            plan=clip_target(plan, self.engine),
            faces=faces,
            mask=mask,
            references=self._load_references(references),
            seconds=seconds,
        )
        if picture.more:
            _check_choice(picture, faces)
            image, done = self._age_frames(picture, run)
        else:
            image, done = run(picture, readings=readings)
        return Result(
            image=image,
            faces=tuple(done),
            engine=self.engine.name,
            weights_hash=self.engine.weights_hash,
            seconds=seconds,
            notes=(*picture.notes, *([clipped] if clipped else [])),
        )

    def _age_frames(
        self, picture: Image, run: Callable[..., tuple[Image, list[AgedFace]]]
    ) -> tuple[Image, list[AgedFace]]:
        """The aged frames, and their faces."""
        frames, done, known = [], list[AgedFace](), list[AgedFace]()
        missing: FaceNotFound | None = None
        for number, frame in enumerate(picture.frames, 1):
            try:
                image, faces = run(frame, number=number, known=known)
            except FaceNotFound as error:
                image, faces, missing = frame, [], missing or error
            frames.append(image)
            done += faces
            known = known or (faces if picture.duration_ms is not None else [])
        if not done and missing is not None:
            raise missing
        return replace(frames[0], more=tuple(frames[1:])), done

    def _age_frame(
        self,
        picture: Image,
        *,
        plan: Plan,
        faces: str | int | Sequence[int] | Sequence[Face],
        mask: Plane | None,
        references: References | None,
        seconds: dict[str, float],
        readings: Sequence[Reading] | None = None,
        number: int = 1,
        known: Sequence[AgedFace] = (),
    ) -> tuple[Image, list[AgedFace]]:
        """One frame with its faces aged; a face near a known one has its reading."""
        if mask is not None:
            _check_mask(mask, picture)
        with timed(seconds, "find"):
            chosen = self.choose(picture, faces)
        with timed(seconds, "measure"):
            read = list(readings or (_reading_near(face, known) or self.measure(face) for face in chosen))
            by_face = references.choose(chosen) if references else [()] * len(chosen)
        samples: NDArray[Any] = picture.samples
        done = []
        for face, reading, candidates in zip(chosen, read, by_face, strict=True):
            own_plan = complete(plan, reading)
            own_references = tuple(one.within(own_plan) for one in candidates)
            with timed(seconds, "render"):
                aged = render(_for_person(self.engine, own_references), face, reading, own_plan)
            with timed(seconds, "composite"):
                samples = composite(samples, face, aged)
            given = plan.age_from is not None
            done.append(
                AgedFace(
                    face=face,
                    reading=reading,
                    plan=own_plan,
                    aged=aged,
                    age_was_given=given,
                    frame=number,
                    references=own_references,
                )
            )
        if mask is not None:
            with timed(seconds, "composite"):
                samples = mask_change(picture.samples, samples, mask)
        return picture.with_pixels(samples), done


def clip_target(plan: Plan, engine: Engine | type[Engine]) -> Plan:
    """The plan with its target age within those of the engine."""
    youngest, oldest = engine.ages
    return plan if plan.age is None else replace(plan, age=min(max(plan.age, youngest), oldest))


def describe_clipped_ages(engine: Engine | type[Engine], ages: Sequence[float | None]) -> str:
    """A sentence on target ages that the engine clips to its range; "" for none."""
    youngest, oldest = engine.ages
    beyond = [age for age in ages if age is not None and not youngest <= age <= oldest]
    if not beyond:
        return ""
    used = ", ".join(f"{min(max(float(age), youngest), oldest):g}" for age in beyond)
    return (
        f"The engine '{engine.name}' was made for ages {youngest:g} to {oldest:g}; "
        f"instead of {', '.join(f'{age:g}' for age in beyond)} it uses {used}."
    )


def _for_person(engine: Engine, references: Sequence[ChosenReference]) -> Engine:
    """The engine with the references that are used."""
    used = [one.reference for one in references if one.reference is not None]
    return engine.with_references(used) if used and isinstance(engine, ReferenceEngine) else engine


def render(engine: Engine, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
    """The engine's aged crop for a complete plan.

    For an engine that does not accept zones, each zone is rendered at its age and blended in by its mask.

    Raises:
        PlanError: when the plan asks for skin, and the engine does not accept it or the photo does not show it.
    """
    if plan.skin and "skin" not in engine.accepts:
        raise PlanError(
            f"The engine {engine.name} cannot change {' or '.join(plan.skin)}; use {DEFAULT_ENGINE}, or leave skin out."
        )
    if not plan.zones or "zones" in engine.accepts:
        return engine.render(face, reading, plan)
    masks = zone_masks(face)
    whole, *zoned = layers(plan)
    rendered = [
        (engine.render(face, reading, layer.plan), np.sum([masks[zone] for zone in layer.zones], axis=0))
        for layer in zoned
    ]
    rest = 1 - np.sum([mask for _, mask in rendered], axis=0)
    return blend(face, [(engine.render(face, reading, whole.plan), rest), *rendered])


def reage(
    image: str | Path | Pixels | Image,
    *,
    age: float | None = None,
    zones: Mapping[str, float] | None = None,
    strength: float = Plan.strength,
    engine: str = DEFAULT_ENGINE,
    faces: str | int | Sequence[int] = "all",
    references: Sequence[str | Path] = (),
) -> Result:
    """The picture with its faces aged; use `Reager` for several pictures.

    Example:
        >>> reage("me.jpg", age=70).save("me-70.png")  # doctest: +SKIP
    """
    return Reager(engine)(
        image, Plan(age=age, zones=zones or {}, strength=strength), faces=faces, references=references
    )


def as_image(image: str | Path | Pixels | Image) -> Image:
    """The `Image` of a file, with all its frames, or of RGB uint8 pixels (H, W, 3).

    Raises:
        ImageError: when it is neither, or the file cannot be read.
    """
    if isinstance(image, str | Path):
        return load_image(image, frame=None)
    if isinstance(image, Image):
        return image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"The picture is {given}; give a path, a reage.Image, or RGB uint8 pixels (height, width, 3).")
    return Image(pixels=np.ascontiguousarray(image))


def _check_choice(picture: Image, faces: str | int | Sequence[int] | Sequence[Face]) -> None:
    if not isinstance(faces, str | int) and any(isinstance(one, Face) for one in faces):
        raise ImageError(
            f"The faces were given for one picture, and this one has {len(picture.frames)} pages or frames; choose one "
            "of them with --frame."
        )


def _reading_near(face: Face, known: Sequence[AgedFace]) -> Reading | None:
    """The reading of the known face nearest to a face; None where none lies within half its height."""
    centre = np.array(face.box).reshape(2, 2).mean(0)
    away = [float(np.hypot(*(np.array(one.face.box).reshape(2, 2).mean(0) - centre))) for one in known]
    nearest = int(np.argmin(away)) if away else 0
    return known[nearest].reading if away and away[nearest] < face.height_px / 2 else None


def _check_mask(mask: Plane, picture: Image) -> None:
    wanted = f"floats from 0 to 1, {picture.pixels.shape[:2]} (height, width)"
    if not isinstance(mask, np.ndarray) or mask.dtype.kind != "f" or mask.shape != picture.pixels.shape[:2]:
        given = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ImageError(f"The mask is {given}; give {wanted}.")
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise ImageError(f"The mask has values from {mask.min():g} to {mask.max():g}; give {wanted}.")


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Adds the seconds that a block takes to those of a step."""
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
