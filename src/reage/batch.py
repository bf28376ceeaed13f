"""Ages a photo, at one age or at several, and writes the results; a file to a file, with what became of it.

`reage.folders` does so with the photos of a folder, `reage.cluster` with those of a store on many computers.

Every check is made before the work starts, so call the `check_` function before a slow engine is loaded; the functions
that age make the same checks again. Nothing here prints. A photo is never overwritten.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reage.composite import make_layers
from reage.engines import Engine
from reage.errors import ImageError, ReageError, describe_unexpected
from reage.files import STANDARD_STREAM, replace_file, replace_files, shorten_name
from reage.images import (
    MAX_MEGAPIXELS,
    SUFFIXES,
    Image,
    check_layers,
    check_output,
    describe_losses,
    draw_sheet,
    draw_strip,
    encode_image,
    geometry,
    load_image,
    replace_layers,
    save_image,
)
from reage.measure import DlibRecognizer, identity_distance
from reage.measure.recognizers import make_chip
from reage.measure.references import References
from reage.pipeline import AgedFace, Reager, Result, as_image, clip_target, timed
from reage.provenance import Credentials, check_signed, describe_edit, sign_picture
from reage.types import Face, Pixels, Plan, Plane


@dataclass(frozen=True, kw_only=True)
class PhotoOutcome:
    """What became of one photo.

    Args:
        source: the photo; None for pixels that came from no file.
        output: file of the aged photo.
        layers: folder of the layers; None when none were requested.
        result: the aged photo.
        notes: those of the result, and what the format of the file cannot keep, a sentence each.
    """

    source: Path | None
    output: Path
    layers: Path | None = None
    result: Result
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The source, the output, the result and the notes, as plain values."""
        source = None if self.source is None else str(self.source)
        layers = {} if self.layers is None else {"layers": str(self.layers)}
        result = {**self.result.to_json(), "notes": list(self.notes)}
        return {"input": source, "output": str(self.output), **layers, **result}


