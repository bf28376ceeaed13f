"""A whole evaluation: an engine that changes nothing is judged so, exactly; one that ages is seen to; runs go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, write_shards
from reage.data.split import split_of
from reage.engines import load_engine
from reage.errors import ReageError, WeightsError
from reage.evaluation.generators import EngineGenerator
from reage.evaluation.judges import Judges
from reage.evaluation.metrics.inception import Inception
from reage.evaluation.reference import load_reference
from reage.evaluation.report.all_tables import summarise
from reage.evaluation.report.write import write_report
from reage.evaluation.rows import Rows, to_table
from reage.evaluation.run import Bench, EvaluationConfig, Progress, run
from reage.evaluation.subjects import PortraitSubjects, Subject
from reage.faces.segmentation import FaceParser
from reage.images import Image, geometry, save_image
from reage.types import Face, Pixels, Plane
from reage.zones import ZONES

HELD_OUT = [name for name in (f"P{i}" for i in range(80)) if split_of(name) == "val"]


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load()


@pytest.fixture(scope="module")
def before_backdrop(make_portrait: Callable, to_columns: Callable, before_blue: tuple[Pixels, Plane]) -> Subject:
    portraits = to_columns([make_portrait(before_blue[0], person=HELD_OUT[0])])
    return PortraitSubjects(portraits, FaceParser.load())[0]


def judged(engine: str, subject: Subject, judges: Judges, **options: object) -> Rows:
    maker = EngineGenerator(
        engine=load_engine(engine), reader=judges.reader, scorer=judges.zone_reader, targets=(30.0, 75.0), **options
    )  # type: ignore[arg-type]
    return Rows(to_table(judges.judge(subject, maker.make(subject, 0))))


def test_identity_changes_exactly_nothing(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("identity", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    assert len(rows) == 1 + 2 + 2 * len(ZONES)
    source, aged = rows.of_kind("source"), rows.of_kind("aged")
    for name in ("years", "reader_years", "identity", "features"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in ("zones", "reader_zones"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in ("background_l1", "leak", "changed", "backdrop_changed"):
        np.testing.assert_array_equal(aged[name], [0, 0])
    np.testing.assert_array_equal(aged["psnr"], [np.inf, np.inf])
    np.testing.assert_array_equal(aged["ssim"], [1, 1])
    zoned = rows.of_kind("zone")
    np.testing.assert_array_equal(zoned["zones"], np.repeat(source["zones"], len(zoned), 0))
    assert zoned["leak"].tolist() == [0] * len(zoned)


def test_ageing_is_seen_by_the_judges(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("prototype", before_backdrop, judges)
    source, (younger, older) = rows.of_kind("source"), (rows.at(30), rows.at(75))
    assert older["years"][0] > source["years"][0] + 5
    assert older["reader_years"][0] > younger["reader_years"][0] + 8
    assert 0.02 < np.linalg.norm(older["identity"] - source["identity"]) < 0.6
    assert 0 < older["backdrop_changed"][0] < 0.02
    assert older["changed"][0] > 0.01
    assert older["seconds"][0] > 0
    assert np.nanmean(older["zones"]) > np.nanmean(younger["zones"])


def test_a_zone_is_moved_inside_itself(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("prototype", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    moved = rows.pick(rows["zone"] == "nasolabial.left")
    assert moved["zones"][1, ZONES.index("nasolabial.left")] > moved["zones"][0, ZONES.index("nasolabial.left")]
    assert moved["leak"].max() < 0.02
    assert np.isnan(moved["years"]).all()


# Runs


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
    """Writes down what it is told; gives up after so many steps."""

    def __init__(self, stop_after: int = 99) -> None:
        self.begun: tuple[int, int] | None = None
        self.steps, self.stop_after = 0, stop_after

    def begin(self, done: int, total: int) -> None:
        self.begun = (done, total)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.stop_after:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on(shards: Path, tmp_path: Path) -> None:
    order = EvaluationConfig(engine="identity", faces=shards, targets=(70.0,), zone_subjects=0)
    with pytest.raises(KeyboardInterrupt):
        run(order, tmp_path, progress=Steps(stop_after=2))
    assert not (tmp_path / "rows.parquet").exists()
    again = Steps()
    done = run(order, tmp_path, progress=again)
    assert (again.begun, again.steps) == ((2, 3), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    assert len(done.rows) == 6
    assert set(done.rows["person"].tolist()) == set(HELD_OUT[:3]), "training people are not judged"


def test_two_processes_say_the_same_as_one(shards: Path, tmp_path: Path) -> None:
    order = EvaluationConfig(
        engine="prototype", faces=shards, targets=(70.0,), num_subjects=2, zone_subjects=1, zone_scores=(1.0,)
    )
    one, two = (run(order, tmp_path / str(workers), workers=workers).rows for workers in (1, 2))
    assert one["file"].tolist() == two["file"].tolist()
    assert len(set(one["file"].tolist())) == 2
    assert (one["kind"] == "zone").sum() == len(ZONES)
    np.testing.assert_allclose(one["years"], two["years"], atol=0.01)
    np.testing.assert_array_equal(one["changed"], two["changed"])


def test_another_order_is_another_run(shards: Path) -> None:
    orders = [
        EvaluationConfig(engine="identity", faces=shards, targets=targets) for targets in ((70.0,), (60.0,), (70.0,))
    ]
    keys = [Bench(order).key(order) for order in orders]
    assert keys[0] == keys[2] != keys[1]


def test_pictures_of_another_program_are_judged(photo: Pixels, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    darker = (photo * 0.8).astype(np.uint8)
    made = {"same-size": darker, "smaller": geometry.resize(photo, 300, 300), "no-face": np.zeros_like(photo)}
    for name, pixels in made.items():
        save_image(Image(pixels=photo), before / f"{name}.png")
        save_image(Image(pixels=pixels), after / f"{name}.png")
    done = run(EvaluationConfig(engine="rival", faces=before, after=after, targets=(65.0,)), tmp_path)
    assert (done.engine, len(done.rows)) == ("rival", 6)
    rows = {row["file"]: row for row in done.rows.at(65).table.to_pylist()}
    distance = {
        name: np.linalg.norm(np.subtract(rows[name]["identity"], done.rows.of_kind("source")["identity"][0]))
        for name in ("same-size.png", "smaller.png")
    }
    assert max(distance.values()) < 0.3
    assert rows["same-size.png"]["changed"] > 0.01
    assert np.isnan(rows["smaller.png"]["changed"])
    assert np.isnan(rows["no-face.png"]["years"])
    assert rows["no-face.png"]["identity"] == []
    reference = load_reference()
    tables = summarise(done.rows, reference)
    write_report(tmp_path, done, tables, reference)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "report.html",
        "report.json",
        "report.md",
        "rows.parquet",
    }
    assert "NaN" not in (tmp_path / "report.json").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["engine"] == "rival"


def test_nobody_to_judge_is_said(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    with pytest.raises(ReageError, match="no photos and no portraits"):
        run(EvaluationConfig(engine="identity", faces=tmp_path / "faces"), tmp_path)
    save_image(Image(pixels=np.full((64, 64, 3), 90, np.uint8)), tmp_path / "faces" / "wall.png")
    with pytest.raises(ReageError, match="No face was found in any of the 1 photos"):
        run(EvaluationConfig(engine="identity", faces=tmp_path / "faces"), tmp_path)


# Inception


class Means(torch.nn.Module):
    """Mean colour, to stand for a large net."""

    def forward(self, pixels: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        means = pixels.float().mean((2, 3))
        return means if return_features else means.softmax(1)


def test_inception_comes_as_torchscript(tmp_path: Path) -> None:
    torch.jit.script(Means()).save(str(tmp_path / "means.pt"))
    inception = Inception.load(tmp_path / "means.pt")
    crops = np.zeros((2, 40, 40, 3), np.uint8)
    crops[1, ..., 2] = 50
    assert inception.name == "means"
    np.testing.assert_allclose(inception.features(crops), [[0, 0, 0], [0, 0, 50]])


def test_other_files_are_no_inception(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        Inception.load(tmp_path / "no.pt")
    (tmp_path / "no.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no TorchScript file"):
        Inception.load(tmp_path / "no.pt")
