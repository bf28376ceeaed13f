"""`reage personalize`: a base learns one person from a few photos."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reage.cli.console import print_json, stderr_console
from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.errors import ImageError, WeightsError
from reage.prompts import CLASS_WORD

if TYPE_CHECKING:
    from reage.nets.diffusion import DiffusionBase
    from reage.training.dreambooth.person import ClassImages
    from reage.training.dreambooth.subject import SubjectPhotos


def personalize(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Folder of 3 to 30 photos of one person.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The person's .safetensors file to write.")],
    base: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="Latent diffusion to go on from: ldm-small, a folder or file of Stable Diffusion 1.x or 2.x, or its"
            " name on the hub.",
        ),
    ] = "ldm-small",
    token: Annotated[str, typer.Option(metavar="WORD", help="Rare word that is to stand for the person.")] = "sks",
    class_word: Annotated[str, typer.Option(metavar="WORD", help="What else the person is.")] = CLASS_WORD,
    preset: Annotated[
        str, typer.Option(help="default (LoRA), or as published: ijcb-biometric, ijcb-contrastive, tbiom-cosine.")
    ] = "default",
    identity_loss: Annotated[
        Literal["none", "biometric", "contrastive", "cosine"] | None,
        typer.Option(help="The loss on identity; that of the preset by default.", show_default=False),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Train whole nets instead of LoRA matrices.")] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of training; 800 in all presets.", show_default=False)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Highest learning rate; 1e-4 of matrices, on a small base 1e-3, and 1e-6 of whole nets.",
            show_default=False,
        ),
    ] = None,
    regularization: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Other people, made by `reage training regularization`.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all random numbers.")] = 0,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for the losses of this run, to watch it by.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Teach a base one person from a few photos, for `reage imagine` and `reage age --engine personal`.

    Only photos of yourself, or of someone who agreed. The file holds what was learned and no photo; a sheet of what the
    base draws goes beside it. A run that was stopped goes on where it was.
    """
    require_extra("train", "diffusion")
    from reage.nets.diffusion import load_base
    from reage.nets.dreambooth import check_word, save_person
    from reage.training.dreambooth.person import (
        PersonRequest,
        choose_recipe,
        draw_labels,
        fit_person,
        name_checkpoint,
        peak_memory_mb,
    )
    from reage.training.dreambooth.train import lora_rate
    from reage.training.logger import make_folder, watch_losses

    recipe = choose_recipe(preset, identity=identity_loss, whole=full, steps=steps, rate=rate, seed=seed)
    sheet = _check_places(photos, out)
    start, loaded = time.perf_counter(), load_base(base)
    check_word(loaded, token, class_word)
    subject, others = _gather(photos, loaded), _read_others(regularization, loaded)
    if journal:
        make_folder(journal)
    if rate is None and recipe.lora_rank:
        recipe = replace(recipe, rate=lora_rate(loaded))
    order = PersonRequest(word=token, class_word=class_word, preset=preset, recipe=recipe)
    checkpoint = name_checkpoint(out, order, loaded, subject, others)
    watch, losses = watch_losses(journal), {}

    def tell(step: int, seen: Any) -> None:
        losses.update(seen)
        if watch:
            watch(step, seen)

    try:
        person = fit_person(order, loaded, subject, others, checkpoint, tell, _track)
    except KeyboardInterrupt:
        typer.echo("Stopped; the same command goes on from the last checkpoint.", err=True)
        raise typer.Exit(130) from None
    save_person(out, loaded, person)
    _save_sheet(draw_labels(loaded, person, seed=seed), sheet)
    story = {
        "output": str(out),
        "sheet": str(sheet),
        "photos": [file.name for file in subject.files],
        "without_face": [file.name for file in subject.without_face],
        "base": loaded.name,
        "base_hash": loaded.weights_hash,
        **person.provenance,
        "losses": {name: round(loss, 4) for name, loss in losses.items()},
        "seconds": round(time.perf_counter() - start, 1),
        "peak_memory_mb": {where: round(held) for where, held in peak_memory_mb().items()},
    }
    _tell(story, as_json)


def _check_places(photos: Path, out: Path) -> Path:
    """Where the sheet goes; refused before minutes of work are lost."""
    from reage.images import check_output

    if out.suffix != ".safetensors":
        raise WeightsError(f"A person cannot be written to '{out}'; give --out a name that ends in .safetensors.")
    if out.is_dir():
        raise WeightsError(f"'{out}' is a folder; give --out the name of a file.")
    sheet = out.with_name(f"{out.stem}-sheet.jpg")
    check_output(sheet)
    if sheet.resolve().parent == photos.resolve():
        raise ImageError(f"'{sheet}' would lie among the photos and be learned from next time; choose another folder.")
    return sheet


def _gather(photos: Path, base: DiffusionBase) -> SubjectPhotos:
    from reage.faces.finder import FaceFinder
    from reage.images import SUFFIXES, list_images
    from reage.measure.age import AgeEstimator
    from reage.measure.recognizers import DlibRecognizer
    from reage.training.dreambooth.subject import gather_photos

    files = list_images(photos)
    if not files:
        raise ImageError(f"The folder '{photos}' holds no pictures; they end in {' '.join(SUFFIXES)}.")
    who = FaceFinder(), DlibRecognizer.load(), AgeEstimator.load()
    found = gather_photos(files, *who, base.picture_px, lambda paths: _track(paths, "photos"))
    for file in found.without_face:
        typer.echo(f"No face was found in {file.name}.", err=True)
    if found.advice:
        typer.echo(f"Note: {found.advice}", err=True)
    return found


def _read_others(folder: Path | None, base: DiffusionBase) -> ClassImages | None:
    from reage.training.dreambooth.class_images import read_class_images
    from reage.training.dreambooth.person import ClassImages

    if folder is None:
        typer.echo(
            "Note: without --regularization the base may take every face for this one; "
            "`reage training regularization` makes a set of other people.",
            err=True,
        )
        return None
    squares, captions = read_class_images(folder, base.picture_px)
    return ClassImages(squares=squares, captions=captions)


def _track(rows: Any, what: str = "pictures") -> Any:
    from rich.progress import track

    return track(rows, what, console=stderr_console())


def _save_sheet(pixels: Any, path: Path) -> None:
    from reage.images import Image, save_image

    save_image(Image(pixels=pixels), path)


def _tell(story: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(story)
        return
    names = {"main": "memory", "gpu": "memory of the GPU"}
    memory = "".join(f", {held / 1000:.1f} GB of {names[kind]}" for kind, held in story["peak_memory_mb"].items())
    typer.echo(f"{len(story['photos'])} photos, {story['steps']} steps in {story['seconds']:.0f} s{memory}")
    typer.echo(story["output"])
    typer.echo(story["sheet"])
