"""`reage find`, `reage engines`, `reage zones`: look before you age."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from reage.cli.console import print_json, print_table, stderr_console
from reage.cli.request import parse_zones
from reage.engines import DEFAULT_ENGINE, ENGINES, load_engine
from reage.errors import ImageError, PlanError, WeightsError
from reage.types import Plan
from reage.zones import ZONE_GROUPS, ZONE_PRESETS, ZONES

if TYPE_CHECKING:
    from reage.engines import Engine
    from reage.images import Image
    from reage.types import Face, Pixels, Reading

_SHOWN_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
_CELL_PX = 256
_INNER = (0.22, 0.82, 0.2, 0.8)
"""Top, bottom, left and right of the face, shares of a crop."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def find(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The drawing; NAME-faces.png in the current folder by default."
        ),
    ] = None,
    dense: Annotated[
        bool, typer.Option("--dense", help="Also the 68 landmarks, whose model is not for commercial use.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which faces are found, and draw them: numbers, boxes, landmarks."""
    from reage.images import draw_faces

    output = output or Path(f"{photo.stem}-faces.png")
    picture, faces = _find_faces(photo, output, dense=dense)
    _save_drawing(draw_faces(picture.pixels, faces), output)
    if as_json:
        found = [{"number": number, **_face_story(face)} for number, face in enumerate(faces, start=1)]
        print_json({"input": str(photo), "output": str(output), "faces": found})
        return
    rows = [
        (number, " ".join(f"{side:.0f}" for side in face.box), f"{face.score:.2f}")
        for number, face in enumerate(faces, start=1)
    ]
    print_table(("face", "box x0 y0 x1 y1, px", "score"), rows)
    typer.echo(output)


def engines(as_json: AsJson = False) -> None:
    """List the engines: what each can be told, and for which ages it was made."""
    stories = [_engine_story(name) for name in ENGINES]
    if as_json:
        print_json({"engines": stories})
        return
    rows = [
        (
            f"{story['name']} (default)" if story["default"] else story["name"],
            story.get("error") or story["summary"],
            ", ".join(story.get("accepts", ())),
            " to ".join(f"{age:g}" for age in story.get("ages", ())),
            story.get("weights_hash") or "none",
        )
        for story in stories
    ]
    print_table(("engine", "what it does", "accepts", "ages", "weights"), rows)


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
    as_json: AsJson = False,
) -> None:
    """List the zones of a face and the names for several of them; with a photo, draw them."""
    story: dict[str, Any] = {
        "zones": list(ZONES),
        "groups": {name: list(members) for name, members in ZONE_GROUPS.items()},
    }
    plan = _parse_map_order(photo, as_maps, to, scores)
    if by is not None and (photo is None or as_maps):
        raise PlanError(f"--by draws what {by} makes of one photo; write reage zones me.jpg --by {by}, without --map.")
    if presets and by is None:
        raise PlanError("--presets draws what an engine makes of them; write reage zones me.jpg --by ldla --presets.")
    if photo is None and output is not None:
        raise ImageError(f"There is nothing to draw on '{output}'; name a photo too, as in reage zones me.jpg.")
    if photo is not None:
        shown = f"{by}-presets" if presets else by or ("map" if as_maps else "zones")
        output = output or Path(f"{photo.stem}-{shown}.png")
        story |= {"input": str(photo), "output": str(output)}
        artist = load_engine(by) if by else None
        dense = artist is not None and artist.dense_landmarks
        _, faces = _find_faces(photo, output, dense=dense, parsed=as_maps or by is not None)
        if artist:
            _save_drawing((_draw_presets if presets else _draw_orders)(faces, artist), output)
        elif as_maps:
            levels = _read_levels(faces, plan)
            _save_drawing(_draw_aging_maps(faces, levels), output)
            story["faces"] = [_levels_story(*read) for read in zip(faces, levels, strict=True)]
        else:
            _save_drawing(_draw_zone_maps(faces), output)
    if as_json:
        print_json(story)
    elif output is not None:
        typer.echo(output)
    else:
        rows = [(zone, ", ".join(name for name, members in ZONE_GROUPS.items() if zone in members)) for zone in ZONES]
        print_table(("zone", "also part of"), rows)


def _parse_map_order(photo: Path | None, as_maps: bool, to: float | None, scores: str | None) -> Plan | None:
    """The plan for the target maps; None for none."""
    if as_maps and photo is None:
        raise ImageError("There is no face to make a map of; name a photo too, as in reage zones me.jpg --map.")
    if to is None and scores is None:
        return None
    if not as_maps:
        raise PlanError("--to and --zones order a map; add --map, as in reage zones me.jpg --map --to 70.")
    return Plan(age=to, zones=parse_zones(scores))


def _find_faces(photo: Path, output: Path, *, dense: bool = False, parsed: bool = False) -> tuple[Image, list[Face]]:
    """The photo and its faces; `parsed` tells what of them is hidden by hair."""
    from reage.faces.finder import FaceFinder, choose_faces
    from reage.images import check_output, load_image

    picture = load_image(photo)
    check_output(output, source=photo)
    finder = FaceFinder.load() if parsed else FaceFinder()
    return picture, choose_faces(finder.find(picture.pixels, dense_landmarks=dense), "all")


def _save_drawing(pixels: Pixels, output: Path) -> None:
    from reage.images import Image, save_image

    save_image(Image(pixels=pixels), output, altered=False)


def _draw_zone_maps(faces: list[Face]) -> Pixels:
    from reage.faces.geometry import zone_masks
    from reage.images import draw_strip, draw_zones

    maps = [draw_zones(face.crop, zone_masks(face)) for face in faces]
    return draw_strip(maps, [f"face {number}" for number in range(1, len(maps) + 1)], height_px=maps[0].shape[0])


def _draw_orders(faces: list[Face], engine: Engine) -> Pixels:
    """The largest face, each zone by itself (down) at each of `_SHOWN_SCORES` (across)."""
    from rich.progress import track

    from reage.images import draw_sheet

    reading, draw = _begin_orders(faces, engine)
    rows, labels = [], []
    for zone in track(ZONES, "zones", console=stderr_console()):
        rows.append([draw({zone: score}) for score in _SHOWN_SCORES])
        labels.append(f"{zone} ({reading.zones[zone]:.2f})" if zone in reading.zones else f"{zone} (hidden)")
    return draw_sheet(rows, [f"{score:g}" for score in _SHOWN_SCORES], labels, cell_px=_CELL_PX)


def _draw_presets(faces: list[Face], engine: Engine) -> Pixels:
    """The largest face as it is, and by each preset."""
    from rich.progress import track

    from reage.images import draw_strip

    _, draw = _begin_orders(faces, engine)
    orders = {"original": {}, **ZONE_PRESETS}
    made = [draw(scores) for scores in track(orders.values(), "presets", console=stderr_console())]
    return draw_strip(made, list(orders), height_px=_CELL_PX)


def _begin_orders(faces: list[Face], engine: Engine) -> tuple[Reading, Callable[[Mapping[str, float]], Pixels]]:
    """What is read off the largest face, and what draws it with scores of zones."""
    from reage.composite import composite
    from reage.faces.finder import choose_faces
    from reage.faces.zone_scorer import ZoneScorer
    from reage.measure.age import AgeEstimator
    from reage.pipeline import render
    from reage.plan import complete

    (face,) = choose_faces(faces, "largest")
    whole = face.in_crop_frame()
    reading = replace(AgeEstimator.load().measure(face), zones=ZoneScorer.load().measure(face))

    def draw(scores: Mapping[str, float]) -> Pixels:
        if not scores:
            return _inner(face.crop)
        aged = render(engine, face, reading, complete(Plan(zones=scores), reading))
        return _inner(composite(face.crop, whole, aged))

    return reading, draw


def _inner(crop: Pixels) -> Pixels:
    """What the face fills of a crop."""
    top, bottom, left, right = (round(share * len(crop)) for share in _INNER)
    return crop[top:bottom, left:right]


def _read_levels(faces: list[Face], plan: Plan | None) -> list[dict[str, Plan]]:
    """For each face the age and scores it has now and, where something is ordered, those to come."""
    from reage.faces.zone_scorer import ZoneScorer
    from reage.measure.age import AgeEstimator
    from reage.plan import complete

    age_estimator, scorer = AgeEstimator.load(), ZoneScorer.load()
    levels = []
    for face in faces:
        reading = replace(age_estimator.measure(face), zones=scorer.measure(face))
        now = Plan(age=min(100.0, max(1.0, reading.age_years)), zones=reading.zones)
        levels.append({"now": now} if plan is None else {"now": now, "target": complete(plan, reading)})
    return levels


def _draw_aging_maps(faces: list[Face], levels: list[dict[str, Plan]]) -> Pixels:
    """The maps of each face side by side, then the gradients that go to a net with any of them."""
    from reage.faces.aging_map import make_aging_map, make_location_gradients
    from reage.images import draw_strip

    side = len(faces[0].crop)
    planes, labels = [], []
    for number, (face, read) in enumerate(zip(faces, levels, strict=True), start=1):
        for when, plan in read.items():
            planes.append(make_aging_map(side, face.to_crop(face.landmarks), plan.age, plan.zones, face.hair))
            labels.append(f"face {number}, {when}: {plan.age:.0f} years")
    planes.extend(make_location_gradients(side))
    pictures = [np.rint(255 * plane).astype(np.uint8)[..., None].repeat(3, -1) for plane in planes]
    return draw_strip(pictures, [*labels, "X", "Y"], height_px=side)


def _levels_story(face: Face, levels: dict[str, Plan]) -> dict[str, Any]:
    return {"box": face.to_json()["box"]} | {
        when: {
            "age_years": round(plan.age or 0, 1),
            "zones": {zone: round(score, 3) for zone, score in plan.zones.items()},
        }
        for when, plan in levels.items()
    }


def _face_story(face: Face) -> dict[str, Any]:
    story = face.to_json()
    if face.dense_landmarks is not None:
        story["dense_landmarks"] = face.dense_landmarks.astype(float).round(1).tolist()
    return story


def _engine_story(name: str) -> dict[str, Any]:
    story: dict[str, Any] = {"name": name, "default": name == DEFAULT_ENGINE}
    try:
        engine = load_engine(name)
    except WeightsError as error:
        return {**story, "error": str(error)}
    return {
        **story,
        "summary": engine.summary,
        "accepts": sorted(engine.accepts),
        "ages": list(engine.ages),
        "weights_hash": engine.weights_hash,
    }
