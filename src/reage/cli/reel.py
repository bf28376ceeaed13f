"""`reage reel`: one photo that ages smoothly, as a video or an animated picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.console import print_json
from reage.cli.extras import require_extra
from reage.cli.options import AsJson, Device, Photo
from reage.cli.video import load_reager, show_progress
from reage.engines import DEFAULT_ENGINE
from reage.plan_texts import parse_faces


def reel(
    photo: Photo,
    first: Annotated[float, typer.Option("--from", metavar="AGE", help="Age at the start, years.")],
    last: Annotated[float, typer.Option("--to", metavar="AGE", help="Age at the end, years.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file: .mp4, .m4v, .mov, .mkv, .gif or .webp; NAME-FROM-TO.mp4 here by default.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="SECONDS", help="Time that the change takes.")] = 6.0,
    label: Annotated[bool, typer.Option("--label", help="Write the age above the picture.")] = False,
    face: Annotated[str, typer.Option(metavar="all|largest|N", help="The faces to age.")] = "largest",
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine, see `reage engines`.")] = DEFAULT_ENGINE,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Let a photo age smoothly from one age to another, as a video or an animated picture.

    A photo larger than 1080 px is made smaller, and 640 px in an animated picture.
    """
    require_extra("video")
    from reage.video.reel import ReelOrder, check_reel, make_reel

    order = ReelOrder(first=first, last=last, seconds=seconds, labels=label, faces=parse_faces(face))
    path = check_reel(photo, order, output)
    with show_progress() as progress:
        path = make_reel(load_reager(engine, device), photo, order, path, progress=progress)
    if as_json:
        print_json({"input": str(photo), "output": str(path), "from_years": first, "to_years": last})
        return
    typer.echo(path)
