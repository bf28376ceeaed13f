"""A run as files: rows for programs, tables as JSON and Markdown, and a page for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import reage
from reage.evaluation.reference import Reference
from reage.evaluation.report.page import make_page
from reage.evaluation.report.tables import Table
from reage.evaluation.run import Run
from reage.files import replace_file


def describe(run: Run, tables: Sequence[Table]) -> str:
    """The whole report in words."""
    people = len(set(run.rows["person"].tolist()))
    photos = len(run.rows.of_kind("source"))
    missed = [f"No face was found in {', '.join(run.missed)}.", ""] if run.missed else []
    head = [f"# {run.engine} {run.weights_hash}".rstrip(), "", f"{photos} photos of {people} people.", "", *missed]
    return "\n".join([*head, *(table.to_markdown() for table in tables)])


def to_json(run: Run, tables: Sequence[Table], reference: Reference) -> dict[str, Any]:
    """The whole report as plain values; null where a number is not resolvable."""
    return {
        "reage": reage.__version__,
        "engine": run.engine,
        "weights_hash": run.weights_hash,
        "judges": run.judges,
        "num_photos": len(run.rows.of_kind("source")),
        "num_people": len(set(run.rows["person"].tolist())),
        "no_face_found": run.missed,
        "tables": {table.name: table.to_json() for table in tables},
        "reference": reference.to_json(),
    }


def write_report(folder: Path, run: Run, tables: Sequence[Table], reference: Reference) -> None:
    """Writes report.json, report.md and report.html; the rows are there already."""
    story = json.dumps(to_json(run, tables, reference), indent=1, allow_nan=False)
    for name, text in (
        ("report.json", story),
        ("report.md", describe(run, tables)),
        ("report.html", make_page(run, tables, reference)),
    ):
        with replace_file(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
