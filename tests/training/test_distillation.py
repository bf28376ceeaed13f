"""Rows that are made in one process or in several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reage.data.shards import Portraits
from reage.engines import load_engine
from reage.training.distillation import Teacher, map_rows
from reage.types import Face


def first_level(portraits: Portraits, added: int, row: int) -> int:
    return int(portraits.crops[row, 0, 0, 0]) + added


def test_rows_do_not_depend_on_the_number_of_processes(
    make_portrait: Callable, to_columns: Callable, face: Face
) -> None:
    crops = [np.full_like(face.crop, level) for level in (3, 1, 2)]
    portraits = to_columns([make_portrait(crop, person=f"P{level}") for level, crop in enumerate(crops)])
    found = [list(map_rows(first_level, portraits, 10, workers)) for workers in (1, 2)]
    assert found == [[13, 11, 12]] * 2


def test_a_teacher_ages_and_reads(face: Face) -> None:
    teacher = Teacher.load(load_engine("exemplar"))
    reading = teacher.read(face)
    same, older = (teacher.age(face, reading, age) for age in (reading.age_years, 85.0))
    np.testing.assert_array_equal(same, face.crop)
    assert (older != face.crop).mean() > 0.02
