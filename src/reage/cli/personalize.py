"""`reage personalize`: a diffusion base learns one person from a few photos."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
    from reage.training.dreambooth.class_images import ClassImages
    from reage.training.dreambooth.dataset import SubjectPhotos


def personalize(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Folder of 3 to 30 photos of one person.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The person's .safetensors file to write.")],
    base: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="Diffusion base to fine-tune: ldm-small, a folder or file of Stable Diffusion 1.x or 2.x, or its name"
            " on the hub.",
        ),
    ] = "ldm-small",
    token: Annotated[str, typer.Option(metavar="WORD", help="Rare token that will stand for the person.")] = "sks",
    class_word: Annotated[str, typer.Option(metavar="WORD", help="Class of the person, such as woman.")] = CLASS_WORD,
    preset: Annotated[
        str, typer.Option(help="default (LoRA), or as published: ijcb-biometric, ijcb-contrastive, tbiom-cosine.")
    ] = "default",
    identity_loss: Annotated[
        Literal["none", "biometric", "contrastive", "cosine"] | None,
        typer.Option(help="Loss on identity; that of the preset by default.", show_default=False),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Train all weights instead of LoRA matrices.")] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps; 800 in all presets.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Highest learning rate; 1e-4 for LoRA, 1e-3 for LoRA on a small base, 1e-6 for all weights.",
            show_default=False,
        ),
    ] = None,
    class_images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures of other people for prior preservation, made by `reage training class-images`.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    log_dir: Annotated[Path | None, typer.Option(help="Folder for the losses of this run.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a diffusion base on a few photos of one person, for `reage imagine` and `reage age --engine personal`.

    Only photos of yourself, or of someone who agreed. The file holds the learned weights and no photo; a sheet of
    sample pictures is written beside it. A run that was stopped resumes from its last checkpoint.
    """
    require_extra("train", "diffusion")
    from reage.nets.diffusion import load_base
    from reage.nets.dreambooth import check_token, save_person
    from reage.training.dreambooth.person import (
        PersonRequest,
        choose_config,
        draw_sample_sheet,
        fit_person,
        name_checkpoint,
        peak_memory_mb,
    )
    from reage.training.dreambooth.train import lora_learning_rate
    from reage.training.logger import log_losses, make_folder

    config = choose_config(
        preset, identity_loss=identity_loss, full=full, steps=steps, learning_rate=learning_rate, seed=seed
    )
    sheet = _check_outputs(photos, out)
    start, loaded = time.perf_counter(), load_base(base)
    check_token(loaded, token, class_word)
    subject, prior = _gather_photos(photos, loaded), _read_class_images(class_images, loaded)
    if log_dir:
        make_folder(log_dir)
    if learning_rate is None and config.lora_rank:
        config = replace(config, learning_rate=lora_learning_rate(loaded))
    request = PersonRequest(token=token, class_word=class_word, preset=preset, config=config)
    checkpoint = name_checkpoint(out, request, loaded, subject, prior)
    last_losses: dict[str, float] = {}

    def keep_losses(step: int, losses: Mapping[str, float], ema: object) -> None:
        last_losses.update(losses)

    callbacks = [keep_losses, *log_losses(log_dir)]
    try:
        person = fit_person(request, loaded, subject, prior, checkpoint, callbacks, _track)
    except KeyboardInterrupt:
        typer.echo("Stopped; the same command goes on from the last checkpoint.", err=True)
        raise typer.Exit(130) from None
    save_person(out, loaded, person)
    _save_sheet(draw_sample_sheet(loaded, person, seed=seed), sheet)
    summary = {
        "output": str(out),
        "sheet": str(sheet),
        "photos": [file.name for file in subject.files],
        "without_face": [file.name for file in subject.without_face],
        "base": loaded.name,
        "base_hash": loaded.weights_hash,
        **person.provenance,
        "losses": {name: round(loss, 4) for name, loss in last_losses.items()},
        "seconds": round(time.perf_counter() - start, 1),
        "peak_memory_mb": {kind: round(peak) for kind, peak in peak_memory_mb().items()},
    }
    _print_summary(summary, as_json)


def _check_outputs(photos: Path, out: Path) -> Path:
    """The path of the sheet; both outputs are checked before the training starts."""
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


def _gather_photos(folder: Path, base: DiffusionBase) -> SubjectPhotos:
    from reage.faces.finder import FaceFinder
    from reage.images import SUFFIXES, list_images
    from reage.measure import AgeEstimator, DlibRecognizer
    from reage.training.dreambooth.dataset import gather_photos

    files = list_images(folder)
    if not files:
        raise ImageError(f"The folder '{folder}' holds no pictures; they end in {' '.join(SUFFIXES)}.")
    nets = FaceFinder(), DlibRecognizer.load(), AgeEstimator.load()
    photos = gather_photos(files, *nets, base.picture_px, lambda paths: _track(paths, "photos"))
    for file in photos.without_face:
        typer.echo(f"No face was found in {file.name}.", err=True)
    if photos.advice:
        typer.echo(f"Note: {photos.advice}", err=True)
    return photos


def _read_class_images(folder: Path | None, base: DiffusionBase) -> ClassImages | None:
    from reage.training.dreambooth.class_images import read_class_images

    if folder is None:
        typer.echo(
            "Note: without --class-images the base may take every face for this one; "
            "`reage training class-images` makes a set of other people.",
            err=True,
        )
        return None
    return read_class_images(folder, base.picture_px)


def _track(rows: Any, what: str = "pictures") -> Any:
    from rich.progress import track

    return track(rows, what, console=stderr_console())


def _save_sheet(pixels: Any, path: Path) -> None:
    from reage.images import Image, save_image

    save_image(Image(pixels=pixels), path)


def _print_summary(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    names = {"main": "memory", "gpu": "memory of the GPU"}
    memory = "".join(f", {peak / 1000:.1f} GB of {names[kind]}" for kind, peak in summary["peak_memory_mb"].items())
    typer.echo(f"{len(summary['photos'])} photos, {summary['steps']} steps in {summary['seconds']:.0f} s{memory}")
    typer.echo(summary["output"])
    typer.echo(summary["sheet"])
