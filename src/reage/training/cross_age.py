"""The cross-age set: each training face as `exemplar` ages it to other age groups, one person at several ages.

Nobody has photos of thousands of people at every age; these pictures stand in for them where a net must learn what of a
face is the person and what is the age.

Convention:
    N faces, A aged pictures of each, crops of P px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.data.faces import portrait_to_face, resize_portrait
from reage.data.shards import Portraits
from reage.engines.exemplar import ExemplarEngine
from reage.images import geometry
from reage.nets.agetransgan_config import GROUP_YEARS, group_of
from reage.training.distillation import Teacher, map_rows
from reage.types import Pixels

NUM_AGED = 4
"""A: groups, other than its own, in which each face is shown."""
CROSS_AGE_PX = 256
"""P."""
_RENDER_PX = 320
"""Side of the crops in which faces are aged: larger ones take longer, and are scaled down afterwards."""
_OLDEST_YEARS = 90
"""Greatest target age in the last group."""


@dataclass(frozen=True, kw_only=True)
class CrossAgeDataset:
    """Training faces at several ages.

    Args:
        crops: (N, P, P, 3) uint8 faces as photographed.
        aged: (N, A, P, P, 3) uint8 the same faces in other age groups.
        age_years: (N,) float32 apparent ages of the photos, as measured.
        aged_years: (N, A) float32 ages that were asked for.
        person: (N,) int64 number of the person; all photos of a person share it.
        landmarks: (N, 5, 2) float32 of the photos, crop px, ordered as `Face.landmarks`.
        masculinity: (N,) float32 estimated probability that the face is male.
        grey: (N,) bool, the photo has no colour.
    """

    crops: Pixels
    aged: NDArray[np.uint8]
    age_years: NDArray[np.float32]
    aged_years: NDArray[np.float32]
    person: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    masculinity: NDArray[np.float32]
    grey: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.crops)


def make_cross_age_dataset(
    portraits: Portraits,
    *,
    seed: int = 0,
    workers: int = 1,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> CrossAgeDataset:
    """Every portrait at its own age and at `NUM_AGED` others.

    Args:
        portraits: of training people only.
        seed: of the ages.
        workers: processes that age faces; the result does not depend on their number.
        track: wraps the rows in a progress bar.
    """
    rows = list(track(map_rows(_make_row, portraits, seed, workers)))
    people = np.unique(portraits.person, return_inverse=True)[1]
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    scale = CROSS_AGE_PX / portraits.crops.shape[1]
    return CrossAgeDataset(
        **columns,
        person=people.astype(np.int64),
        landmarks=((portraits.landmarks + 0.5) * scale - 0.5).astype(np.float32),
        grey=portraits.grey,
    )


def choose_ages(own_years: float, lowest_years: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """(NUM_AGED,) ages, each in another group than the others and the face's own."""
    others = [number for number in range(len(GROUP_YEARS)) if number != group_of(own_years)]
    groups = [GROUP_YEARS[number] for number in sorted(generator.choice(others, NUM_AGED, replace=False))]
    years = [generator.uniform(first, min(last + 1, _OLDEST_YEARS)) for first, last in groups]
    return np.maximum(years, lowest_years).astype(np.float32)


def _make_row(portraits: Portraits, seed: int, row: int) -> dict[str, NDArray[Any]]:
    teacher = _load_teacher()
    face = portrait_to_face(resize_portrait(portraits.pick(np.array([row])), _RENDER_PX), 0, teacher.parser)
    reading = teacher.read(face)
    years = choose_ages(reading.age_years, teacher.engine.ages[0], np.random.default_rng((seed, row)))
    aged = [geometry.resize(teacher.age(face, reading, float(age)), CROSS_AGE_PX, CROSS_AGE_PX) for age in years]
    return {
        "crops": geometry.resize(face.crop, CROSS_AGE_PX, CROSS_AGE_PX),
        "aged": np.stack(aged),
        "age_years": np.array(reading.age_years, np.float32),
        "aged_years": years,
        "masculinity": np.array(reading.masculinity, np.float32),
    }


@cache
def _load_teacher() -> Teacher:
    """One for each process."""
    return Teacher.load(ExemplarEngine.load())
