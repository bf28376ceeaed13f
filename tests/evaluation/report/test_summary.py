"""The tables that are read first, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.summary import age_gap_scores, matches, nearest, summary_table, target_table
from reage.evaluation.report.tables import UNKNOWN, Figure, Table

GAINS = [{30.0: -10.0 - i, 60.0: 10.0, 75.0: 20.0 + i} for i in range(6)]
DISTANCES = [{30.0: 0.1 * i + 0.05, 60.0: 0.2, 75.0: 0.3} for i in range(6)]


@pytest.fixture
def faces(make_rows: Callable) -> MeasuredFaces:
    return MeasuredFaces(make_rows(GAINS, DISTANCES))


def cell(table: Table, row: str, header: str) -> Figure:
    found = next(cells for name, cells in table.rows.items() if name.startswith(row))
    place = next(i for i, name in enumerate(table.headers) if name.startswith(header))
    value = found[place]
    assert isinstance(value, Figure), value
    return value


def test_summary_is_worked_out_by_hand(faces: MeasuredFaces, reference: Reference) -> None:
    table = summary_table(faces, reference)
    assert table.headers[:2] == ["all (N=6)", "colour, 35 to 60 (N=6)"]
    assert cell(table, "years gained at 75", "all").value == pytest.approx(22.5)
    assert cell(table, "years gained at 30", "all").value == pytest.approx(-12.5)
    assert cell(table, "identity distance at 30", "all").value == pytest.approx(0.3)
    # 0.05 to 0.45 lie within the threshold of 0.5, 0.55 beyond it
    assert cell(table, "still the same person at 30", "all").value == pytest.approx(5 / 6)
    assert cell(table, "age error, all targets", "all").value == pytest.approx(
        np.mean([[abs(2 - i), 8, abs(i - 13)] for i in range(6)])
    )
    # the bias at 30 is not known, so only 60 and 75 count, and the judge reads 1 too much there
    assert cell(table, "age error less the judge's own bias", "all").value == pytest.approx(
        np.mean([[9, abs(i - 14)] for i in range(6)])
    )
    assert cell(table, "faces that rise at every step", "all").value == 1
    assert cell(table, "rank correlation of reading and target (Spearman)", "all").value == pytest.approx(1)
    assert str(cell(table, "background PSNR", "all")) == "no change"


def test_groups_too_small_are_not_resolvable(faces: MeasuredFaces, reference: Reference) -> None:
    table = summary_table(faces, reference)
    assert str(cell(table, "years gained at 75", "women")) == UNKNOWN
    assert cell(table, "years gained at 75", "women").num == 3
    assert cell(table, "years gained at 75", "women").to_json()["value"] is None


def test_every_target_has_its_column(faces: MeasuredFaces, reference: Reference) -> None:
    table = target_table(faces, reference)
    assert list(table.headers) == ["30", "60", "75"]
    assert cell(table, "mean reading (EAM)", "75").value == pytest.approx(64.5)
    assert cell(table, "what real faces of that age read", "75").value == pytest.approx(76)
    assert not cell(table, "what real faces of that age read", "30").known
    assert cell(table, "difference", "60").value == pytest.approx(9)
    assert cell(table, "age error, years", "30").value == pytest.approx(np.mean([2, 1, 0, 1, 2, 3]))
    assert cell(table, "within 5 years", "75").value == 0
    assert cell(table, "mean reading of the second", "60").value == pytest.approx(53)
    assert cell(table, "not recognised (FNMR at FMR 0.10%)", "30").value == pytest.approx(1 / 6)
    assert not cell(table, "not recognised (FNMR at FMR 0.01%)", "30").known
    # 75 is 35 years from 40, where the threshold is 0.56; 30 is ten years away: 0.52
    assert cell(table, "recognised, threshold by age gap", "30").value == pytest.approx(5 / 6)
    assert cell(table, "score between strangers", "75").value == pytest.approx(1)
    assert "seconds" not in table.rows


def test_thresholds_follow_the_age_gap(reference: Reference) -> None:
    found = age_gap_scores(np.array([0.0, 9.9, 10.0, 39.9, 40.0, 200.0]), reference)
    np.testing.assert_array_equal(found, [-0.5, -0.5, -0.52, -0.56, np.nan, np.nan])


def test_a_face_that_was_not_found_matches_nobody() -> None:
    np.testing.assert_array_equal(matches(np.array([-0.4, -0.5, -0.6, np.nan]), -0.5), [1, 1, 0, 0])
    assert np.isnan(matches(np.array([-0.4]), math.nan)).all()


def test_summary_takes_the_targets_there_are(make_rows: Callable, reference: Reference) -> None:
    one = MeasuredFaces(make_rows([{65.0: 10.0}] * 6, [{65.0: 0.2}] * 6))
    table = summary_table(one, reference)
    assert [name for name in table.rows if name.startswith("years gained")] == ["years gained at 65"]
    assert not any("rise" in name for name in table.rows)
    assert nearest([20, 65], 75) == 65
