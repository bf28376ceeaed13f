"""Rows as arrays over sources and targets, and figures with their counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.evaluation.report.measured_faces import MeasuredFaces, figure, median

GAINS = [{30.0: -10.0 - i, 60.0: 10.0, 75.0: 20.0 + i} for i in range(6)]
DISTANCES = [{30.0: 0.1 * i + 0.05, 60.0: 0.2, 75.0: 0.3} for i in range(6)]


@pytest.fixture
def faces(make_rows: Callable) -> MeasuredFaces:
    return MeasuredFaces(make_rows(GAINS, DISTANCES))


def test_columns_are_arrays_over_sources_and_targets(faces: MeasuredFaces) -> None:
    assert faces.targets == [30, 60, 75]
    np.testing.assert_allclose(faces.aged("years"), [[32 - i, 52, 62 + i] for i in range(6)])
    np.testing.assert_allclose(faces.distances, [[0.1 * i + 0.05, 0.2, 0.3] for i in range(6)], atol=1e-6)
    np.testing.assert_allclose(faces.cosines(), 1 - faces.distances**2 / 2, atol=1e-6)


def test_a_figure_counts_people_not_pictures() -> None:
    values = np.arange(8.0)
    assert not figure(values, np.repeat(["a", "b", "c", "d"], 2)).known
    found = figure(values, np.array(list("abcdefgh")), median)
    assert (found.value, found.num) == (3.5, 8)
    assert found.low < 3.5 < found.high
    assert figure(np.append(values, np.nan), np.array(list("abcdefghi"))).num == 8
