"""`reage imagine`: new pictures of a learned person at another age."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, stderr_console
from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.cli.request import choose_torch_device, parse_label
from reage.errors import ImageError

if TYPE_CHECKING:
    from reage.generate import Sample

_SUMMARY = "samples.json"


def imagine(
    person: Annotated[Path, typer.Argument(metavar="FILE", help="A person, made by `reage personalize`.")],
    look: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="LABEL|AGE",
            help="child, teenager, youngadults, middleaged, elderly or old;"
            " or an age in years, which stands for one of them.",
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="Number of pictures.")] = 8,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="New folder for them; PERSON-LABEL in the current folder by default."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Denoising steps; 30 by default, 100 in the paper.")
    ] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option(
            metavar="SCALE", help="Scale of classifier-free guidance, 0 to 20; 3 by default, 10 in the paper."
        ),
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Where the base of the person is now.")] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, or a torch device such as cuda.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Generate new pictures of a person in another age group, and keep the good ones.

    A picture is kept when a face is found in it, its quality is good enough, it is the person, and its apparent age is
    in the age group. The others go to the folder `rejected`, with the reason in their name.
    """
    require_extra("diffusion")
    from rich.progress import track

    from reage.generate import Gate, generate
    from reage.nets.dreambooth import load_person
    from reage.nets.sampling import FROM_NOISE

    label = parse_label(look)
    folder = output or Path(f"{person.stem}-{label}")
    _check_folder(folder)
    device = choose_torch_device(device)
    options = {"num_inference_steps": steps, "guidance_scale": guidance_scale}
    given = {name: value for name, value in options.items() if value is not None}
    config = replace(FROM_NOISE, **given)  # type: ignore[arg-type]
    loaded, learned = load_person(person, device, base)
    samples = generate(
        loaded,
        learned,
        label,
        count,
        Gate.load(),
        seed=seed,
        config=config,
        track=lambda pictures: track(pictures, "pictures", total=count, console=stderr_console()),
    )
    summary = {
        "person": str(person),
        "output": str(folder),
        "label": label,
        "seed": seed,
        "kept": sum(not sample.verdict.reason for sample in samples),
        "samples": [sample.to_json() for sample in samples],
    }
    _write(samples, folder, summary)
    _print_summary(summary, as_json)


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ImageError(f"'{folder}' already holds something; name a new folder with -o.")


def _write(samples: list[Sample], folder: Path, summary: dict[str, Any]) -> None:
    from reage.files import replace_file
    from reage.generate import REJECTED, SHEET, draw_samples
    from reage.images import Image, save_image

    try:
        (folder / REJECTED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from error
    for sample in samples:
        place = folder / REJECTED if sample.verdict.reason else folder
        save_image(Image(pixels=sample.pixels), place / sample.name)
    save_image(Image(pixels=draw_samples(samples)), folder / SHEET)
    with replace_file(folder / _SUMMARY, ImageError) as unfinished:
        unfinished.write_text(json.dumps(summary, indent=2) + "\n")


def _print_summary(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
    else:
        typer.echo(f"{summary['kept']} of {len(summary['samples'])} kept: {summary['output']}")
    if not summary["kept"]:
        typer.echo(
            "None of the pictures holds; their names say why. Draw more with -n, or learn the person longer.",
            err=True,
        )
        raise typer.Exit(1)
