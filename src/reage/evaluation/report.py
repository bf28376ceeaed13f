"""Verdicts as tables and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reage.evaluation.run import OLDER, TARGETS, Verdict
from reage.images import Image, draw_sheet, replace_file, save_image
from reage.types import Pixels

_SHEET_TARGETS = (20.0, 30.0, 40.0, 60.0, 70.0, 75.0, 80.0)
_NUM_WORST = 5


def to_markdown(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each figure, one column for each group, 95 % intervals by person in brackets."""
    groups = list(summary)
    lines = ["| | " + " | ".join(groups) + " |", "|---" * (len(groups) + 1) + "|"]
    for figure in summary["all"]:
        lines.append(
            f"| {figure.replace('_', ' ')} | " + " | ".join(_cell(summary[group][figure]) for group in groups) + " |"
        )
    return "\n".join(lines) + "\n"


def describe(verdicts: Sequence[Verdict], summary: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole report in words: the table, the progression, and the faces to look at first."""
    return "\n".join([to_markdown(summary), _progression(verdicts), _worst(verdicts)])


def _progression(verdicts: Sequence[Verdict]) -> str:
    columns = ["source", *(f"{target:g}" for target in TARGETS)]
    years = [np.mean([v.source_years for v in verdicts])]
    years += [np.mean([v.readings[target] for v in verdicts]) for target in TARGETS]
    distances = [0.0, *(np.median([v.distances[target] for v in verdicts]) for target in TARGETS)]
    lines = [["target", *columns], ["---"] * (len(columns) + 1)]
    lines += [["mean reading, years", *(f"{value:.1f}" for value in years)]]
    lines += [["median distance", *(f"{value:.2f}" for value in distances)]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _worst(verdicts: Sequence[Verdict]) -> str:
    worst = [verdicts[row] for row in worst_of(verdicts)]
    return "".join(
        f"- {v.file}, {v.age_years:.0f}: reads {v.source_years:.1f}; at {OLDER:g} distance {v.distances[OLDER]:.2f}, "
        f"{v.readings[OLDER] - v.source_years:+.1f} years\n"
        for v in worst
    )


def _cell(figure: Any) -> str:
    if isinstance(figure, Mapping) and "interval" in figure:
        low, high = figure["interval"]
        return f"{figure['value']:.2f} [{low:.2f}, {high:.2f}]"
    if isinstance(figure, Mapping):
        return f"{100 * figure['value']:.3f} % (most {100 * figure['most']:.2f} %, N={figure['num']})"
    if isinstance(figure, list):
        return f"{figure[0]:.0f} to {figure[1]:.0f}"
    return str(figure)


def worst_of(verdicts: Sequence[Verdict]) -> list[int]:
    """The faces that lost most of the person for the age they gained, worst first."""
    lost = [v.distances[OLDER] - 0.01 * (v.readings[OLDER] - v.source_years) for v in verdicts]
    return [int(row) for row in np.argsort(lost)[::-1][:_NUM_WORST]]


def write_report(
    folder: Path,
    engine: str,
    weights_hash: str,
    verdicts: Sequence[Verdict],
    summary: Mapping[str, Any],
    sheets: Mapping[str, Pixels],
) -> None:
    """Writes report.json, report.md and one PNG for each sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    story = {"engine": engine, "weights_hash": weights_hash, "summary": summary, "faces": [asdict(v) for v in verdicts]}
    for name, text in (
        ("report.json", json.dumps(story, indent=1, default=float)),
        ("report.md", describe(verdicts, summary)),
    ):
        with replace_file(folder / name) as unfinished:
            Path(unfinished).write_text(text)
    for name, pixels in sheets.items():
        save_image(Image(pixels=pixels), folder / f"{name}.png")


def draw_faces_sheet(
    verdicts: Sequence[Verdict], pictures: Sequence[Mapping[float, Pixels]], sources: Sequence[Pixels]
) -> Pixels:
    """Source and aged faces, one row for each portrait."""
    rows = [
        [source, *(aged[target] for target in _SHEET_TARGETS)] for source, aged in zip(sources, pictures, strict=True)
    ]
    names = [f"{Path(v.file).stem} {v.age_years:.0f}" for v in verdicts]
    return draw_sheet(rows, ["source", *(f"{target:g}" for target in _SHEET_TARGETS)], names, cell_px=192)
