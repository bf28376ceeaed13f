"""The `agetransgan` engine beyond the contract of `tests/test_engines.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.composite import composite
from reage.engines.agetransgan import AgeTransGanEngine, cut_picture
from reage.nets.agetransgan_config import cpu
from reage.types import CompletePlan, Face, Reading

OLDER = CompletePlan(age=75.0, age_from=38.0)


@pytest.fixture(scope="module")
def engine() -> AgeTransGanEngine:
    return AgeTransGanEngine.load()


def test_the_change_is_a_gain_inside_the_window_and_the_matte(
    engine: AgeTransGanEngine, face: Face, reading: Reading
) -> None:
    (gain,) = engine.render(face, reading, OLDER).gains
    side = len(gain.log_ratio)
    assert gain.crops == pytest.approx(0.8, abs=0.01)
    assert np.abs(gain.log_ratio).max() <= 1.3
    assert np.abs(gain.log_ratio[[0, -1]]).max() == np.abs(gain.log_ratio[:, [0, -1]]).max() == 0
    first = (len(face.crop) - side) // 2
    matte = face.matte[first : first + side, first : first + side]
    assert (gain.log_ratio[matte == 0] == 0).all()


def test_the_composite_is_the_preview(engine: AgeTransGanEngine, face: Face, reading: Reading) -> None:
    aged = engine.render(face, reading, OLDER)
    pasted = composite(face.crop, face.in_crop_frame(), aged)
    assert np.abs(pasted.astype(int) - aged.crop).max() <= 1


def test_every_year_between_two_groups_is_another_picture(
    engine: AgeTransGanEngine, face: Face, reading: Reading
) -> None:
    gains = [engine.render(face, reading, replace(OLDER, age=age)).gains[0].log_ratio for age in (55, 56, 60)]
    assert 0 < np.abs(gains[1] - gains[0]).mean() < np.abs(gains[2] - gains[0]).mean()


def test_a_photo_without_colour_stays_without(engine: AgeTransGanEngine, face: Face, reading: Reading) -> None:
    grey = np.repeat(face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    aged = engine.render(replace(face, crop=grey), reading, OLDER)
    assert np.ptp(aged.crop.astype(int), axis=-1).max() <= 1
    assert (aged.crop != grey).any()


def test_a_child_has_other_proportions_and_an_adult_has_not(
    engine: AgeTransGanEngine, face: Face, reading: Reading
) -> None:
    assert engine.render(face, reading, OLDER).shift is None
    far = []
    for age in (17, 12, 3):
        child = engine.render(face, reading, replace(OLDER, age=age))
        assert child.shift is not None
        far.append(np.abs(child.shift).max())
        pasted = composite(face.crop, face.in_crop_frame(), child)
        assert np.median(np.abs(pasted.astype(int) - child.crop)) <= 1
    assert 0 < far[0] < far[1] < far[2] < 0.2 * len(face.crop)
    half = engine.render(face, reading, replace(OLDER, age=3, strength=0.5)).shift
    assert half is not None
    assert np.abs(half).max() == pytest.approx(far[2] / 2, rel=0.1)


def test_the_net_sees_the_middle_of_the_crop(face: Face) -> None:
    marked = np.zeros_like(face.crop)
    middle = len(marked) // 2
    marked[middle - 8 : middle + 8, middle - 8 : middle + 8] = 255
    picture = cut_picture(marked, cpu().generator)
    assert picture.shape == (128, 128, 3)
    rows, columns = np.nonzero(picture[..., 0] > 100)
    assert (rows.mean(), columns.mean()) == pytest.approx((63.5, 63.5), abs=0.6)
    assert 4 <= np.ptp(rows) + 1 <= 6
