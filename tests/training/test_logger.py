"""The log of a run: records are read back, a resumed run leaves each step once, and the curve can be drawn."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from torch import Generator, Tensor, nn
from typer.testing import CliRunner

from reage.cli import app
from reage.errors import ReageError
from reage.images import load_image
from reage.training.logger import CURVE, TrainingLogger, draw_curve, log_losses, read_curve
from reage.training.trainer import Trainer, TrainerConfig
from reage.types import Pixels


def write_log(folder: Path, steps: range, first_step: int | None = None) -> None:
    with TrainingLogger(folder, first_step) as logger:
        for step in steps:
            logger.log(step, {"reconstruction": 1 / step, "age": 0.5})


def in_tensorboard(folder: Path) -> dict[str, list[int]]:
    """Steps that TensorBoard would show, of numbers and pictures by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(folder)).Reload()
    names = shown.Tags()
    steps = {name: [one.step for one in shown.Scalars(name)] for name in names["scalars"]}
    return steps | {name: [one.step for one in shown.Images(name)] for name in names["images"]}


@pytest.fixture
def tensorboard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setitem(sys.modules, "tensorboard", None)
    return bool(request.param)


@pytest.mark.parametrize("tensorboard", [True, False], indirect=True)
def test_records_are_read_back(tensorboard: bool, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine"
    write_log(folder, range(1, 4))
    assert read_curve(folder) == {"step": [1, 2, 3], "reconstruction": [1, 1 / 2, 1 / 3], "age": [0.5] * 3}
    assert len(list(folder.iterdir())) == 1 + tensorboard


def test_tensorboard_shows_numbers_and_pictures(tmp_path: Path, photo: Pixels) -> None:
    with TrainingLogger(tmp_path) as logger:
        logger.log(10, {"loss": 0.5})
        logger.log_picture(10, "sheet", photo[:64, :64])
        assert in_tensorboard(tmp_path) == {"loss": [10], "sheet": [10]}  # before the run ends


@pytest.mark.parametrize("tensorboard", [True, False], indirect=True)
def test_a_picture_is_a_file_of_its_step(tensorboard: bool, tmp_path: Path, photo: Pixels) -> None:
    with TrainingLogger(tmp_path) as logger:
        logger.log_picture(200, "sheet", photo[:64, :48])
    shown = load_image(tmp_path / "sheet-200.jpg").pixels
    assert np.abs(shown.astype(int) - photo[:64, :48]).mean() < 3


def test_a_resumed_run_leaves_each_step_once(tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 8))
    write_log(tmp_path, range(5, 7), first_step=5)
    assert read_curve(tmp_path)["step"] == [1, 2, 3, 4, 5, 6]
    assert in_tensorboard(tmp_path)["age"] == [1, 2, 3, 4, 5, 6]


def test_a_new_run_deletes_the_old_records_and_an_opened_log_keeps_them(tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 4))
    write_log(tmp_path, range(4, 5))
    assert read_curve(tmp_path)["step"] == [1, 2, 3, 4]
    write_log(tmp_path, range(1, 2), first_step=1)
    assert read_curve(tmp_path)["step"] == [1]


def test_a_line_cut_short_by_a_stop_is_left_out(tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 4))
    curve = tmp_path / CURVE
    curve.write_bytes(curve.read_bytes()[:-9])
    assert read_curve(tmp_path)["step"] == [1, 2]
    write_log(tmp_path, range(3, 5))
    assert read_curve(tmp_path)["step"] == [1, 2, 3, 4]


def test_numbers_that_are_missing_or_none_are_nan(tmp_path: Path) -> None:
    with TrainingLogger(tmp_path) as logger:
        logger.log(1, {"a": 1.0})
        logger.log(2, {"a": math.nan, "b": np.float32(0.25)})
    found = read_curve(tmp_path)
    np.testing.assert_array_equal(found["a"], [1.0, math.nan])
    np.testing.assert_array_equal(found["b"], [math.nan, 0.25])
    draw_curve(tmp_path, tmp_path / "curve.svg")


@pytest.mark.parametrize(
    "line", ["{", "3", "[]", '{"loss": 1}', '{"step": 4, "loss": "low"}', '{"step": 4, "a": null}']
)
def test_a_damaged_curve_is_refused_by_its_line(line: str, tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 3))
    with (tmp_path / CURVE).open("a") as file:
        file.write(f"{line}\n")
    for look in (read_curve, TrainingLogger):
        with pytest.raises(ReageError, match=r"^Line 3 of the curve .* is damaged; .*\.$"):
            look(tmp_path)


