"""Fit of the detector of sketches, on one face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.data.shards import Portraits
from reage.faces.segmentation import FaceParser
from reage.faces.sketch_detection import NUM_LOOKS, SketchDetector
from reage.sketch import Sketcher
from reage.training.measures.sketch_detector import (
    DRAWINGS,
    PHOTOS,
    SketchDetectorTrainingConfig,
    choose_rows,
    degrade,
    fit_detector,
    make_pictures,
)
from reage.types import Face, Pixels


@pytest.fixture(scope="module")
def portraits(make_portrait: Callable, to_columns: Callable, face: Face) -> Portraits:
    return to_columns([make_portrait(face.crop, person=f"P{number}") for number in range(6)])


@pytest.fixture(scope="module")
def pictures(portraits: Portraits, sketcher: Sketcher) -> dict[str, Pixels]:
    return make_pictures(portraits, 0, FaceParser.load(), sketcher, np.random.default_rng(0))


def test_a_portrait_has_every_look(pictures: dict[str, Pixels]) -> None:
    assert set(pictures) == {*PHOTOS, *DRAWINGS}
    assert all(picture.shape == (256, 256, 3) for picture in pictures.values())
    assert np.ptp(pictures["grey photo"], axis=-1).max() == 0 < np.ptp(pictures["photo"], axis=-1).max()
    assert pictures["photo on white"][:20, :20].min() > 200 > pictures["photo"][:20, :20].min()
    assert pictures["pencil, cream paper"][..., 2].mean() < pictures["pencil"].mean()


def test_a_degraded_picture_is_the_same_in_other_quality(pictures: dict[str, Pixels]) -> None:
    shown = [degrade(pictures["photo"], np.random.default_rng(seed)) for seed in range(8)]
    far = [np.abs(one.astype(int) - pictures["photo"]).mean() for one in shown]
    assert 0 < max(far) < 60
    assert all(one.shape == (256, 256, 3) and one.dtype == np.uint8 for one in shown)


def test_rows_are_of_one_split(portraits: Portraits) -> None:
    rows = choose_rows(portraits, "train", 3, seed=0)
    assert 0 < len(rows) <= 3
    assert (portraits.split[rows] == "train").all()


def test_the_fit_tells_both_kinds_apart() -> None:
    generator = np.random.default_rng(0)
    photos = generator.normal(0, 1, (60, NUM_LOOKS))
    drawings = generator.normal(0, 1, (40, NUM_LOOKS)) + 3 * (np.arange(NUM_LOOKS) == 5)
    looks = {PHOTOS[0]: photos.astype(np.float32), DRAWINGS[0]: drawings.astype(np.float32)}
    detector = SketchDetector(fit_detector(SketchDetectorTrainingConfig(hidden=3, steps=60), looks))
    assert (detector.score(looks[PHOTOS[0]]) < 0).mean() > 0.9
    assert (detector.score(looks[DRAWINGS[0]]) > 0).mean() > 0.9
