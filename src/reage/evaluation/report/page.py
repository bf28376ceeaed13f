"""A run as one page that says everything by itself: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import reage
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Faces
from reage.evaluation.report.plots import draw_plots, shown_targets, spread
from reage.evaluation.report.summary import OLDER, YOUNGER, nearest
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.images import draw_sheet
from reage.images.codec import decode, encode_jpeg
from reage.types import Pixels

if TYPE_CHECKING:
    from reage.evaluation.run import Run

NUM_SHOWN, NUM_WORST = 12, 6
MOST_COLUMNS = 8
"""Targets on a contact sheet."""
LEAST_GAIN_YEARS = 10.0
"""Of faces that gained less, the identity is set against this many years."""

_CELL_PX = 160
_QUALITY = 80
_NO_FACE = np.full((8, 8, 3), 225, np.uint8)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Pictures of some faces.

    Args:
        title: what they have in common.
        note: one paragraph.
        address: of the picture, a data: URI.
        alt: the picture in words.
        table: their numbers, or None.
    """

    title: str
    note: str
    address: str
    alt: str
    table: Table | None = None


def make_page(run: Run, tables: Sequence[Table], reference: Reference, *, command: str = "") -> str:
    """The report as HTML.

    Args:
        run: that is reported.
        tables: of `summarise`, the headline first.
        reference: the same lines that the tables were made with.
        command: that repeats the run; made up from the run where it is left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reage.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    faces = Faces(run.rows)
    return environment.get_template("page.html").render(
        run=run,
        facts=describe_run(run, faces, reference),
        real=_real_people(reference),
        headline=tables[0],
        plots=draw_plots(faces, reference),
        sheets=[some_faces(faces), worst_faces(faces)],
        tables=tables[1:],
        every_face=every_face(faces),
        command=command or _command(run, faces),
        version=reage.__version__,
        parts_of=parts_of,
    )


def parts_of(cell: Cell) -> tuple[str, str, str]:
    """A cell's value, its interval, and its class in the page's style."""
    if isinstance(cell, str):
        return cell, "", "text"
    value, bracket, rest = str(cell).partition(" [")
    return value, bracket.strip() + rest, "number" if cell.known else "unknown"


def describe_run(run: Run, faces: Faces, reference: Reference) -> dict[str, str]:
    """What was judged and by whom, name -> words."""
    sources = faces.sources
    num, people = len(sources), len(set(faces.people.tolist()))
    sexes = Counter(sources["sex"].tolist())
    ages = sources["true_years"][~np.isnan(sources["true_years"])]
    details = [
        f"{sexes['F']} women, {sexes['M']} men" if sexes["F"] or sexes["M"] else "sex unknown",
        f"true ages {ages.min():.0f} to {ages.max():.0f}" if len(ages) else "true ages unknown",
        f"{int(sources['grey'].astype(bool).sum())} without colour",
    ]
    orders = len(faces.rows.of_kind("zone"))
    zones = f" and {orders} with one zone at a score" if orders else ""
    return {
        "Photos": f"{num} of {people} people ({'; '.join(details)})",
        "Pictures made": f"{len(faces.rows) - num - orders} at target ages{zones}",
        "Target ages": ", ".join(f"{target:g}" for target in faces.targets),
        **{f"Judge of {what}": who for what, who in run.judges.items()},
        "Real people beside them": reference.people,
    }


def _real_people(reference: Reference) -> dict[str, Figure]:
    """What the explanation speaks of."""
    lines = reference.identity
    return {
        "age_error": Figure(value=reference.ages.mean_error, style=".1f"),
        "years_apart": Figure(value=lines.genuine_years, style=".0f"),
        "one_person": Figure(value=-lines.genuine.median),
        "two_people": Figure(value=-lines.impostors.median),
    }


# Faces


def some_faces(faces: Faces) -> Sheet:
    """Faces from the whole run, evenly spread."""
    places = spread(len(faces.sources), NUM_SHOWN)
    return Sheet(
        title="Faces from the whole run",
        note=f"{len(places)} of {len(faces.sources)} faces, spread evenly over the run, however they came out.",
        address=_picture_of(faces, places),
        alt="Contact sheet: the photo and the pictures made from it at target ages, one face in each row.",
    )


def worst_faces(faces: Faces) -> Sheet:
    """The faces that paid most identity for the age they gained, with their numbers."""
    target = nearest(faces.targets, OLDER)
    places = worst_of(faces, target)[:NUM_WORST]
    return Sheet(
        title="Worst faces",
        note=(
            f"Most identity distance for the years gained at {target:g}; less than {LEAST_GAIN_YEARS:g} years in the "
            f"direction asked for count as {LEAST_GAIN_YEARS:g}. Pictures without a face come first."
        ),
        address=_picture_of(faces, places),
        alt="Contact sheet of the worst faces, as above.",
        table=_numbers(faces, places, [target], "worst faces", "Worst faces"),
    )


def worst_of(faces: Faces, target: float) -> list[int]:
    """Places of all faces, the one with the most identity distance for its gain in age at a target first."""
    at, before = faces.targets.index(target), faces.sources["years"]
    gained = (faces.of("years")[:, at] - before) * np.sign(target - before)
    cost = faces.distances[:, at] / np.maximum(gained, LEAST_GAIN_YEARS)
    return [int(place) for place in np.argsort(-np.nan_to_num(cost, nan=math.inf), kind="stable")]


def every_face(faces: Faces) -> Table:
    """The numbers of every face at the headline's targets."""
    targets = sorted({nearest(faces.targets, wanted) for wanted in (YOUNGER, OLDER)})
    return _numbers(faces, range(len(faces.sources)), targets, "every face", "Every face")


