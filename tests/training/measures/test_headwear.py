"""Fit of what tells headwear from hair, on one face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.data.shards import Portraits
from reage.data.split import split_of
from reage.face_classes import CLASSES
from reage.faces.headwear import NUM_LOOKS, HeadwearDetector
from reage.training.measures.headwear import (
    Cells,
    HeadwearTrainingConfig,
    collect_cells,
    dye_cloth,
    fit_cells,
    headwear_labels,
    label_cells,
)
from reage.types import Face

HAIR, HAT = CLASSES.index("hair"), CLASSES.index("hat")


@pytest.fixture(scope="module")
def portraits(make_portrait: Callable, to_columns: Callable, face: Face) -> Portraits:
    return to_columns([make_portrait(face.crop, person=f"P{number}") for number in range(2)])


@pytest.fixture
def shares() -> np.ndarray:
    """A hat on the upper quarter, hair on the next, nothing below."""
    found = np.zeros((len(CLASSES), 64, 64), np.float32)
    found[HAT, :16], found[HAIR, 16:32] = 1, 1
    return found


@pytest.mark.parametrize(
    ("kind", "hat", "hair"), [("covered", 1, 1), ("partly", 1, -1), ("hats", 1, 0), ("doubtful", -1, -1), (None, 0, 0)]
)
def test_cells_are_labelled_by_what_was_seen(kind: str | None, hat: int, hair: int, shares: np.ndarray) -> None:
    labels = label_cells(headwear_labels()[kind][0] if kind else "nobody.jpg", shares)
    assert (labels[:7] == hat).all()
    assert (labels[13:15] == hair).all()
    assert (labels[17:] == -1).all()


def test_nobody_is_of_two_kinds() -> None:
    files = [file for kind in headwear_labels().values() for file in kind]
    assert len(files) == len(set(files)) > 200


def test_those_who_are_judged_are_not_learned_from() -> None:
    """The persons of sfhq are named by the file, those of faker by folder and number."""
    for kind, files in headwear_labels().items():
        for file in files:
            if not file[:4].isdigit():
                assert (split_of(file[:-4].replace("/", "-")) == "val") == (kind == "judged"), file


def test_dyed_cloth_changes_cloth_alone(face: Face, shares: np.ndarray) -> None:
    labels = label_cells(headwear_labels()["hats"][0], shares)
    side, levels = len(face.crop), []
    for seed in range(8):
        dyed = dye_cloth(face.crop, shares, labels, np.random.default_rng(seed))
        np.testing.assert_array_equal(dyed[side // 3 :], face.crop[side // 3 :])
        levels.append(dyed[: side // 5].mean())
    assert np.ptp(levels) > 40


def test_people_without_headwear_are_shown_in_drawn_one(portraits: Portraits) -> None:
    config = HeadwearTrainingConfig(drawn=1.0, cells=40)
    cells = collect_cells(config, portraits, [0, 1])
    without = collect_cells(HeadwearTrainingConfig(drawn=0.0, cells=40), portraits, [0, 1])
    assert cells.looks.shape == (len(cells.cloth), NUM_LOOKS)
    assert cells.cloth.any()
    assert not without.cloth.any()
    assert without.weights.sum() == pytest.approx(4)  # each as it is, and degraded


def test_the_fit_tells_both_kinds_apart() -> None:
    generator = np.random.default_rng(0)
    cloth = np.arange(400) % 4 == 0
    looks = (generator.normal(0, 1, (400, NUM_LOOKS)) + 4 * cloth[:, None] * (np.arange(NUM_LOOKS) == 5)).astype("f4")
    cells = Cells(looks, cloth, np.full(400, 0.1, np.float32))
    detector = HeadwearDetector(fit_cells(HeadwearTrainingConfig(hidden=3, steps=150, batch=128), cells))
    assert ((detector.score(looks) > 0) == cloth).mean() > 0.9
