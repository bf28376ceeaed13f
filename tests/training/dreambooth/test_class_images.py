"""Class images: who is chosen, what is written, and what is read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.data.shards import Portrait, Portraits, read_shards, write_shards
from reage.errors import ImageError
from reage.prompts import label_of, label_prompt
from reage.training.dreambooth.class_images import TABLE, choose_rows, read_class_images, write_class_images
from reage.types import Face

AGES = (25, 30, 40, 45, 50, 60, 65, 72, 75, 80)


@pytest.fixture(scope="module")
def shards(face: Face, make_portrait: Callable[..., Portrait], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    people = [make_portrait(face.crop, person=f"P{number}", age_years=age) for number, age in enumerate(AGES)]
    write_shards([replace(one, split="train") for one in people], folder)
    return folder


@pytest.fixture(scope="module")
def portraits(shards: Path) -> Portraits:
    return read_shards(shards)


def test_age_groups_are_as_equal_as_possible(portraits: Portraits) -> None:
    assert {label: len(rows) for label, rows in choose_rows(portraits, 8).items()} == {
        "youngadults": 2,
        "middleaged": 2,
        "elderly": 2,
        "old": 2,
    }
    assert sum(len(rows) for rows in choose_rows(portraits, 100).values()) == len(AGES)
    for label, rows in choose_rows(portraits, 9).items():
        assert all(label_of(AGES[row]) == label for row in rows)


def test_people_can_be_left_out(portraits: Portraits) -> None:
    rows = [row for group in choose_rows(portraits, 100, without={"P3", "P9"}).values() for row in group]
    assert sorted(rows) == [0, 1, 2, 4, 5, 6, 7, 8]


def test_a_set_is_read_as_it_was_written(portraits: Portraits, tmp_path: Path) -> None:
    rows = choose_rows(portraits, 4)
    assert write_class_images(portraits, rows, tmp_path / "set", 48) == 4
    found = read_class_images(tmp_path / "set", 48)
    assert found.images.shape == (4, 48, 48, 3)
    assert Counter(found.captions) == Counter(label_prompt(label) for label in rows)
    (tmp_path / "set" / TABLE).unlink()
    by_name = read_class_images(tmp_path / "set", 24)
    assert by_name.images.shape == (4, 24, 24, 3)
    assert sorted(by_name.captions) == sorted(found.captions)
    with pytest.raises(ImageError, match="is not empty"):
        write_class_images(portraits, rows, tmp_path / "set", 48)


def test_the_command_prints_what_was_written(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    arguments = [
        "training",
        "class-images",
        "--shards",
        shards,
        "-o",
        out,
        "-n",
        4,
        "--side",
        64,
        "--without",
        "P0,P1",
    ]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"1 middleaged, 1 elderly, 2 old: {out}"
    assert len(list(out.iterdir())) == 5


def test_sets_without_known_captions_are_refused(portraits: Portraits, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture in"):
        read_class_images(tmp_path, 48)
    write_class_images(portraits, choose_rows(portraits, 4), tmp_path / "set", 48)
    (tmp_path / "set" / TABLE).write_text("file,caption\nold_0003.png,\n")
    with pytest.raises(ImageError, match="a file and a caption in every line"):
        read_class_images(tmp_path / "set", 48)
    (tmp_path / "set" / TABLE).unlink()
    next((tmp_path / "set").iterdir()).rename(tmp_path / "set" / "granny_1.png")
    with pytest.raises(ImageError, match=r"granny_1\.png does not say what it shows"):
        read_class_images(tmp_path / "set", 48)
    np.testing.assert_equal(len(list((tmp_path / "set").iterdir())), 4)
