"""Carries out a `reage age` order: load, age, save, print."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from reage.cli.console import print_json, print_table, stderr_console
from reage.cli.request import AgeRequest
from reage.engines import Engine
from reage.errors import ImageError, ReageError
from reage.faces.finder import choose_faces
from reage.images import SUFFIXES, check_output, draw_sheet, draw_strip, geometry, list_images, load_image, save_image
from reage.images import Image as Picture
from reage.pipeline import AgedFace, Reager, Result
from reage.types import Pixels, Plan

Story = dict[str, Any]
"""What is printed as JSON."""


def age_photo(order: AgeRequest) -> None:
    """Ages one photo.

    Raises:
        ReageError: when anything stands in the way; then no file is written.
    """
    picture = load_image(order.source)
    output = order.output or Path(_name_for(order.source, order.plan))
    check_output(output, source=picture)
    artist = order.load_artist()
    _note_age_limits(artist.engine, [order.plan])
    result = artist(picture, order.plan, faces=order.faces)
    result.save(output)
    if order.as_json:
        print_json({"input": str(order.source), "output": str(output), **result.to_json()})
    else:
        typer.echo(f"{_describe(result, order.plan)}: {output}")


def age_sweep(order: AgeRequest, ages: Sequence[float]) -> None:
    """Ages one photo to several ages: one picture each, and a strip of the faces. All files appear at the end.

    Raises:
        ReageError: when anything stands in the way; then no file is written.
    """
    picture = load_image(order.source)
    plans = [replace(order.plan, age=age) for age in ages]
    strip = order.output or Path(f"{order.source.stem}-{ages[0]:g}-{ages[-1]:g}.png")
    singles = [strip.with_name(_name_for(order.source, plan)) for plan in plans]
    if strip in singles:
        raise ImageError(f"'{strip}' is the name of one picture of the sweep; choose another for the strip.")
    for path in (*singles, strip):
        check_output(path, source=picture)
    artist = order.load_artist()
    _note_age_limits(artist.engine, plans)
    faces = choose_faces(artist.find(picture), order.faces)
    results: list[tuple[Story, Sequence[AgedFace], list[Pixels]]] = []
    with _files_appear_together([*singles, strip]) as unfinished:
        for plan, single in zip(plans, singles, strict=True):
            readings = [done.reading for done in results[0][1]] if results else None
            result = artist(picture, plan, faces=faces, readings=readings)
            result.save(unfinished[single])
            results.append(({"output": str(single), **result.to_json()}, result.faces, _aged_crops(result)))
        columns = [[face.crop for face in faces], *(crops for _, _, crops in results)]
        drawing = _draw_rows(list(zip(*columns, strict=True)), results[0][1], ages)
        save_image(Picture(pixels=drawing), unfinished[strip])
    if order.as_json:
        stories = [story for story, _, _ in results]
        print_json({"input": str(order.source), "output": str(strip), "pictures": stories})
    else:
        for path in (*singles, strip):
            typer.echo(path)


def age_folder(order: AgeRequest) -> None:
    """Ages every photo of a folder; what fails is told and left out.

    Raises:
        ReageError: when the folder or the order as a whole is unusable.
        typer.Exit: with code 1, at the end, when a photo failed.
    """
    sources = list_images(order.source)
    if not sources:
        raise ImageError(f"The folder '{order.source}' holds no pictures; they end in {' '.join(SUFFIXES)}.")
    folder = _check_folder(order)
    artist = order.load_artist()
    _note_age_limits(artist.engine, [order.plan])
    _make_folder(folder)
    stories = list(_age_each(artist, order, sources, folder))
    failed = sum("error" in story for story in stories)
    if order.as_json:
        print_json({"input": str(order.source), "output": str(folder), "failed": failed, "pictures": stories})
    else:
        num_faces = sum(len(story.get("faces", ())) for story in stories)
        print_table(("pictures aged", "faces aged", "pictures failed"), [(len(stories) - failed, num_faces, failed)])
        typer.echo(folder)
    if failed:
        raise typer.Exit(1)


def _age_each(artist: Reager, order: AgeRequest, sources: Sequence[Path], folder: Path) -> Iterator[Story]:
    from rich.progress import Progress

    console = stderr_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for source in progress.track(sources, description="Aging"):
            output = folder / source.name
            try:
                check_output(output, source=source)
                result = artist(source, order.plan, faces=order.faces)
                result.save(output)
                yield {"input": str(source), "output": str(output), **result.to_json()}
            except ReageError as error:
                console.print(f"{source.name}: {error}", markup=False, highlight=False, soft_wrap=True)
                yield {"input": str(source), "error": str(error)}


def _check_folder(order: AgeRequest) -> Path:
    if order.output is None:
        raise ImageError(f"'{order.source}' is a folder; add -o FOLDER for its aged pictures.")
    if order.output.exists() and not order.output.is_dir():
        raise ImageError(f"'{order.output}' is a file; give a folder for the aged pictures of '{order.source}'.")
    if order.output.resolve() == order.source.resolve():
        raise ImageError(f"'{order.output}' is the folder that is read, which is never written to; choose another.")
    return order.output


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from error


def _name_for(source: Path, plan: Plan) -> str:
    """me.jpg at 70 -> me-70.jpg; a suffix that cannot be written becomes .png."""
    suffix = source.suffix if source.suffix.lower() in SUFFIXES else ".png"
    return f"{source.stem}-{'aged' if plan.age is None else format(plan.age, 'g')}{suffix}"


@contextmanager
def _files_appear_together(paths: Sequence[Path]) -> Iterator[Mapping[Path, Path]]:
    """Names to write to instead of `paths` of one folder; all are moved there at the end, or none on a failure."""
    try:
        with tempfile.TemporaryDirectory(prefix=".reage-", dir=paths[0].parent) as folder:
            unfinished = {path: Path(folder) / path.name for path in paths}
            yield unfinished
            for path, written in unfinished.items():
                os.replace(written, path)
    except OSError as error:
        raise ImageError(
            f"'{paths[0].parent}' cannot be written to ({error.strerror}); choose another folder."
        ) from error


def _aged_crops(result: Result) -> list[Pixels]:
    """Each aged face as it stands in the finished picture, in its crop frame."""
    faces = [done.face for done in result.faces]
    warped = [geometry.warp(result.image.pixels, face.crop_from_image, *face.crop.shape[:2]) for face in faces]
    return [np.asarray(crop, np.uint8) for crop in warped]


def _draw_rows(rows: Sequence[Sequence[Pixels]], faces: Sequence[AgedFace], ages: Sequence[float]) -> Pixels:
    """One row for each face: as it came, then at each age."""
    columns = [f"{age:g}" for age in ages]
    looks = [f"looks {done.reading.age_years:.0f}" for done in faces]
    if len(rows) == 1:
        return draw_strip(rows[0], [looks[0], *columns])
    return draw_sheet(rows, ["source", *columns], looks, cell_px=256)


def _note_age_limits(engine: Engine, plans: Sequence[Plan]) -> None:
    youngest, oldest = engine.ages
    beyond = [f"{plan.age:g}" for plan in plans if plan.age is not None and not youngest <= plan.age <= oldest]
    if beyond:
        nearest = [f"{min(max(float(age), youngest), oldest):g}" for age in beyond]
        typer.echo(
            f"Note: the engine '{engine.name}' was made for ages {youngest:g} to {oldest:g}; "
            f"instead of {', '.join(beyond)} it uses {', '.join(nearest)}.",
            err=True,
        )


def _describe(result: Result, plan: Plan) -> str:
    count = len(result.faces)
    ages_from = ", ".join(f"{done.plan.age_from:.0f}" for done in result.faces)
    change = f"changed in {len(plan.zones)} zones" if plan.age is None else f"aged from {ages_from} to {plan.age:g}"
    return f"{count} {'face' if count == 1 else 'faces'} {change} in {sum(result.seconds.values()):.1f} s"
