"""`reage zones`: list the zones of a face, or draw zones, aging maps, or what an engine makes of zones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson, FaceBox
from reage.errors import ImageError, PlanError
from reage.plan_texts import parse_box, parse_zones
from reage.types import Plan
from reage.zones import ZONE_GROUPS, ZONES

if TYPE_CHECKING:
    from reage.faces.blazeface import Box


def zones(
    photo: Annotated[Path | None, typer.Argument(metavar="[PHOTO]", help="Draw the zones on its faces.")] = None,
    as_maps: Annotated[
        bool, typer.Option("--map", help="Draw aging maps instead: how old each place looks, dark young, bright old.")
    ] = False,
    to: Annotated[
        float | None, typer.Option(metavar="AGE", help="Also the map of this target age, 1 to 100; with --map.")
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option("--zones", metavar="NAME=SCORE,...", help="Also the map with these zone scores; with --map."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="Draw instead what this engine makes of each zone at 0, 0.25, .. 1."),
    ] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="Draw what it makes of older, younger and the other presets; with --by.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The drawing; NAME-zones.png, NAME-map.png or NAME-ENGINE.png in the current folder by default.",
        ),
    ] = None,
    box: FaceBox = None,
    as_json: AsJson = False,
) -> None:
    """List the zones of a face and the names for several of them; with a photo, draw them."""
    plan = _parse_map_plan(photo, as_maps, to, scores)
    face_box = parse_box(box)
    _check_options(photo, as_maps, by, presets, output, face_box)
    values: dict[str, Any] = {
        "zones": list(ZONES),
        "groups": {name: list(members) for name, members in ZONE_GROUPS.items()},
    }
    if photo is not None:
        kind = f"{by}-presets" if presets else by or ("map" if as_maps else "zones")
        output = output or Path(f"{photo.stem}-{kind}.png")
        values |= {"input": str(photo), "output": str(output)}
        if by is not None:
            _draw_engine(photo, output, face_box, by, presets)
        elif as_maps:
            values["faces"] = _draw_maps(photo, output, face_box, plan)
        else:
            _draw_zones(photo, output, face_box)
    if as_json:
        print_json(values)
    elif output is not None:
        typer.echo(output)
    else:
        rows = [(zone, ", ".join(name for name, members in ZONE_GROUPS.items() if zone in members)) for zone in ZONES]
        print_table(("zone", "also part of"), rows)


def _parse_map_plan(photo: Path | None, as_maps: bool, to: float | None, scores: str | None) -> Plan | None:
    """The plan of the target maps; None for maps of the present alone."""
    if as_maps and photo is None:
        raise ImageError("There is no face to make a map of; name a photo too, as in reage zones me.jpg --map.")
    if to is None and scores is None:
        return None
    if not as_maps:
        raise PlanError("--to and --zones belong to a map; add --map, as in reage zones me.jpg --map --to 70.")
    return Plan(age=to, zones=parse_zones(scores))


def _check_options(
    photo: Path | None, as_maps: bool, by: str | None, presets: bool, output: Path | None, box: Box | None
) -> None:
    if by is not None and (photo is None or as_maps):
        raise PlanError(f"--by draws what {by} makes of one photo; write reage zones me.jpg --by {by}, without --map.")
    if presets and by is None:
        raise PlanError("--presets draws what an engine makes of them; write reage zones me.jpg --by ldla --presets.")
    if photo is None and output is not None:
        raise ImageError(f"There is nothing to draw on '{output}'; name a photo too, as in reage zones me.jpg.")
    if photo is None and box is not None:
        raise ImageError(
            "--box is a place in a photo; name the photo too, as in reage zones me.jpg --box 120,80,260,240."
        )


def _draw_zones(photo: Path, output: Path, box: Box | None) -> None:
    from reage.cli.photos import read_faces, save_drawing
    from reage.cli.zone_drawings import draw_zone_masks

    _, faces = read_faces(photo, output, box=box, segment=False)
    save_drawing(draw_zone_masks(faces), output)


def _draw_maps(photo: Path, output: Path, box: Box | None, plan: Plan | None) -> list[dict[str, Any]]:
    """The box and the levels of each face, as plain values, after drawing their maps."""
    from reage.cli.photos import read_faces, save_drawing
    from reage.cli.zone_drawings import draw_aging_maps, measure_map_plans, plans_to_json

    _, faces = read_faces(photo, output, box=box)
    plans = measure_map_plans(faces, plan)
    save_drawing(draw_aging_maps(faces, plans), output)
    return [plans_to_json(*own) for own in zip(faces, plans, strict=True)]


def _draw_engine(photo: Path, output: Path, box: Box | None, by: str, presets: bool) -> None:
    from reage.cli.photos import read_faces, save_drawing
    from reage.cli.zone_drawings import draw_engine_presets, draw_engine_zones
    from reage.engines import load_engine

    engine = load_engine(by)
    _, faces = read_faces(photo, output, box=box)
    draw = draw_engine_presets if presets else draw_engine_zones
    save_drawing(draw(faces[0], engine), output)
