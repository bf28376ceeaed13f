"""`reage match`: find the person of a photo or sketch in a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_table
from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.cli.sketch import AS_HELP

if TYPE_CHECKING:
    from reage.matching import Matches
    from reage.types import Face, Pixels

_FEW = 20
"""Pictures of a gallery up to which no progress is shown."""


def match(
    probe: Annotated[Path, typer.Argument(metavar="PROBE", help="A photo or a sketch.")],
    gallery: Annotated[Path, typer.Argument(metavar="GALLERY", help="A folder of photos, or an index (.parquet).")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many matches.")] = 10,
    matcher: Annotated[
        str, typer.Option(metavar="aifd|dlib|FILE.onnx", help="The recognizer; aifd knows people across ages.")
    ] = "aifd",
    matcher_kind: Annotated[
        str, typer.Option(metavar="KIND", help="What your own net takes: arcface (RGB) or adaface (BGR).")
    ] = "arcface",
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="direct|synthesis|reverse",
            help="For a sketch: compare it with the photos, with sketches drawn of them, or make a photo of it first.",
        ),
    ] = None,
    style: Annotated[
        str, typer.Option(metavar="pencil|composite", help="How --mode synthesis draws the gallery.")
    ] = "pencil",
    given_as: Annotated[str | None, typer.Option("--as", metavar="photo|sketch", help=AS_HELP)] = None,
    index: Annotated[
        Path | None,
        typer.Option(metavar="FILE.parquet", help="Keep the faces of the folder here; only changes are read again."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="SHEET", help="A contact sheet of the matches.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the person of a photo or a sketch in a folder of photos, the most similar first.

    A similar face is a lead, not evidence: similar strangers exist, and sketches raise their number.
    """
    from reage.cli.console import track
    from reage.images import Image, check_output, save_image
    from reage.matching import Matcher

    if index is not None or gallery.suffix == ".parquet":
        require_extra("match")
    if output is not None:
        check_output(output)
    found = Matcher(matcher, matcher_kind).match(
        probe,
        gallery,
        top=top,
        mode=mode,
        style=style,
        given_as=given_as,
        index=index,
        track=lambda files: track(files, "gallery") if len(files) > _FEW else files,
    )
    if output is not None:
        save_image(Image(pixels=draw_matches(found)), output, altered=False)
    if found.missed:
        typer.echo(f"Note: {len(found.missed)} pictures show no face: {_shorten(found.missed)}.", err=True)
    if as_json:
        print_json({"probe": str(probe), **found.to_json()})
        return
    print_table(("file", "similarity", "same person", "false matches"), [_cells(one) for one in found.matches])
    typer.echo(describe(found))


def describe(found: Matches) -> str:
    """The verdict, in a sentence."""
    among = f"among {found.num_faces} faces by {found.recognizer}, {found.mode}"
    if found.threshold is None:
        return f"The most similar {among}; this recognizer has no threshold for a {found.kind}, so there is no verdict."
    if not found.found:
        return f"No match {among}: nobody reaches a similarity of {found.threshold:.2f}."
    same = sum(bool(one.same) for one in found.matches)
    return f"{same} of the {len(found.matches)} shown {'match' if same > 1 else 'matches'} {among}."


def draw_matches(found: Matches) -> Pixels:
    """A contact sheet: the probe, then the matches with their similarity."""
    from reage.images import draw_sheet, load_image

    pictures, labels = [found.probe.crop], [f"probe ({found.kind})"]
    for one in found.matches:
        pixels = load_image(one.file).pixels if one.file.is_file() else None
        pictures.append(_blank(found.probe) if pixels is None else pixels)
        labels.append(f"{one.file.name[:18]} {one.score:.2f}{' same' if one.same else ''}")
    columns = min(4, len(pictures))
    strips = [
        draw_sheet([pictures[start : start + columns]], labels[start : start + columns], [""], cell_px=256)
        for start in range(0, len(pictures), columns)
    ]
    return _stack(strips)


def _stack(strips: list[Pixels]) -> Pixels:
    import numpy as np

    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(one, ((0, 0), (0, width - one.shape[1]), (0, 0)), constant_values=255) for one in strips]
    return np.vstack(padded)


def _blank(face: Face) -> Pixels:
    import numpy as np

    return np.full_like(face.crop, 235)


def _cells(one: object) -> tuple[str, ...]:
    from reage.matching import Match

    assert isinstance(one, Match)
    same = {None: "unknown", True: "yes", False: "no"}[one.same]
    rate = "unknown" if one.false_match_rate is None else f"1 in {1 / one.false_match_rate:,.0f}"
    return one.file.name, f"{one.score:.3f}", same, rate


def _shorten(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
