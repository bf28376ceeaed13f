"""`reage sketch`: draw a photo, or make a photo of a sketch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_notes
from reage.cli.options import AsJson, Device, Frame, MaxMegapixels, Photo
from reage.plan_texts import parse_faces

if TYPE_CHECKING:
    from reage.sketch import Sketched

AS_HELP = "What the picture is, photo or sketch; by default that is found out."


def sketch(
    photo: Photo,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file; its suffix sets the format; NAME-sketch.png or NAME-photo.png by default.",
        ),
    ] = None,
    style: Annotated[str, typer.Option(metavar="pencil|composite", help="How it is drawn.")] = "pencil",
    reverse: Annotated[bool, typer.Option("--reverse", help="Make a photo of a sketch instead.")] = False,
    given_as: Annotated[str | None, typer.Option("--as", metavar="photo|sketch", help=AS_HELP)] = None,
    face: Annotated[
        str, typer.Option(metavar="largest|N", help="The face to draw; a number is one that `reage find` shows.")
    ] = "largest",
    place: Annotated[
        str, typer.Option(metavar="card|photo", help="Where the result is put: on a card, or back into the photo.")
    ] = "card",
    device: Device = "cpu",
    frame: Frame = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Draw the face of a photo as a pencil portrait or a composite, or make a photo of a sketch.

    The result is a card of 574 px: the face, aligned, on paper; with --place photo it is the photo, with the drawing in
    the place of the person. What a net draws is a guess: a photo made of a sketch has colours and details that nobody
    saw.
    """
    from reage.faces.drawn_sketch import check_style
    from reage.files import shorten_name
    from reage.images import MAX_MEGAPIXELS, check_output, load_image
    from reage.sketch import Sketcher

    check_style(style)
    number = parse_faces(face)
    picture = load_image(photo, frame=frame or 1, max_megapixels=max_megapixels or MAX_MEGAPIXELS)
    output = output or Path(shorten_name(photo.stem, "-photo.png" if reverse else "-sketch.png"))
    check_output(output, source=picture)
    sketcher = Sketcher(device=device)
    if reverse:
        done = sketcher.photo(picture, face=number, given_as=given_as, place=place)
    else:
        done = sketcher.sketch(picture, style, face=number, given_as=given_as, place=place)
    done.save(output)
    print_notes(done.notes)
    if as_json:
        print_json({"input": str(photo), "output": str(output), **done.to_json()})
        return
    typer.echo(f"{describe(done)}: {output}")


def describe(done: Sketched) -> str:
    """What was made, in a few words."""
    made = f"1 face drawn as {done.style}" if done.gives == "sketch" else "1 photo made of a sketch"
    return f"{made} in {sum(done.seconds.values()):.1f} s"
