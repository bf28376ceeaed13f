"""Ages a photo, at one age or at several, and writes the results; `reage.folders` does so with many photos.

Every check is made before the work starts, so call the `check_` function before a slow engine is loaded; the functions
that age make the same checks again. Nothing here prints. A photo is never overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reage.composite import make_layers
from reage.engines import Engine
from reage.errors import ImageError
from reage.files import STANDARD_STREAM, replace_files, shorten_name
from reage.images import (
    SUFFIXES,
    Image,
    check_layers,
    check_output,
    draw_sheet,
    draw_strip,
    geometry,
    replace_layers,
    save_image,
)
from reage.measure.references import References
from reage.pipeline import AgedFace, Reager, Result, as_image
from reage.types import Face, Pixels, Plan, Plane


@dataclass(frozen=True, kw_only=True)
class PhotoOutcome:
    """What became of one photo.

    Args:
        source: the photo; None for pixels that came from no file.
        output: file of the aged photo.
        layers: folder of the layers; None when none were requested.
        result: the aged photo.
    """

    source: Path | None
    output: Path
    layers: Path | None = None
    result: Result

    def to_json(self) -> dict[str, Any]:
        """The source, the output and the result, as plain values."""
        source = None if self.source is None else str(self.source)
        layers = {} if self.layers is None else {"layers": str(self.layers)}
        return {"input": source, "output": str(self.output), **layers, **self.result.to_json()}


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

    Raises:
        ReageError: when it cannot be done; then no file is written.
    """
    picture = as_image(source)
    path = check_photo(picture, plan, output)
    folder = None if layers is None else check_layers(layers, [path, *([picture.source] if picture.source else [])])
    result = reager(picture, plan, faces=faces, mask=mask, references=references)
    if folder is None:
        result.save(path)
    else:
        made = make_layers(picture.pixels, [(done.face, done.aged) for done in result.faces])
        with replace_layers(folder, made, mask):
            result.save(path)
    return PhotoOutcome(source=picture.source, output=path, layers=folder, result=result)


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

    Faces are found and measured once. All files appear together at the end. For the arguments see `check_sweep` and
    `Reager.__call__`.

    Raises:
        ReageError: when it cannot be done; then no file is written.
    """
    picture = as_image(source)
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
            photos.append(PhotoOutcome(source=picture.source, output=path, result=result))
            columns.append(aged_crops(result))
        strip = _draw_sweep(columns, result.faces, ages)
        save_image(Image(pixels=strip), unfinished[outputs.strip])
    return SweepOutcome(source=picture.source, strip=outputs.strip, photos=tuple(photos))


def aged_crops(result: Result) -> list[Pixels]:
    """The crop of each aged face, cut from the finished picture."""
    faces = [aged.face for aged in result.faces]
    warped = [geometry.warp(result.image.pixels, face.crop_from_image, *face.crop.shape[:2]) for face in faces]
    return [np.asarray(crop, np.uint8) for crop in warped]


def _draw_sweep(columns: Sequence[Sequence[Pixels]], faces: Sequence[AgedFace], ages: Sequence[float]) -> Pixels:
    """A row for each face: the source, then each age."""
    rows = list(zip(*columns, strict=True))
    age_labels = [f"{age:g}" for age in ages]
    source_labels = [f"looks {aged.reading.age_years:.0f}" for aged in faces]
    if len(rows) == 1:
        return draw_strip(rows[0], [source_labels[0], *age_labels])
    return draw_sheet(rows, ["source", *age_labels], source_labels, cell_px=256)


# Names and notes


def name_aged(source: Path, plan: Plan) -> str:
    """The default name of an aged photo, such as me-70.jpg; a suffix that cannot be written becomes .png.

    A name that would be too long is shortened.
    """
    suffix = source.suffix if source.suffix.lower() in SUFFIXES else ".png"
    return shorten_name(source.stem, f"-{'aged' if plan.age is None else format(plan.age, 'g')}{suffix}")


def describe_clipped_ages(engine: Engine, ages: Sequence[float | None]) -> str:
    """A remark on target ages that the engine clips to its range, as the end of a sentence; "" for none."""
    youngest, oldest = engine.ages
    beyond = [age for age in ages if age is not None and not youngest <= age <= oldest]
    if not beyond:
        return ""
    used = ", ".join(f"{min(max(float(age), youngest), oldest):g}" for age in beyond)
    return (
        f"the engine '{engine.name}' was made for ages {youngest:g} to {oldest:g}; "
        f"instead of {', '.join(f'{age:g}' for age in beyond)} it uses {used}."
    )


def _path_of(source: str | Path | Image) -> Path:
    path = source.source if isinstance(source, Image) else Path(source)
    return Path("picture.png") if path is None or path == STANDARD_STREAM else path
