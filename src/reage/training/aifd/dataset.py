"""Batches of cross-age pairs: two pictures of each person, at two ages.

Convention:
    N photos, each in V versions: version 0 is the photo itself, the others are aged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment
from reage.images.tensors import to_net
from reage.measure.recognizers import CHIP_PX, make_chip
from reage.training.cross_age import CrossAgeDataset
from reage.types import Pixels


@dataclass(frozen=True, kw_only=True)
class AifdDatasetConfig:
    """How batches are drawn.

    Args:
        several_photos_weight: how much more often a person with several photos is drawn than one with a single one.
        augment: augmentation of all pictures.
    """

    several_photos_weight: float = 4.0
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(max_rotation_degrees=4.0, max_scale=0.05, max_shift=0.02, jpeg_prob=0.0)
    )


@dataclass(frozen=True, kw_only=True)
class CrossAgeFaces:
    """Aligned faces of training people at several ages.

    Args:
        chips: (N, V, P, P, 3) uint8, aligned as dlib's net takes them.
        age_years: (N, V) float32, measured of photos, asked for of aged pictures.
        person: (N,) int64 numbers of the people, 0 to K - 1.
        is_man: (N,) bool, as it was estimated.
    """

    chips: Pixels
    age_years: NDArray[np.float32]
    person: NDArray[np.int64]
    is_man: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.chips)

    @property
    def num_people(self) -> int:
        """K."""
        return int(self.person.max()) + 1

    def pick(self, rows: NDArray[np.bool_]) -> CrossAgeFaces:
        """Some of the photos, with their versions; their people are numbered anew."""
        return CrossAgeFaces(
            chips=self.chips[rows],
            age_years=self.age_years[rows],
            person=np.unique(self.person[rows], return_inverse=True)[1].astype(np.int64),
            is_man=self.is_man[rows],
        )


def make_cross_age_faces(cross_age: CrossAgeDataset, chip_px: int = CHIP_PX) -> CrossAgeFaces:
    """The faces of a cross-age set, cut out and aligned; an aged picture lies where its photo does."""
    versions = [
        [make_chip(picture, points, chip_px) for picture in (crop, *aged)]
        for crop, aged, points in zip(cross_age.crops, cross_age.aged, cross_age.landmarks, strict=True)
    ]
    return CrossAgeFaces(
        chips=np.array(versions),
        age_years=np.concatenate([cross_age.age_years[:, None], cross_age.aged_years], 1),
        person=cross_age.person,
        is_man=cross_age.masculinity > 0.5,
    )


@dataclass(frozen=True, kw_only=True)
class AifdBatch:
    """Faces of B pairs: rows 2 i and 2 i + 1 show one person at two ages.

    Args:
        x: (2 B, 3, P, P) in [-1, 1].
        age_years: (2 B,).
        person: (2 B,) numbers of the people.
        teacher: (2 B, D) the teacher's embeddings of the photos that the faces are, or were made of.
    """

    x: Tensor
    age_years: Tensor
    person: Tensor
    teacher: Tensor


class AifdDataset:
    """Draws batches.

    Args:
        faces: of training people.
        teacher: (N, D) the teacher's embeddings of the photos.
        config: how batches are drawn.
    """

    def __init__(self, faces: CrossAgeFaces, teacher: Tensor, config: AifdDatasetConfig) -> None:
        self.faces = faces
        self._teacher = teacher
        self._config = config
        self._rows = [np.flatnonzero(faces.person == person) for person in range(faces.num_people)]
        weights = [config.several_photos_weight if len(rows) > 1 else 1.0 for rows in self._rows]
        self._weights = torch.tensor(weights)

    def sample(self, num_pairs: int, generator: Generator) -> AifdBatch:
        """A batch of different people, at most as many as there are."""
        people = torch.multinomial(self._weights, num_pairs, generator=generator).tolist()
        drawn = np.array([place for person in people for place in self._draw_two(person, generator)])
        rows, versions = drawn.T
        return AifdBatch(
            x=augment(to_net(self.faces.chips[rows, versions]), self._config.augment, generator),
            age_years=torch.from_numpy(self.faces.age_years[rows, versions]),
            person=torch.from_numpy(self.faces.person[rows]),
            teacher=self._teacher[torch.from_numpy(rows)],
        )

    def _draw_two(self, person: int, generator: Generator) -> list[tuple[int, int]]:
        """Row and version of two pictures: of two photos, in any version, or two versions of the only photo."""
        rows, num_versions = self._rows[person], self.faces.chips.shape[1]
        if len(rows) == 1:
            versions = torch.randperm(num_versions, generator=generator)[:2].tolist()
            return [(int(rows[0]), version) for version in versions]
        two = torch.randperm(len(rows), generator=generator)[:2].tolist()
        versions = torch.randint(num_versions, (2,), generator=generator).tolist()
        return [(int(rows[place]), version) for place, version in zip(two, versions, strict=True)]
