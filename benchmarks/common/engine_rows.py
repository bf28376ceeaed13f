"""Rows of the ablation tables: an engine's weights, evaluated as `reage evaluate` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from reage.evaluation.reference import load_reference
from reage.evaluation.report.identity_realism import realism_table
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.summary import summary_table
from reage.evaluation.report.tables import Figure
from reage.evaluation.report.zones import zone_request_table
from reage.evaluation.run import EvaluationConfig, run_evaluation

TARGETS = (30.0, 70.0, 75.0)
COLUMNS = (
    "years at 75",
    "identity at 75",
    "years at 30",
    "identity at 30",
    "zone slope",
    "right direction",
    "backdrop",
    "KID x 1000",
)


def judge(engine: str, weights: Path, shards: Path, folder: Path, people: int, zone_people: int) -> list[str]:
    """The cells of `COLUMNS`.

    Args:
        engine: its name.
        weights: file for it.
        shards: of portraits, of which held-out ones are used.
        folder: for what is measured; made here.
        people: number of portraits, evenly spaced over all.
        zone_people: how many of them get zone requests.
    """
    config = EvaluationConfig(
        engine=engine,
        faces=shards,
        weights=weights,
        targets=TARGETS,
        zone_scores=(0.0, 1.0),
        num_subjects=people,
        zone_subjects=zone_people,
    )
    faces = MeasuredFaces(run_evaluation(config, folder, workers=torch.get_num_threads()).rows)
    reference = load_reference()
    summary = summary_table(faces, reference).rows
    cells = [
        str(summary[name][1])
        for name in (
            "years gained at 75",
            "identity distance at 75, median",
            "years gained at 30",
            "identity distance at 30, median",
        )
    ]
    zones, sets = zone_request_table(faces, reference), realism_table(faces)
    assert zones
    assert sets
    slopes, right = (
        np.mean([cell.value for row in zones.rows.values() if isinstance(cell := row[column], Figure)])
        for column in (1, 4)
    )
    backdrop = summary["backdrop changed visibly, worst target"][1]
    moved = next(iter(sets.rows.values()))[0]
    return [*cells, f"{slopes:.2f}", f"{right:.0%}", str(backdrop), str(moved)]
