"""A whole evaluation: one that is stopped is resumed, and every process measures the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.data.shards import Portrait, write_shards
from reage.data.split import split_of
from reage.errors import ReageError
from reage.evaluation.reference import load_reference
from reage.evaluation.report.write import make_tables, write_report
from reage.evaluation.run import EvaluationConfig, Evaluator, Progress, run_evaluation
from reage.images import Image, geometry, save_image
from reage.types import Face, Pixels
from reage.zones import ZONES

HELD_OUT = [name for name in (f"P{i}" for i in range(80)) if split_of(name) == "val"]


@pytest.fixture(scope="module")
def shards(make_portrait: Callable, face: Face, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three held-out people and one that recipes learn from."""
    folder = tmp_path_factory.mktemp("shards")
    training = next(name for name in ("P0", "P1", "P2", "P3", "P4", "P5") if split_of(name) == "train")
    people: list[Portrait] = [
        make_portrait(face.crop, person=name, age_years=40.0 + i) for i, name in enumerate([*HELD_OUT[:3], training])
    ]
    write_shards(people, folder)
    return folder


class Steps(Progress):
    """Counts the steps; raises KeyboardInterrupt after so many."""

    def __init__(self, stop_after: int = 99) -> None:
        self.begun: tuple[int, int] | None = None
        self.steps, self.stop_after = 0, stop_after

    def begin(self, done: int, total: int) -> None:
        self.begun = (done, total)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.stop_after:
            raise KeyboardInterrupt


def test_a_stopped_run_is_resumed(shards: Path, tmp_path: Path) -> None:
    config = EvaluationConfig(engine="none", faces=shards, targets=(70.0,), zone_subjects=0)
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config, tmp_path, progress=Steps(stop_after=2))
    assert not (tmp_path / "rows.parquet").exists()
    again = Steps()
    done = run_evaluation(config, tmp_path, progress=again)
    assert (again.begun, again.steps) == ((2, 3), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    assert len(done.rows) == 6
    assert set(done.rows["person"].tolist()) == set(HELD_OUT[:3]), "training people are not evaluated"


def test_two_processes_measure_the_same_as_one(shards: Path, tmp_path: Path) -> None:
    config = EvaluationConfig(
        engine="agetransgan", faces=shards, targets=(70.0,), num_subjects=2, zone_subjects=1, zone_scores=(1.0,)
    )
    one, two = (run_evaluation(config, tmp_path / str(workers), workers=workers).rows for workers in (1, 2))
    assert one["file"].tolist() == two["file"].tolist()
    assert len(set(one["file"].tolist())) == 2
    assert (one["kind"] == "zone").sum() == len(ZONES)
    np.testing.assert_allclose(one["years"], two["years"], atol=0.01)
    np.testing.assert_allclose(one["l1"], two["l1"], rtol=1e-4)


def test_another_config_is_another_run(shards: Path) -> None:
    configs = [
        EvaluationConfig(engine="none", faces=shards, targets=targets) for targets in ((70.0,), (60.0,), (70.0,))
    ]
    keys = [Evaluator(config).key for config in configs]
    assert keys[0] == keys[2] != keys[1]


def test_pictures_of_another_program_are_evaluated(photo: Pixels, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    darker = (photo * 0.8).astype(np.uint8)
    made = {"same-size": darker, "smaller": geometry.resize(photo, 300, 300), "no-face": np.zeros_like(photo)}
    for name, pixels in made.items():
        save_image(Image(pixels=photo), before / f"{name}.png")
        save_image(Image(pixels=pixels), after / f"{name}.png")
    done = run_evaluation(EvaluationConfig(engine="rival", faces=before, after=after, targets=(65.0,)), tmp_path)
    assert (done.engine, len(done.rows)) == ("rival", 6)
    rows = {row["file"]: row for row in done.rows.at(65).table.to_pylist()}
    distance = {
        name: np.linalg.norm(np.subtract(rows[name]["identity"], done.rows.of_kind("source")["identity"][0]))
        for name in ("same-size.png", "smaller.png")
    }
    assert max(distance.values()) < 0.3
    assert rows["same-size.png"]["l1"] > 0.01
    assert np.isnan(rows["smaller.png"]["l1"])
    assert np.isnan(rows["no-face.png"]["years"])
    assert rows["no-face.png"]["identity"] == []
    reference = load_reference()
    tables = make_tables(done.rows, reference)
    write_report(tmp_path, done, tables, reference)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "report.html",
        "report.json",
        "report.md",
        "rows.parquet",
    }
    assert "NaN" not in (tmp_path / "report.json").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["engine"] == "rival"


def test_no_subjects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    with pytest.raises(ReageError, match="no photos and no portraits"):
        run_evaluation(EvaluationConfig(engine="none", faces=tmp_path / "faces"), tmp_path)
    save_image(Image(pixels=np.full((64, 64, 3), 90, np.uint8)), tmp_path / "faces" / "wall.png")
    with pytest.raises(ReageError, match="No face was found in any of the 1 photos"):
        run_evaluation(EvaluationConfig(engine="none", faces=tmp_path / "faces"), tmp_path)
