"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FaceBox = Annotated[
    str | None,
    typer.Option(
        "--box",
        metavar="X0,Y0,X1,Y1",
        help="A face by hand, where none is found: left, top, right and bottom px, brow to chin, in the upright photo.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="cpu, or a torch device such as cuda.")]
Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.")]
Shards = Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")]
