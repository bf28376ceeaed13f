"""`reage forensic`: a photo, made younger or older, and drawn, with a report that has every number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_notes
from reage.cli.options import AsJson, MaxMegapixels, Photo
from reage.cli.request import parse_targets
from reage.cli.sketch import AS_HELP
from reage.engines import DEFAULT_ENGINE
from reage.errors import ReageError
from reage.plan_texts import parse_faces

if TYPE_CHECKING:
    from reage.forensic import Case


def forensic(
    photo: Photo,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all that is made.")],
    to: Annotated[float | None, typer.Option("--to", metavar="AGE", help="The age to draw, in years.")] = None,
    ages: Annotated[
        str | None, typer.Option(metavar="20,25,30", help="Several ages: a progression, as for the missing.")
    ] = None,
    style: Annotated[str, typer.Option(metavar="pencil|composite", help="How it is drawn.")] = "pencil",
    reference: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Photos of the same person at about that age; may be given repeatedly."),
    ] = None,
    age_from: Annotated[
        float | None, typer.Option("--from", metavar="AGE", help="Age of the person in the photo, if it is known.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="The engine that changes the age; deaging is the net of the article.")
    ] = DEFAULT_ENGINE,
    seed: Annotated[int, typer.Option(min=0, help="For engines that draw random numbers.")] = 0,
    given_as: Annotated[str | None, typer.Option("--as", metavar="photo|sketch", help=AS_HELP)] = None,
    face: Annotated[str, typer.Option(metavar="largest|N", help="The face; a number that `reage find` shows.")] = (
        "largest"
    ),
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Make the person of a photo younger or older and draw the result, with a report of every number.

    DIR gets photo.png (aligned), aged-AGE.png, sketch-AGE.png, report.html, report.pdf and report.json. What is drawn
    is a guess of a program and no evidence of how anybody looked.
    """
    from reage.faces.drawn_sketch import check_style
    from reage.forensic import CaseRequest, ForensicChain, write_case
    from reage.images import MAX_MEGAPIXELS, load_image
    from reage.pipeline import Reager

    if (to is None) == (ages is None):
        raise ReageError("Give the age to draw: either --to 25, or several as --ages 20,25,30.")
    targets = (to,) if to is not None else parse_targets(str(ages), "--ages")
    request = CaseRequest(ages=targets, style=check_style(style), age_from=age_from, seed=seed, given_as=given_as)
    number = parse_faces(face)
    picture = load_image(photo, max_megapixels=max_megapixels or MAX_MEGAPIXELS)
    case = ForensicChain(Reager(engine)).run(picture, request, face=number, references=tuple(reference or ()))
    files = write_case(case, output)
    print_notes(case.notes)
    if as_json:
        print_json({"input": str(photo), "output": [str(file) for file in files], **case.to_json()})
        return
    for line in describe(case):
        typer.echo(line)
    typer.echo(output / "report.html")


def describe(case: Case) -> list[str]:
    """The numbers of each age, a line each."""
    before = case.reading
    lines = [f"Looks {before.age_years:.0f} +/- {before.age_std_years:.0f} years."]
    for drawn in case.drawn:
        lines.append(
            f"At {drawn.age:g}: looks {drawn.reading.age_years:.0f} +/- {drawn.reading.age_std_years:.0f} years, "
            f"identity distance {drawn.distance:.2f} (one person's is below {case.same_person_distance:g})."
        )
    return lines
