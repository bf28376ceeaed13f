"""The cross-age set: which ages, and that it does not depend on the number of processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields

import numpy as np

from reage.nets.agetransgan_config import GROUP_YEARS, group_of
from reage.training.cross_age import CROSS_AGE_PX, NUM_AGED, choose_ages, make_cross_age_dataset
from reage.types import Face


def test_groups_follow_each_other() -> None:
    assert len(GROUP_YEARS) == 10
    assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(GROUP_YEARS))
    assert [group_of(age) for age in (0, 2.9, 3, 19.9, 20, 69.5, 70, 100)] == [0, 0, 1, 4, 5, 8, 9, 9]


def test_ages_lie_in_different_groups_than_the_face() -> None:
    for seed in range(50):
        years = choose_ages(34.0, 0.0, np.random.default_rng(seed))
        groups = {group_of(age) for age in years}
        assert len(groups) == NUM_AGED
        assert group_of(34.0) not in groups
        assert max(years) <= 90
    assert min(choose_ages(60.0, 5.0, np.random.default_rng(1))) >= 5


def test_the_set_holds_each_face_at_several_ages(make_portrait: Callable, to_columns: Callable, face: Face) -> None:
    rows = [make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy()), make_portrait(face.crop, person="P1")]
    portraits = to_columns(rows)
    alone, shared = (make_cross_age_dataset(portraits, workers=workers) for workers in (1, 2))
    for column in fields(alone):
        np.testing.assert_array_equal(getattr(alone, column.name), getattr(shared, column.name))
    assert alone.aged.shape == (3, NUM_AGED, CROSS_AGE_PX, CROSS_AGE_PX, 3)
    assert alone.person[0] == alone.person[1] != alone.person[2]
    change = np.abs(alone.aged.astype(int) - alone.crops[:, None]).mean((2, 3, 4))
    assert (change > 0.3).all()
    eyes = alone.landmarks[0, :4].reshape(2, 2, 2).mean(1)
    np.testing.assert_allclose(eyes.mean(0), [127.5, 117.3], atol=2)
