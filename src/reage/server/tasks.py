"""What a worker process is asked to do, and its answers.

Nothing of a photo outlives the answer, but for a task that says `keep`: then the photo's faces stay in the memory of
the worker until others take their place, or `KEPT_SECONDS` have passed.

Convention:
    photos and pictures are the bytes of files; pixels RGB uint8 (H, W, 3); nothing is written to disk.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reage.batch import aged_crops, clip_ages, draw_sweep
from reage.engines import TORCH_ENGINES
from reage.errors import FaceNotFound, ImageError, ReageError, describe_unexpected
from reage.faces.finder import choose_faces
from reage.images import (
    SUFFIXES,
    Image,
    decode_image,
    describe_losses,
    draw_faces,
    draw_zones,
    encode_image,
    find_stream_suffix,
    geometry,
)
from reage.pipeline import Reager, Result, timed
from reage.provenance import SIGNED_SUFFIXES, describe_edit, sign_picture
from reage.server.workers import Progress
from reage.types import Face, Pixels, Plan, Reading

if TYPE_CHECKING:
    from reage.measure.measured import FaceMeasurer
    from reage.measure.recognizers import DlibRecognizer
    from reage.server.config import ServerConfig

KEPT_PHOTOS = 4
KEPT_SECONDS = 600.0
PREVIEW_PX = 256
"""Side of the pictures of a preview."""

SHOWN_PX = 1600
"""Longest side of the pictures that the page shows."""

_PREVIEW_CROPS = 0.75
"""Side of the square of a preview in sides of the face's crop."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a worker answers.

    Args:
        values: plain ones.
        picture: bytes of a file; empty for none.
        suffix: of the picture's format.
        pixels: pictures for the page, by name.
    """

    values: dict[str, Any] = field(default_factory=dict)
    picture: bytes = b""
    suffix: str = ""
    pixels: dict[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a task was not done.

    Args:
        kind: name of the error's class.
        message: a sentence.
        expected: whether reage foresaw it; False is a fault of reage.
    """

    kind: str
    message: str
    expected: bool = True


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all tasks have.

    Args:
        photo: bytes of its file.
        box: of the one face, drawn by hand; None to find the faces.
        keep: keep the faces of the photo for further tasks.
    """

    photo: bytes
    box: Box | None = None
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class AgeTask(Task):
    """Age a photo; see `reage.pipeline.Reager.__call__`.

    Args:
        plan: for every face.
        faces: to age.
        engine: name of the engine.
        frame: number of the page or frame; None for all.
        references: name -> bytes of a photo of the same person.
        suffix: of the format of the answer; "" for that of the photo.
        show: also answer the pictures "before" and "after", of at most `SHOWN_PX`.
    """

    plan: Plan
    faces: str | int | tuple[int, ...] = "all"
    engine: str
    frame: int | None = None
    references: dict[str, bytes] = field(default_factory=dict)
    suffix: str = ""
    show: bool = False


@dataclass(frozen=True, kw_only=True)
class SweepTask(AgeTask):
    """Draw the faces of a photo at several ages.

    Args:
        ages: target ages in years.
    """

    ages: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PreviewTask(AgeTask):
    """Age the surroundings of one face at several ages, coarsely.

    Args:
        ages: target ages in years.
    """

    ages: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FindTask(Task):
    """Find the faces of a photo.

    Args:
        draw: also answer the pictures "faces", and "zones" of the largest face.
    """

    draw: bool = False


@dataclass(frozen=True, kw_only=True)
class MeasureTask(Task):
    """Measure the faces of a photo.

    Args:
        plan: at whose age zone scores are expected; None for none.
    """

    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True)
class CompareTask(Task):
    """Compare the largest faces of two photos.

    Args:
        other: bytes of the other photo.
    """

    other: bytes


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """Age a video from file to file; see `reage.video.aging.VideoReager.age`.

    Args:
        source: the video.
        output: file of the result.
        plan: for every person.
        faces: the people to age.
        engine: name of the engine.
        seconds: of the video to age; None for all.
    """

    source: Path
    output: Path
    plan: Plan
    faces: str | int | tuple[int, ...] = "all"
    engine: str
    seconds: float | None = None


@dataclass(frozen=True)
class _KnownFaces:
    """The faces that were found in a photo, and their readings by engine."""

    faces: list[Face]
    readings: dict[str, list[Reading]]
    kept_at: float


class TaskRunner:
    """Does tasks, one after the other, with what each engine needs loaded once.

    Args:
        config: of the server.
        after_load: called when an engine has been loaded.
        report: is told how far a video has come.
    """

    def __init__(
        self,
        config: ServerConfig,
        after_load: Callable[[], None] = lambda: None,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._config, self._after_load, self._report = config, after_load, report
        self._reagers: dict[str, Reager] = {}
        self._known: OrderedDict[bytes, _KnownFaces] = OrderedDict()
        self._limits = config.limits

    def __call__(self, task: Task | VideoTask) -> Answer | Refusal:
        """The answer to a task, or why there is none; no exception but those that end a process."""
        try:
            return self._do(task)
        except ReageError as error:
            return Refusal(kind=type(error).__name__, message=str(error))
        except MemoryError:
            return Refusal(kind="ImageError", message="The file does not fit the memory; give a smaller copy.")
        except Exception as error:
            return Refusal(kind=type(error).__name__, message=describe_unexpected(error), expected=False)

    def load(self, engine: str) -> Reager:
        """The `Reager` of an engine; all share one finder and one age estimator.

        Raises:
            EngineError: when there is no such engine or device.
        """
        if engine not in self._reagers:
            first = next(iter(self._reagers.values()), None)
            shared = {} if first is None else {"finder": first.finder, "age_estimator": first.age_estimator}
            device = self._config.device if engine not in TORCH_ENGINES else "cpu"
            self._reagers[engine] = Reager(engine, device=device, **shared)  # type: ignore[arg-type]
            self._after_load()
        return self._reagers[engine]

    @cached_property
    def _measurer(self) -> FaceMeasurer:
        from reage.measure.measured import FaceMeasurer

        return FaceMeasurer.load(self.load(self._config.engine).age_estimator)

    @cached_property
    def _recognizer(self) -> DlibRecognizer:
        from reage.measure.recognizers import DlibRecognizer

        return DlibRecognizer.load()

    def _do(self, task: Task | VideoTask) -> Answer:
        if isinstance(task, VideoTask):
            from reage.server.videos import age_video

            return age_video(task, self.load(task.engine), self._config, self._report)
        if isinstance(task, SweepTask):
            return self._sweep(task)
        if isinstance(task, PreviewTask):
            return self._preview(task)
        if isinstance(task, AgeTask):
            return self._age(task)
        if isinstance(task, FindTask):
            return self._find(task)
        if isinstance(task, MeasureTask):
            return self._measure(task)
        assert isinstance(task, CompareTask), task
        return self._compare(task)

    # Reading

    def _decode(self, photo: bytes, *, frame: int | None = 1, name: str = "photo") -> Image:
        return decode_image(photo, name=name, frame=frame, max_megapixels=self._limits.megapixels)

    def _find_faces(self, task: Task, picture: Image) -> _KnownFaces:
        """The faces of a picture, found now or kept from a task before."""
        now = time.monotonic()
        for key in [key for key, known in self._known.items() if now - known.kept_at > KEPT_SECONDS]:
            del self._known[key]
        key = hashlib.sha256(task.photo).digest() + repr(task.box).encode()
        if key not in self._known:
            finder = self.load(self._config.engine).finder
            found = finder.find(picture.pixels) if task.box is None else [finder.find_in_box(picture.pixels, task.box)]
            if len(found) > self._limits.num_faces:
                raise FaceNotFound(
                    f"The photo shows {len(found)} faces, and {self._limits.num_faces} are allowed; cut it into parts."
                )
            known = _KnownFaces(found, {}, now)
            if not task.keep:
                return known
            self._known[key] = known
            while len(self._known) > KEPT_PHOTOS:
                self._known.popitem(last=False)
        return self._known[key]

    def _choose(self, task: AgeTask, picture: Image, reager: Reager) -> tuple[list[Face], list[Reading]]:
        """The faces that are aged, and their readings."""
        known = self._find_faces(task, picture)
        chosen = choose_faces(known.faces, task.faces)
        kind = "zones" if reager.engine.zone_driven else "age"
        if kind not in known.readings:
            known.readings[kind] = [reager.measure(face) for face in known.faces]
        numbers = [next(index for index, face in enumerate(known.faces) if face is one) for one in chosen]
        return chosen, [known.readings[kind][number] for number in numbers]

    # Tasks

    def _age(self, task: AgeTask) -> Answer:
        picture = self._decode(task.photo, frame=task.frame)
        suffix = self._choose_suffix(task, picture)
        reager, seconds = self.load(task.engine), dict[str, float]()
        run = self._bind(task, reager)
        if picture.more:
            result = run(picture, task.plan, faces=task.faces)
        else:
            with timed(seconds, "find"):
                faces, readings = self._choose(task, picture, reager)
            result = run(picture, task.plan, faces=faces, readings=readings)
            result = replace(result, seconds={**result.seconds, **seconds})
        notes = (*result.notes, *describe_losses(result.image, suffix, altered=result.altered))
        values = {**result.to_json(), "notes": list(notes)}
        shown = {"before": picture.pixels, "after": result.image.pixels} if task.show else {}
        pixels = {name: _shrink(one) for name, one in shown.items()}
        return Answer(values=values, picture=self._encode(task, result, suffix), suffix=suffix, pixels=pixels)

    def _bind(self, task: AgeTask, reager: Reager) -> Callable[..., Result]:
        """The reager with the references of the task."""
        if not task.references:
            return reager
        from reage.measure.references import References

        reager.check_references()
        limit = self._limits.megapixels
        found = References.decode(task.references, reager.finder, reager.age_estimator, max_megapixels=limit)
        return partial(reager, references=found)

    def _choose_suffix(self, task: AgeTask, picture: Image) -> str:
        """The suffix of the answer's format: that of the photo, or .png where it cannot be written."""
        wanted = task.suffix or find_stream_suffix(io.BytesIO(task.photo)) or ".png"
        if wanted not in SUFFIXES:
            raise ImageError(f"The format is '{wanted}'; use one of {' '.join(SUFFIXES)}.")
        tiny = replace(picture, pixels=picture.pixels[:1, :1], deep=None, alpha=None, more=())
        try:
            encode_image(tiny, wanted, altered=False)
        except ImageError:
            if task.suffix:
                raise
            return ".png"
        return wanted

    def _encode(self, task: AgeTask, result: Result, suffix: str) -> bytes:
        encoded = encode_image(result.image, suffix, altered=result.altered)
        credentials = self._config.credentials
        if credentials is None or suffix not in SIGNED_SUFFIXES or not result.altered:
            return encoded
        return sign_picture(encoded, suffix, credentials, describe_edit(result.to_json()), source=task.photo)

    def _sweep(self, task: SweepTask) -> Answer:
        picture = self._decode(task.photo, frame=task.frame or 1)
        reager = self.load(task.engine)
        ages = clip_ages(task.ages, reager.engine)
        faces, readings = self._choose(task, picture, reager)
        run, columns, result = self._bind(task, reager), [[face.crop for face in faces]], None
        for age in ages:
            result = run(picture, replace(task.plan, age=age), faces=faces, readings=readings)
            columns.append(aged_crops(result))
        assert result is not None
        strip = draw_sweep(columns, result.faces, ages)
        encoded = encode_image(Image(pixels=strip), ".png", altered=result.altered)
        return Answer(values={"ages": list(ages)}, picture=encoded, suffix=".png", pixels={"strip": strip})

    def _preview(self, task: PreviewTask) -> Answer:
        """Small pictures of the first chosen face, named by age; "source" is the photo."""
        picture = self._decode(task.photo, frame=task.frame or 1)
        reager = self.load(task.engine)
        faces, readings = self._choose(task, picture, reager)
        small = _cut_square(picture.pixels, faces[0])
        (inside,) = choose_faces(reager.finder.find(small), "largest")
        pixels = {"source": small}
        for age in clip_ages(task.ages, reager.engine):
            result = reager(small, replace(task.plan, age=age), faces=[inside], readings=readings[:1])
            pixels[f"{age:g}"] = result.image.pixels
        return Answer(values={"age_years": readings[0].age_years}, pixels=pixels)

    def _find(self, task: FindTask) -> Answer:
        picture = self._decode(task.photo)
        faces = self._find_faces(task, picture).faces
        found = [{"number": number, **face.to_json()} for number, face in enumerate(choose_faces(faces, "all"), 1)]
        pixels = {}
        if task.draw:
            from reage.faces.geometry import zone_masks

            pixels = {
                "faces": _shrink(draw_faces(picture.pixels, faces)),
                "zones": draw_zones(faces[0].crop, zone_masks(faces[0])),
            }
        height, width = picture.pixels.shape[:2]
        values = {"width": width, "height": height, "faces": found, "notes": list(picture.notes)}
        return Answer(values=values, pixels=pixels)

    def _measure(self, task: MeasureTask) -> Answer:
        picture = self._decode(task.photo)
        faces = choose_faces(self._find_faces(task, picture).faces, "all")
        measured = self._measurer.measure(faces, task.plan)
        return Answer(values={"faces": [one.to_json() for one in measured], "notes": list(picture.notes)})

    def _compare(self, task: CompareTask) -> Answer:
        from reage.measure.comparison import compare_faces

        reager = self.load(self._config.engine)
        pictures = [self._decode(task.photo), self._decode(task.other, name="other")]
        first, second = (choose_faces(reager.finder.find(one.pixels), "largest")[0] for one in pictures)
        return Answer(values=compare_faces(first, second, self._recognizer, reager.age_estimator).to_json())


