"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="cpu, or a torch device such as cuda.")]
Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.")]
Shards = Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")]
