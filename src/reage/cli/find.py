"""`reage find`: show which faces are found in a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson, FaceBox, Photo
from reage.cli.video import find_in_video
from reage.errors import PlanError
from reage.files import is_video
from reage.plan_texts import parse_box

if TYPE_CHECKING:
    from reage.types import Face


def find(
    photo: Photo,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The drawing; NAME-faces.png in the current folder by default."
        ),
    ] = None,
    mesh: Annotated[bool, typer.Option("--mesh", help="Also draw and list the 478 points of the face mesh.")] = False,
    box: FaceBox = None,
    as_json: AsJson = False,
) -> None:
    """List the faces that are found in a photo, and draw their numbers, boxes and landmarks.

    Faces are found from 20 px up, at any tilt, in dark photos too; those turned away by more than about 60 degrees are
    not. Give --box where a face is missed. Of a video, the people are listed with their times and ages.
    """
    from reage.cli.photos import read_faces, save_drawing
    from reage.images import draw_faces

    output = output or Path(f"{photo.stem}-faces.png")
    if is_video(photo):
        if mesh or box is not None:
            raise PlanError(f"--mesh and --box are for photos, and '{photo}' is a video; leave them out.")
        find_in_video(photo, output, as_json)
        return
    picture, faces = read_faces(photo, output, box=parse_box(box), segment=False)
    save_drawing(draw_faces(picture.pixels, faces, mesh=mesh), output)
    if as_json:
        found = [{"number": number, **_to_json(face, mesh)} for number, face in enumerate(faces, start=1)]
        print_json({"input": str(photo), "output": str(output), "faces": found})
        return
    rows = [
        (number, " ".join(f"{side:.0f}" for side in face.box), f"{face.score:.2f}")
        for number, face in enumerate(faces, start=1)
    ]
    print_table(("face", "box x0 y0 x1 y1, px", "score"), rows)
    typer.echo(output)


def _to_json(face: Face, mesh: bool) -> dict[str, Any]:
    return {**face.to_json(), **({"mesh": face.mesh.astype(float).round(1).tolist()} if mesh else {})}