def _shrink(pixels: Pixels) -> Pixels:
    """The picture with sides of at most `SHOWN_PX`."""
    height, width = pixels.shape[:2]
    scale = SHOWN_PX / max(height, width)
    if scale >= 1:
        return pixels
    return np.ascontiguousarray(geometry.resize(pixels, round(height * scale), round(width * scale)), np.uint8)


def _cut_square(pixels: Pixels, face: Face) -> Pixels:
    """(PREVIEW_PX, PREVIEW_PX, 3) upright surroundings of a face."""
    crop_side = len(face.crop)
    side = crop_side * _PREVIEW_CROPS
    start = (crop_side - side) / 2
    matrix = face.crop_from_image * (PREVIEW_PX / side)
    matrix[:, 2] -= start * PREVIEW_PX / side
    return np.ascontiguousarray(geometry.warp(pixels, matrix, PREVIEW_PX, PREVIEW_PX), np.uint8)


def list_names(names: Sequence[str | None]) -> list[str]:
    """Names for uploads that say nothing of a folder, each once."""
    taken: list[str] = []
    for number, name in enumerate(names, 1):
        last = (name or "").replace("\\", "/").rsplit("/", 1)[-1].strip().lstrip(".")[:80] or f"photo-{number}"
        taken.append(last if last not in taken else f"{number}-{last}")
    return taken
