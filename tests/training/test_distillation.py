"""The teacher's pictures and measurements that students learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.engines import load_engine
from reage.faces.aging_map import make_aging_map
from reage.training.distillation import (
    AGES,
    DistillationDataset,
    Teacher,
    make_distillation_dataset,
    make_map_weights,
)
from reage.training.runner import load_arrays, save_arrays
from reage.types import Face
from reage.zones import ZONES


@pytest.fixture(scope="module")
def distillation(make_portrait: Callable, to_columns: Callable, face: Face) -> DistillationDataset:
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_distillation_dataset(portraits, Teacher.load(load_engine("prototype")), 64)


def test_every_age_is_shown_and_survives_a_file(distillation: DistillationDataset, tmp_path: Path) -> None:
    assert distillation.crops.shape == (2, 64, 64, 3)
    assert distillation.aged.shape == (2, len(AGES), 64, 64, 3)
    changes = np.abs(distillation.aged[0].astype(int) - distillation.crops[0]).mean((1, 2, 3))
    assert changes[-1] > changes[2]
    save_arrays(tmp_path / "distillation.npz", distillation)
    back = load_arrays(tmp_path / "distillation.npz", DistillationDataset)
    np.testing.assert_array_equal(back.aged, distillation.aged)
    np.testing.assert_array_equal(back.zone_scores, distillation.zone_scores)


def test_map_weights_make_any_map(distillation: DistillationDataset) -> None:
    points, hair = distillation.landmarks[0], distillation.hair[0]
    weights = make_map_weights(points, hair)
    scores = np.linspace(0, 1, len(ZONES))
    values = 0.1 + 0.9 * np.append(scores, (50 - 18) / (80 - 18))
    wanted = make_aging_map(
        64, points * 64 - 0.5, 50.0, dict(zip(ZONES, scores.tolist(), strict=True)), hair.astype(np.float32)
    )
    np.testing.assert_allclose(np.tensordot(values, weights, 1), wanted, atol=1e-4)
