"""A run as one HTML page that needs no script and loads nothing from elsewhere."""

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
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.plots import draw_plots, evenly_spaced, shown_targets
from reage.evaluation.report.summary import OLDER, YOUNGER, nearest
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.images import draw_sheet
from reage.images.codec import decode, encode_jpeg
from reage.types import Pixels

if TYPE_CHECKING:
    from reage.evaluation.run import EvaluationRun

NUM_SHOWN, NUM_WORST = 12, 6
MAX_COLUMNS = 8
"""Targets on a contact sheet."""
MIN_GAIN_YEARS = 10.0
"""In the order of the worst faces, a smaller gain in age counts as this one."""

_CELL_PX = 160
_QUALITY = 80
_NO_FACE = np.full((8, 8, 3), 225, np.uint8)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A contact sheet of some faces.

    Args:
        title: heading.
        note: one paragraph below it.
        uri: the picture as a data: URI.
        alt: the picture in words.
        table: numbers of the faces, or None.
    """

    title: str
    note: str
    uri: str
    alt: str
    table: Table | None = None


def make_page(run: EvaluationRun, tables: Sequence[Table], reference: Reference, *, command: str = "") -> str:
    """The report as HTML.

    Args:
        run: that is reported.
        tables: of `reage.evaluation.report.write.make_tables`, the summary first.
        reference: that the tables were made with.
        command: that repeats the run; by default derived from the run.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reage.evaluation.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    faces = MeasuredFaces(run.rows)
    return environment.get_template("page.html").render(
        run=run,
        facts=describe_run(run, faces, reference),
        real=_reference_numbers(reference),
        summary=tables[0],
        plots=draw_plots(faces, reference),
        sheets=[some_faces(faces), worst_faces(faces)],
        tables=tables[1:],
        every_face=every_face_table(faces),
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


def describe_run(run: EvaluationRun, faces: MeasuredFaces, reference: Reference) -> dict[str, str]:
    """What was evaluated and by which nets: name -> text."""
    sources = faces.sources
    num, people = len(sources), len(set(faces.people.tolist()))
    sexes = Counter(sources["sex"].tolist())
    ages = sources["true_years"][~np.isnan(sources["true_years"])]
    details = [
        f"{sexes['F']} women, {sexes['M']} men" if sexes["F"] or sexes["M"] else "sex unknown",
        f"true ages {ages.min():.0f} to {ages.max():.0f}" if len(ages) else "true ages unknown",
        f"{int(sources['grey'].astype(bool).sum())} without colour",
    ]
    requests = len(faces.rows.of_kind("zone"))
    zones = f" and {requests} with one zone at a requested score" if requests else ""
    return {
        "Photos": f"{num} of {people} people ({'; '.join(details)})",
        "Generated pictures": f"{len(faces.rows) - num - requests} at target ages{zones}",
        "Target ages": ", ".join(f"{target:g}" for target in faces.targets),
        **{f"Judge of {what}": net for what, net in run.judges.items()},
        "Reference of real people": reference.people,
    }


def _reference_numbers(reference: Reference) -> dict[str, Figure]:
    """Numbers that the explanation on the page mentions."""
    identity = reference.identity
    return {
        "age_error": Figure(value=reference.ages.mean_error, style=".1f"),
        "years_apart": Figure(value=identity.genuine_years, style=".0f"),
        "one_person": Figure(value=-identity.genuine.median),
        "two_people": Figure(value=-identity.impostors.median),
    }


# Faces


def some_faces(faces: MeasuredFaces) -> Sheet:
    """Faces from the whole run, evenly spaced."""
    indices = evenly_spaced(len(faces.sources), NUM_SHOWN)
    return Sheet(
        title="Faces from the whole run",
        note=f"{len(indices)} of {len(faces.sources)} faces, evenly spaced over the run, good or bad.",
        uri=_draw_sheet(faces, indices),
        alt="Contact sheet: the photo and the pictures made from it at target ages, one face in each row.",
    )


def worst_faces(faces: MeasuredFaces) -> Sheet:
    """The faces that lost most identity for the age they gained, with their numbers."""
    target = nearest(faces.targets, OLDER)
    indices = worst_of(faces, target)[:NUM_WORST]
    return Sheet(
        title="Worst faces",
        note=(
            f"Largest identity distance per year gained at {target:g}; less than {MIN_GAIN_YEARS:g} years in the "
            f"direction asked for count as {MIN_GAIN_YEARS:g}. Pictures without a face come first."
        ),
        uri=_draw_sheet(faces, indices),
        alt="Contact sheet of the worst faces, as above.",
        table=_face_table(faces, indices, [target], "worst faces", "Worst faces"),
    )


def worst_of(faces: MeasuredFaces, target: float) -> list[int]:
    """Indices of all faces, that with the largest identity distance for its gain in age at a target first."""
    at, before = faces.targets.index(target), faces.sources["years"]
    gained = (faces.aged("years")[:, at] - before) * np.sign(target - before)
    cost = faces.distances[:, at] / np.maximum(gained, MIN_GAIN_YEARS)
    return [int(index) for index in np.argsort(-np.nan_to_num(cost, nan=math.inf), kind="stable")]


def every_face_table(faces: MeasuredFaces) -> Table:
    """The numbers of every face at the summary's targets."""
    targets = sorted({nearest(faces.targets, wanted) for wanted in (YOUNGER, OLDER)})
    return _face_table(faces, range(len(faces.sources)), targets, "every face", "Every face")


def _face_table(faces: MeasuredFaces, indices: Sequence[int], targets: Sequence[float], name: str, title: str) -> Table:
    sources, years, distances = faces.sources, faces.aged("years"), faces.distances
    headers = ["no.", "true age", "read in the photo"]
    for target in targets:
        headers += [f"read at {target:g}", f"distance at {target:g}"]
    rows: dict[str, list[Cell]] = {}
    for index in indices:
        cells = [_number(sources["true_years"][index], ".0f"), _number(sources["years"][index], ".1f")]
        for at in (faces.targets.index(target) for target in targets):
            cells += [_number(years[index, at], ".1f", "no face"), _number(distances[index, at], ".3f")]
        rows[str(sources["file"][index])] = [str(index + 1), *cells]
    return Table(name=name, title=title, headers=headers, rows=rows, corner="file")


def _number(value: float, style: str, unknown: str = "unknown") -> Cell:
    return unknown if math.isnan(value) else Figure(value=float(value), style=style)


def _draw_sheet(faces: MeasuredFaces, indices: Sequence[int]) -> str:
    """A contact sheet as a data: URI; rows are labelled with a face's number and age."""
    targets = shown_targets(faces.targets, MAX_COLUMNS)
    aged = {target: _thumbnails(faces, target) for target in targets}
    rows = [
        [_decode(faces.sources["thumbnail"][index]), *(aged[target].get(index, _NO_FACE) for target in targets)]
        for index in indices
    ]
    labels = [f"no. {index + 1}{_age_label(faces, index)}" for index in indices]
    sheet = draw_sheet(rows, ["photo", *(f"{target:g}" for target in targets)], labels, cell_px=_CELL_PX)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(sheet, _QUALITY)).decode()


def _thumbnails(faces: MeasuredFaces, target: float) -> dict[int, Pixels]:
    """Index of a face -> its picture at a target."""
    aged = faces.aged_rows[target]
    return {index: _decode(own) for index, own in zip(faces.source_indices(aged), aged["thumbnail"], strict=True)}


def _decode(thumbnail: bytes) -> Pixels:
    return decode(thumbnail) if thumbnail else _NO_FACE


def _age_label(faces: MeasuredFaces, index: int) -> str:
    true, read = faces.sources["true_years"][index], faces.sources["years"][index]
    return f", age {true:.0f}" if not math.isnan(true) else f", reads {read:.0f}" if not math.isnan(read) else ""


def _command(run: EvaluationRun, faces: MeasuredFaces) -> str:
    targets = ",".join(f"{target:g}" for target in faces.targets)
    if not run.weights_hash:
        return f"reage evaluate --engine {run.engine} --pairs BEFORE AFTER --target {targets}"
    return f"reage evaluate --engine {run.engine} --faces FOLDER --targets {targets}"
