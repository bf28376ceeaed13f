"""A run as files: tables as JSON and Markdown for programs, and a page for readers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import reage
from reage.evaluation.reference import IdentityReference, Reference
from reage.evaluation.report.identity_realism import (
    identity_table,
    judge_agreement_table,
    realism_table,
    second_recognizer_table,
)
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.page import make_page
from reage.evaluation.report.skin import band_energy_table, skin_table, zone_energy_table
from reage.evaluation.report.summary import summary_table, target_table
from reage.evaluation.report.tables import Table
from reage.evaluation.report.zones import cross_talk_table, zone_request_table, zone_target_table
from reage.evaluation.rows import Rows
from reage.evaluation.run import EvaluationRun
from reage.files import replace_file


def make_tables(rows: Rows, reference: Reference, second_identity: IdentityReference | None = None) -> list[Table]:
    """All tables of a report, the summary first; those without contents are left out.

    Args:
        rows: of a run.
        reference: what the judges measure on real people.
        second_identity: the second recognizer's reference, if there is one.
    """
    faces = MeasuredFaces(rows)
    tables = [
        summary_table(faces, reference),
        target_table(faces, reference),
        identity_table(faces, reference),
        second_recognizer_table(faces, second_identity),
        skin_table(faces),
        zone_energy_table(faces),
        band_energy_table(faces),
        realism_table(faces),
        judge_agreement_table(faces, reference),
        zone_target_table(faces),
        zone_request_table(faces, reference),
        cross_talk_table(rows),
    ]
    return [table for table in tables if table]


def to_markdown(run: EvaluationRun, tables: Sequence[Table]) -> str:
    """The whole report as Markdown."""
    people = len(set(run.rows["person"].tolist()))
    photos = len(run.rows.of_kind("source"))
    missed = [f"No face was found in {', '.join(run.missed)}.", ""] if run.missed else []
    head = [f"# {run.engine} {run.weights_hash}".rstrip(), "", f"{photos} photos of {people} people.", "", *missed]
    return "\n".join([*head, *(table.to_markdown() for table in tables)])


def to_json(run: EvaluationRun, tables: Sequence[Table], reference: Reference) -> dict[str, Any]:
    """The whole report as plain values; None where a number is not resolvable."""
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


def write_report(folder: Path, run: EvaluationRun, tables: Sequence[Table], reference: Reference) -> None:
    """Writes report.json, report.md and report.html; the run has written its rows already."""
    for name, text in (
        ("report.json", json.dumps(to_json(run, tables, reference), indent=1, allow_nan=False)),
        ("report.md", to_markdown(run, tables)),
        ("report.html", make_page(run, tables, reference)),
    ):
        with replace_file(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
