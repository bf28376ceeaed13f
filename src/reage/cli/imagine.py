"""`reage imagine`: new pictures of a person that a base has learned, at another age."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, stderr_console
from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.cli.request import check_device, parse_label
from reage.errors import ImageError

if TYPE_CHECKING:
    from reage.generate import Sample

_STORY = "samples.json"


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
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="Pictures to draw.")] = 8,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="New folder for them; PERSON-LABEL in the current folder by default."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides on the noise.")] = 0,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Denoising steps; 30 by default, 100 in the paper.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(metavar="TIMES", help="How strongly the age is followed, 0 to 20; 3 by default, 10 in the paper."),
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Where the base of the person is now.")] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, or a torch device such as cuda.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Draw new pictures of a person in another age group, and keep those that hold.

    A picture is kept when a face is found in it, it can be read, it is the person, and it looks as old as was asked
    for. The others go to a folder of their own, with the reason in their name.
    """
    require_extra("diffusion")
    from rich.progress import track

    from reage.generate import Gate
    from reage.generate import imagine as draw
    from reage.nets.dreambooth import load_person
    from reage.nets.sampling import FROM_NOISE

    label = parse_label(look)
    folder = output or Path(f"{person.stem}-{label}")
    _check_folder(folder)
    check_device(device)
    given = {name: value for name, value in (("steps", steps), ("guidance", guidance)) if value is not None}
    config = replace(FROM_NOISE, **given)  # type: ignore[arg-type]
    loaded, who = load_person(person, device, base)
    samples = draw(
        loaded,
        who,
        label,
        count,
        Gate.load(),
        seed=seed,
        config=config,
        track=lambda drawn: track(drawn, "pictures", total=count, console=stderr_console()),
    )
    story = {"person": str(person), "output": str(folder), "label": label, "seed": seed}
    story |= {"kept": sum(not one.verdict.reason for one in samples), "samples": [one.to_json() for one in samples]}
    _write(samples, folder, story)
    _tell(story, as_json)


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ImageError(f"'{folder}' already holds something; name a new folder with -o.")


def _write(samples: list[Sample], folder: Path, story: dict[str, Any]) -> None:
    from reage.files import replace_file
    from reage.generate import REJECTED, SHEET, draw_samples
    from reage.images import Image, save_image

    try:
        (folder / REJECTED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from error
    for one in samples:
        save_image(Image(pixels=one.pixels), (folder / REJECTED if one.verdict.reason else folder) / one.name)
    save_image(Image(pixels=draw_samples(samples)), folder / SHEET)
    with replace_file(folder / _STORY, ImageError) as unfinished:
        unfinished.write_text(json.dumps(story, indent=2) + "\n")


def _tell(story: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(story)
    else:
        typer.echo(f"{story['kept']} of {len(story['samples'])} kept: {story['output']}")
    if not story["kept"]:
        typer.echo(
            "None of the pictures holds; their names say why. Draw more with -n, or learn the person longer.",
            err=True,
        )
        raise typer.Exit(1)