@dataclass(frozen=True, kw_only=True)
class SweepOutputs:
    """The files of a sweep.

    Args:
        strip: picture that shows the faces at all ages.
        photos: the aged photo of each age.
    """

    strip: Path
    photos: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What became of one photo at several ages.

    Args:
        source: the photo; None for pixels that came from no file.
        strip: file of the picture that shows the faces at all ages.
        photos: one for each age.
    """

    source: Path | None
    strip: Path
    photos: tuple[PhotoOutcome, ...]

    def to_json(self) -> dict[str, Any]:
        """The source, the strip, and output and result of each age, as plain values."""
        pictures = [{key: value for key, value in photo.to_json().items() if key != "input"} for photo in self.photos]
        source = None if self.source is None else str(self.source)
        return {"input": source, "output": str(self.strip), "pictures": pictures}


# One photo


def check_photo(source: str | Path | Image, plan: Plan, output: str | Path | None = None) -> Path:
    """The file that `age_photo` writes, checked.

    Args:
        source: the photo, or its file.
        plan: what will be done.
        output: the file; by default NAME-AGE.SUFFIX in the current folder, with "aged" for a plan without an age.

    Raises:
        ImageError: when it cannot be written there, or would overwrite the photo.
    """
    path = Path(output) if output is not None else Path(name_aged(_path_of(source), plan))
    check_output(path, source=source)
    return path


def age_photo(
    reager: Reager,
    source: str | Path | Image,
    plan: Plan,
    output: str | Path | None = None,
    *,
    faces: str | int | Sequence[int] | Sequence[Face] = "all",
    mask: Plane | None = None,
    layers: str | Path | None = None,
    references: References | Sequence[str | Path] = (),
    finish: Callable[[Result], Result] | None = None,
    credentials: Credentials | None = None,
) -> PhotoOutcome:
    """Ages one photo and writes it; for the other arguments see `check_photo` and `Reager.__call__`.

    Args:
        reager: loaded.
        source: the photo, or its file.
        plan: for every face.
        output: the file.
        faces: to age.
        mask: (H, W) in [0, 1], where the photo may change.
        layers: folder into which the layers are written, see `reage.types.Layers`; none by default.
        references: photos of the same person at about the wanted age.
        finish: changes the aged photo before it is written, as `reage.reenactment.Reenactor.finish` does; not with
            layers.
        credentials: with which the written picture is signed; None leaves it unsigned.

    Raises:
        ReageError: when it cannot be done; then no file is written.
    """
    picture = as_image(source)
    path = check_photo(picture, clip_target(plan, reager.engine), output)
    if credentials is not None:
        check_signed(path)
    if layers is not None and picture.more:
        raise ImageError(
            f"Layers are for one picture, and this one has {len(picture.frames)} pages or frames; choose one of them "
            "with --frame."
        )
    folder = None if layers is None else check_layers(layers, [path, *([picture.source] if picture.source else [])])
    result = reager(picture, plan, faces=faces, mask=mask, references=references)
    if finish is not None:
        assert folder is None
        result = finish(result)
    if folder is None:
        _save(result, path, credentials)
    else:
        made = make_layers(picture.samples, [(done.face, done.aged) for done in result.faces])
        with replace_layers(folder, made, mask):
            _save(result, path, credentials)
    notes = (*result.notes, *describe_losses(result.image, path.suffix, altered=result.altered))
    return PhotoOutcome(source=picture.source, output=path, layers=folder, result=result, notes=notes)


def _save(result: Result, path: Path, credentials: Credentials | None) -> None:
    if credentials is None:
        result.save(path)
        return
    source = result.image.source
    encoded = encode_image(result.image, path.suffix, altered=result.altered)
    edit = describe_edit(result.to_json())
    signed = sign_picture(encoded, path.suffix, credentials, edit, source=source.read_bytes() if source else None)
    with replace_file(path, ImageError) as unfinished:
        unfinished.write_bytes(signed)


# One photo at several ages


def check_sweep(
    source: str | Path | Image, plan: Plan, ages: Sequence[float], output: str | Path | None = None
) -> SweepOutputs:
    """The files that `age_sweep` writes, checked.

    Args:
        source: the photo, or its file.
        plan: what will be done; its age is replaced by each of `ages`.
        ages: target ages in years.
        output: file of the strip, beside which the aged photos are written; by default NAME-FIRST-LAST.png in the
            current folder.

    Raises:
        ImageError: when one of them cannot be written there, or would overwrite the photo.
        PlanError: when an age is out of its range.
    """
    origin = _path_of(source)
    strip = Path(output) if output is not None else Path(shorten_name(origin.stem, f"-{ages[0]:g}-{ages[-1]:g}.png"))
    check_output(strip, source=source)
    photos = tuple(strip.with_name(name_aged(origin, replace(plan, age=age))) for age in ages)
    if strip in photos:
        raise ImageError(f"'{strip}' is the name of one picture of the sweep; choose another for the strip.")
    for path in photos:
        check_output(path, source=source)
    return SweepOutputs(strip=strip, photos=photos)


def age_sweep(
    reager: Reager,
    source: str | Path | Image,
    plan: Plan,
    ages: Sequence[float],
    output: str | Path | None = None,
    *,
    faces: str | int | Sequence[int] | Sequence[Face] = "all",
    mask: Plane | None = None,
    references: References | Sequence[str | Path] = (),
) -> SweepOutcome:
    """Ages one photo to several ages; writes a photo for each, and a strip of the faces.

    Faces are found and measured once, in the first frame of a picture that has several; ages beyond those of the engine
    are replaced by its nearest. All files appear together at the end. For the arguments see `check_sweep` and
    `Reager.__call__`.

    Raises:
        ReageError: when it cannot be done; then no file is written.
    """
    picture = replace(load_image(source) if isinstance(source, str | Path) else source, more=())
    ages = clip_ages(ages, reager.engine)
    outputs = check_sweep(picture, plan, ages, output)
    chosen = reager.choose(picture, faces)
    if references and not isinstance(references, References):
        references = reager.read_references(references)
    readings = None
    photos: list[PhotoOutcome] = []
    columns = [[face.crop for face in chosen]]
    with replace_files([*outputs.photos, outputs.strip], ImageError) as unfinished:
        for age, path in zip(ages, outputs.photos, strict=True):
            result = reager(
                picture, replace(plan, age=age), faces=chosen, readings=readings, mask=mask, references=references
            )
            result.save(unfinished[path])
            readings = [aged.reading for aged in result.faces]
            notes = (*result.notes, *describe_losses(result.image, path.suffix, altered=result.altered))
            photos.append(PhotoOutcome(source=picture.source, output=path, result=result, notes=notes))
            columns.append(aged_crops(result))
        strip = draw_sweep(columns, result.faces, ages)
        save_image(Image(pixels=strip), unfinished[outputs.strip])
    return SweepOutcome(source=picture.source, strip=outputs.strip, photos=tuple(photos))


def clip_ages(ages: Sequence[float], engine: Engine | type[Engine]) -> tuple[float, ...]:
    """The target ages within those of the engine, each once.

    Raises:
        PlanError: when an age is out of the range of plans.
    """
    clipped = (clip_target(Plan(age=age), engine).age for age in ages)
    return tuple(dict.fromkeys(age for age in clipped if age is not None))


def aged_crops(result: Result) -> list[Pixels]:
    """The crop of each aged face, cut from the finished picture."""
    frames = result.image.frames
    warped = [
        geometry.warp(frames[aged.frame - 1].pixels, aged.face.crop_from_image, *aged.face.crop.shape[:2])
        for aged in result.faces
    ]
    return [np.asarray(crop, np.uint8) for crop in warped]


def draw_sweep(columns: Sequence[Sequence[Pixels]], faces: Sequence[AgedFace], ages: Sequence[float]) -> Pixels:
    """A row for each face: the source, then each age."""
    rows = list(zip(*columns, strict=True))
    age_labels = [f"{age:g}" for age in ages]
    source_labels = [f"looks {aged.reading.age_years:.0f}" for aged in faces]
    if len(rows) == 1:
        return draw_strip(rows[0], [source_labels[0], *age_labels])
    return draw_sheet(rows, ["source", *age_labels], source_labels, cell_px=256)


# A file to a file, one of many


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What became of one file of many.

    Args:
        source: the photo; a path, or an address of a store.
        output: of its result.
        status: "aged", "failed", or "skipped" because the result is there or another run makes it.
        reason: why it failed or was skipped, in a sentence; "" when it was aged.
        traceback: of an unexpected error; "" otherwise.
        values: of the result, see `reage.pipeline.Result.to_json`; empty when there is none.
    """

    source: str | Path
    output: str | Path
    status: Literal["aged", "failed", "skipped"]
    reason: str = ""
    traceback: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def num_faces(self) -> int:
        """How many faces were aged."""
        return len(self.values.get("faces", ()))

    def to_json(self) -> dict[str, Any]:
        """The source and, by the status, output and result, "error", or output and "skipped", as plain values."""
        source = {"input": str(self.source)}
        if self.status == "failed":
            return {**source, "error": self.reason}
        skipped = {"skipped": self.reason} if self.status == "skipped" else {}
        return {**source, "output": str(self.output), **skipped, **self.values}


