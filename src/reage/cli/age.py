"""`reage age`: one photo, a sweep over ages, or a whole folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.request import AgeRequest, Diffusion, parse_faces, parse_sweep, parse_zones
from reage.engines import DEFAULT_ENGINE
from reage.errors import PlanError
from reage.types import Plan

_DIFFUSION = "Latent diffusion"


def age(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo, or a folder of photos (needs -o).")],
    to: Annotated[float | None, typer.Option(metavar="AGE", help="Target age in years, 1 to 100.")] = None,
    age_from: Annotated[
        float | None, typer.Option("--from", metavar="AGE", help="Age of the person; measured when it is not given.")
    ] = Plan.age_from,
    zones: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SCORE,...",
            help="Zone scores from 0, smooth, to 1, marked, see `reage zones`; or older, younger, upper, lower, mixed.",
        ),
    ] = None,
    strength: Annotated[float, typer.Option(metavar="SHARE", help="Share of the change, 0 to 1.5.")] = Plan.strength,
    face: Annotated[str, typer.Option(metavar="all|largest|N", help="Which faces; N is from `reage find`.")] = "all",
    sweep: Annotated[
        str | None,
        typer.Option(metavar="START:STOP:STEP", help="Make one picture for each of these ages, and a labelled strip."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="See `reage engines`.")] = DEFAULT_ENGINE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file; its suffix sets the format. By default NAME-AGE.SUFFIX in the current folder. "
            "Of a folder: the folder for the results. Of a sweep: the strip, beside which the pictures go.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="For engines that draw random numbers.")] = Plan.seed,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of the engine; the shipped ones by default.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Of ldla: Stable Diffusion 1.x or 2.x to use as it is: a folder, a file, or its name on the hub. Of"
            " personal: where the base of the person is now.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    person: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of personal: who is in the photo, made by `reage personalize`.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    noise_strength: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="γ_n: how much of a zone, or of a person's face, is drawn anew, above 0 to 1.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="γ_inf: denoising steps.", rich_help_panel=_DIFFUSION),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            metavar="TIMES",
            help="γ_g: how strongly the score or age is followed, 0 to 20.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    grain: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="How much of that noise is really added, 0 to 1; ldla does without, unless --base is given.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="Of ldla: a second pass over the face that blends its zones.", rich_help_panel=_DIFFUSION
        ),
    ] = False,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, or a torch device such as cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the faces of a photo look older or younger.

    The photo itself is never written over; an older result is.
    """
    from reage.cli import run

    if sweep is not None and to is not None:
        raise PlanError("--to and --sweep exclude each other; give one of them.")
    ages = parse_sweep(sweep) if sweep is not None else ()
    plan = Plan(age=ages[0] if ages else to, zones=parse_zones(zones), strength=strength, seed=seed, age_from=age_from)
    order = AgeRequest(
        source=source,
        output=output,
        plan=plan,
        faces=parse_faces(face),
        engine=engine,
        device=device,
        as_json=as_json,
        weights=weights,
        diffusion=Diffusion(
            base=base,
            person=person,
            noise_strength=noise_strength,
            steps=steps,
            guidance=guidance,
            grain=grain,
            refine=refine or None,
        ),
    )
    if ages:
        run.age_sweep(order, ages)
    elif source.is_dir():
        run.age_folder(order)
    else:
        run.age_photo(order)
