"""Identity beside real people, a second recognizer, sets of faces, and whether both estimators agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.identity_realism import (
    identity_table,
    judge_agreement_table,
    realism_table,
    second_recognizer_table,
)
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.tables import UNKNOWN
from reage.evaluation.rows import Rows, to_table


def test_aged_faces_stand_between_real_people(make_rows: Callable, reference: Reference) -> None:
    table = identity_table(MeasuredFaces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.4}] * 6)), reference)
    lines = {name: [str(cell) for cell in cells] for name, cells in table.rows.items()}
    assert lines["one person, 10 real years apart"] == ["0.30", "20", "0.20", "0.30", "0.40"]
    assert lines["source and picture at 75"] == ["0.40", "6", "0.40", "0.40", "0.40"]
    assert lines["threshold at FMR 0.01%"][0] == UNKNOWN
    assert "at FMR 0.10% 5.0% [0.0%, 10.0%] of the real pairs do not match" in table.note


def test_both_estimators_agree_or_not(make_rows: Callable, reference: Reference) -> None:
    gains = [{30.0: -10.0 + i, 75.0: 20.0 + i} for i in range(6)]
    table = judge_agreement_table(MeasuredFaces(make_rows(gains, [{30.0: 0.2, 75.0: 0.3}] * 6)), reference)
    apart = {name: cells[0] for name, cells in table.rows.items()}
    signed = {name: cells[1] for name, cells in table.rows.items()}
    assert apart["the photos before"].value == pytest.approx(1)
    assert signed["the photos before"].value == pytest.approx(-1)
    assert signed["pictures at 75"].value == pytest.approx(1)
    assert table.rows["all pictures"][2].value == pytest.approx(1)


def test_second_recognizer_needs_real_people_for_its_thresholds(make_rows: Callable, reference: Reference) -> None:
    faces = MeasuredFaces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.4}] * 6))
    assert second_recognizer_table(faces, None) is None
    rows = faces.rows.table.to_pylist()
    plugged = MeasuredFaces(
        Rows(
            to_table(
                [{**row, "second_identity": [1.0, 0.0] if row["kind"] == "source" else [0.8, 0.6]} for row in rows]
            )
        )
    )
    alone = second_recognizer_table(plugged, None)
    assert alone is not None
    assert alone.rows["cosine (CSIM)"][0].value == pytest.approx(0.8)
    assert UNKNOWN in alone.note
    assert not any("FNMR" in name for name in alone.rows)
    lines = replace(reference.identity, thresholds=(replace(reference.identity.thresholds[0], score=0.9),))
    known = second_recognizer_table(plugged, lines)
    assert known is not None
    assert known.rows["not recognised (FNMR at FMR 0.10%)"][0].value == 1


def test_realism_compares_sets_of_one_age(make_rows: Callable) -> None:
    random = np.random.default_rng(0)
    known = [{"true_years": 40.0 if i < 60 else 70.0} for i in range(120)]
    rows = make_rows([{70.0: 20.0}] * 120, [{70.0: 0.3}] * 120, known=known).table.to_pylist()
    for row in rows:
        old = row["true_years"] > 50 or row["kind"] == "aged"
        row["features"] = (random.normal(0, 1, 4) + 3 * old).tolist()
    table = realism_table(MeasuredFaces(Rows(to_table(rows))))
    assert table is not None
    found = {name: float(str(cells[0]).split()[0]) for name, cells in table.rows.items()}
    moved, before, real = found.values()
    assert before > 1000
    assert abs(moved) < 0.1 * before
    assert abs(real) < 0.1 * before
    assert all("N=" in str(cells[1]) for cells in table.rows.values())
    assert list(table.headers) == ["face-KID x 1000", "face-FID"]
    for row in rows:
        row["fine_features"] = row["features"]
    both = realism_table(MeasuredFaces(Rows(to_table(rows))))
    assert both is not None
    assert list(both.headers[2:]) == ["face-KID x 1000 at 512 px", "face-FID at 512 px"]
    assert all(cells[:2] == cells[2:] for cells in both.rows.values())


def test_realism_needs_enough_faces_of_known_age(make_rows: Callable) -> None:
    few = realism_table(MeasuredFaces(make_rows([{70.0: 20.0}] * 6, [{70.0: 0.3}] * 6)))
    assert few is not None
    assert {str(cell) for cells in few.rows.values() for cell in cells} == {UNKNOWN}
    unknown = make_rows([{70.0: 20.0}] * 6, [{70.0: 0.3}] * 6, known=[{"true_years": np.nan}] * 6)
    assert realism_table(MeasuredFaces(unknown)) is None