def _numbers(faces: Faces, places: Sequence[int], targets: Sequence[float], name: str, title: str) -> Table:
    sources, years, distances = faces.sources, faces.of("years"), faces.distances
    headers = ["no.", "true age", "read in the photo"]
    for target in targets:
        headers += [f"read at {target:g}", f"distance at {target:g}"]
    rows: dict[str, list[Cell]] = {}
    for place in places:
        cells = [_number(sources["true_years"][place], ".0f"), _number(sources["years"][place], ".1f")]
        for at in (faces.targets.index(target) for target in targets):
            cells += [_number(years[place, at], ".1f", "no face"), _number(distances[place, at], ".3f")]
        rows[str(sources["file"][place])] = [str(place + 1), *cells]
    return Table(name=name, title=title, headers=headers, rows=rows, corner="file")


def _number(value: float, style: str, unknown: str = "unknown") -> Cell:
    return unknown if math.isnan(value) else Figure(value=float(value), style=style)


def _picture_of(faces: Faces, places: Sequence[int]) -> str:
    """A contact sheet as a data: URI; rows are labelled with a face's number and age."""
    targets = shown_targets(faces.targets, MOST_COLUMNS)
    made = {target: _thumbnails(faces, target) for target in targets}
    rows = [
        [_decode(faces.sources["thumbnail"][place]), *(made[target].get(place, _NO_FACE) for target in targets)]
        for place in places
    ]
    labels = [f"no. {place + 1}{_age_of(faces, place)}" for place in places]
    sheet = draw_sheet(rows, ["photo", *(f"{target:g}" for target in targets)], labels, cell_px=_CELL_PX)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(sheet, _QUALITY)).decode()


def _thumbnails(faces: Faces, target: float) -> dict[int, Pixels]:
    """Place of a face -> its picture at a target."""
    aged = faces.rows.at(target)
    return {place: _decode(one) for place, one in zip(faces.places_of(aged), aged["thumbnail"], strict=True)}


def _decode(thumbnail: bytes) -> Pixels:
    return decode(thumbnail) if thumbnail else _NO_FACE


def _age_of(faces: Faces, place: int) -> str:
    true, read = faces.sources["true_years"][place], faces.sources["years"][place]
    return f", age {true:.0f}" if not math.isnan(true) else f", reads {read:.0f}" if not math.isnan(read) else ""


def _command(run: Run, faces: Faces) -> str:
    targets = ",".join(f"{target:g}" for target in faces.targets)
    if not run.weights_hash:
        return f"reage evaluate --engine {run.engine} --pairs BEFORE AFTER --target {targets}"
    return f"reage evaluate --engine {run.engine} --faces FOLDER --targets {targets}"