def test_a_file_is_no_folder_for_a_log(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    for folder in (taken, taken / "within"):
        with pytest.raises(ReageError, match=r"cannot be kept in .*; give another folder\.$"):
            TrainingLogger(folder)


# Runs


def train(steps: int, folder: Path | None, checkpoint: Path, stop_after: int | None = None) -> None:
    net = nn.Linear(2, 1)

    def loss_fn(generator: Generator) -> Tensor:
        nonlocal stop_after
        if stop_after is not None:
            stop_after -= 1
            if stop_after < 0:
                raise KeyboardInterrupt
        return net.weight.square().sum()

    config = TrainerConfig(steps=steps, batch_size=1, bf16=False, checkpoint_seconds=0.0)
    trainer = Trainer(config, seed=0, checkpoint=checkpoint, callbacks=log_losses(folder))
    trainer.fit(net, loss_fn, [(net, 0.01)])


def test_every_tenth_loss_of_a_run_is_recorded_once_whatever_stops_it(tmp_path: Path) -> None:
    folder, checkpoint = tmp_path / "log", tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(45, folder, checkpoint, stop_after=25)
    assert read_curve(folder)["step"] == [10, 20]
    train(45, folder, checkpoint)
    found = read_curve(folder)
    assert list(found) == ["step", "loss"]
    assert found["step"] == [10, 20, 30, 40]
    train(20, folder, checkpoint)  # the same again, from the beginning
    assert read_curve(folder)["step"] == [10, 20]


def test_a_run_without_a_log_has_no_callback() -> None:
    assert log_losses(None) == []


# Drawings


def test_every_number_is_drawn_and_the_same_curve_gives_the_same_bytes(tmp_path: Path) -> None:
    with TrainingLogger(tmp_path) as logger:
        for step in range(1, 60):
            logger.log(step, dict.fromkeys(("reconstruction", "age", "aging_map", "adversarial"), step / 9))
    pictures = [tmp_path / "curve.svg", tmp_path / "again.svg", tmp_path / "curve.png"]
    for picture in pictures:
        draw_curve(tmp_path, picture)
    svg, again, _ = (picture.read_bytes() for picture in pictures)
    assert svg == again
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    for name in ("reconstruction", "age", "aging_map", "adversarial"):
        assert f"<!-- {name} -->".encode() in svg
    height, width, _ = load_image(pictures[-1]).pixels.shape
    assert width > height > 600  # four panels: three and one


def test_one_record_is_drawn(tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 2))
    draw_curve(tmp_path, tmp_path / "curve.png")
    assert load_image(tmp_path / "curve.png").pixels.std() > 0


# The commands


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["training", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_curve_command_writes_the_picture_it_names(tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 4))
    code, out, err = run("curve", tmp_path, "-o", tmp_path / "mine.svg")
    assert (code, out.replace("\n", "")) == (0, str(tmp_path / "mine.svg")), err
    assert (tmp_path / "mine.svg").is_file()


@pytest.mark.parametrize("case", ["missing", "empty", "no numbers"])
def test_curve_command_needs_a_curve(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if case != "missing":
        folder.mkdir()
    if case == "no numbers":
        (folder / CURVE).write_text(json.dumps({"step": 10}) + "\n")
    code, out, err = run("curve", folder, "-o", tmp_path / "curve.svg")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: There is no training curve in '{folder}'; give ")
    assert not (tmp_path / "curve.svg").exists()


@pytest.mark.parametrize(
    ("name", "reason"), [("curve.jpg", "ends in .svg or .png"), ("none/curve.svg", "could not be")]
)
def test_curve_command_refuses_what_it_cannot_write(name: str, reason: str, tmp_path: Path) -> None:
    write_log(tmp_path, range(1, 4))
    code, out, err = run("curve", tmp_path, "-o", tmp_path / name)
    assert (code, out) == (2, "")
    assert reason in err


def test_curve_without_matplotlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path, range(1, 4))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ReageError, match=r"pip install 'reage\[evaluate\]'"):
        draw_curve(tmp_path, tmp_path / "curve.svg")
