"""Rows keep what was measured, on disk as in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import ReageError
from reage.evaluation.rows import SCHEMA, Rows, read_rows, to_table, write_rows
from reage.zones import ZONES


@pytest.fixture
def rows() -> Rows:
    return Rows(
        to_table(
            [
                {"file": "a.jpg", "kind": "source", "years": 40.0, "identity": [1.0, 2.0], "zones": [0.5] * 12},
                {"file": "a.jpg", "kind": "aged", "target": 70.0, "years": 65.0, "identity": [3.0, 4.0]},
                {"file": "a.jpg", "kind": "aged", "target": 30.0},
                {"file": "a.jpg", "kind": "zone", "zone": "glabella", "score": 1.0},
            ]
        )
    )


def test_columns_are_arrays_and_missing_numbers_nan(rows: Rows) -> None:
    assert len(rows) == 4
    np.testing.assert_array_equal(rows["years"], np.float32([40, 65, np.nan, np.nan]))
    np.testing.assert_array_equal(rows["identity"], [[1, 2], [3, 4], [np.nan, np.nan], [np.nan, np.nan]])
    assert rows["second_identity"].shape == (4, 0)
    assert rows["zones"].shape == (4, len(ZONES))
    assert rows["zone"].tolist() == ["", "", "", "glabella"]
    assert not rows["grey"].any()


def test_rows_are_picked_by_kind_and_target(rows: Rows) -> None:
    assert rows.targets == [30, 70]
    assert rows.at(70)["years"].tolist() == [65]
    assert len(rows.of_kind("source")) == len(rows.of_kind("zone")) == 1
    assert rows.pick(np.array([1, 1, 0]))["years"].tolist() == [65, 65, 40]


def test_rows_are_read_as_they_were_written(rows: Rows, tmp_path: Path) -> None:
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    write_rows(rows.table, paths[0], "key")
    write_rows(to_table([]), paths[1], "key")
    back = read_rows(*paths)
    assert back.table.schema.names == SCHEMA.names
    assert str(back.table.to_pylist()) == str(rows.table.to_pylist())
    assert len(back) == 4


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no rows")
    with pytest.raises(ReageError, match="holds no rows"):
        read_rows(tmp_path / "rows.parquet")