class FileAger:
    """Ages files to files with a loaded `Reager`, all in one way.

    Args:
        reager: loaded.
        plan: for every face.
        faces: see `Reager.__call__`.
        max_megapixels: size of the largest picture that is opened.
        references: files and folders with photos of the same person, see `Reager.__call__`; read once.
        recognizer: measures how far each aged face is from the photo's, see `measure_identity`; None for no measure.

    Raises:
        ReageError: when the references cannot be used at all.
    """

    def __init__(
        self,
        reager: Reager,
        plan: Plan,
        *,
        faces: str | int | Sequence[int] = "all",
        max_megapixels: float = MAX_MEGAPIXELS,
        references: Sequence[Path] = (),
        recognizer: DlibRecognizer | None = None,
    ) -> None:
        self._reager, self._plan, self._faces = reager, plan, faces
        self._max_megapixels, self._recognizer = max_megapixels, recognizer
        self._references = reager.read_references(references) if references else ()

    def age(self, source: Path, output: Path) -> FileOutcome:
        """The outcome of a file that could be aged; its folder must be there.

        With a recognizer, each of the "faces" has its "identity_distance".

        Raises:
            ReageError: when it cannot be done; then no file is written. `conclude` makes an outcome of any exception.
        """
        check_output(output, source=source)
        picture = load_image(source, frame=None, max_megapixels=self._max_megapixels)
        done = age_photo(self._reager, picture, self._plan, output, faces=self._faces, references=self._references)
        values = {name: value for name, value in done.to_json().items() if name not in ("input", "output")}
        if self._recognizer is not None:
            seconds: dict[str, float] = {}
            with timed(seconds, "identity"):
                distances = measure_identity(done.result, self._recognizer)
            for face, distance in zip(values["faces"], distances, strict=True):
                face["identity_distance"] = round(distance, 4)
            values["seconds"]["identity"] = round(seconds["identity"], 4)
        return FileOutcome(source=source, output=output, status="aged", values=values)


def conclude(source: str | Path, output: str | Path, make: Callable[[], FileOutcome]) -> FileOutcome:
    """What `make` returns; the failure of the file for any exception but those that end a process."""
    try:
        return make()
    except ReageError as error:
        return FileOutcome(source=source, output=output, status="failed", reason=str(error))
    except Exception as error:
        reason, trace = describe_unexpected(error), traceback.format_exc()
        return FileOutcome(source=source, output=output, status="failed", reason=reason, traceback=trace)


def measure_identity(result: Result, recognizer: DlibRecognizer) -> list[float]:
    """How far each aged face is from the photo's own, see `reage.measure.identity_distance`; 0 for no change."""
    distances = []
    for done, aged in zip(result.faces, aged_crops(result), strict=True):
        points = done.face.to_crop(done.face.landmarks)
        before, after = recognizer.embed_chips(np.stack([make_chip(one, points) for one in (done.face.crop, aged)]))
        distances.append(float(identity_distance(before, after)))
    return distances


# Names


def name_aged(source: Path, plan: Plan) -> str:
    """The default name of an aged photo, such as me-70.jpg; a suffix that cannot be written becomes .png.

    A name that would be too long is shortened.
    """
    suffix = source.suffix if source.suffix.lower() in SUFFIXES else ".png"
    return shorten_name(source.stem, f"-{'aged' if plan.age is None else format(plan.age, 'g')}{suffix}")


def _path_of(source: str | Path | Image) -> Path:
    path = source.source if isinstance(source, Image) else Path(source)
    return Path("picture.png") if path is None or path == STANDARD_STREAM else path
