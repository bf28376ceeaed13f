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
Frame = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Number, from 1, of one page or frame of a file that has several; by default all of them.",
    ),
]
MaxMegapixels = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        min=0.001,
        help="Largest picture that is opened, in millions of pixels, all its frames together; 200 by default.",
    ),
]
_FOLDERS = "Folders"
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive", help="Also age the folders inside, into folders of the same names.", rich_help_panel=_FOLDERS
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave out photos whose result is there already.", rich_help_panel=_FOLDERS),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Note in this file which photos are finished, and leave those out when the command is repeated.",
        rich_help_panel=_FOLDERS,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Number of processes, about 1 GB of memory each; by default one for each core, where it saves time.",
        rich_help_panel=_FOLDERS,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="No line for each photo, no bar; failures only.", rich_help_panel=_FOLDERS),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Also name what is left out and why, and show where an unexpected error arose.",
        rich_help_panel=_FOLDERS,
    ),
]
AsJsonLines = Annotated[
    bool, typer.Option("--jsonl", help="Print one JSON object a line, for a folder one as soon as a photo is finished.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Device = Annotated[
    str, typer.Option(metavar="DEVICE", help="cpu, cuda, coreml, directml, or auto for the first of `reage devices`.")
]
Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.")]
Shards = Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")]
Sign = Annotated[
    Path | None,
    typer.Option(
        metavar="CERT.pem",
        help="Sign Content Credentials (C2PA) into the result: PEM of the signer's certificate, then those above it.",
        rich_help_panel="Content Credentials",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        metavar="KEY.pem", help="The signer's private key, with --sign.", rich_help_panel="Content Credentials"
    ),
]
