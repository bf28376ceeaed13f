"""Meshes without their pose, and the triplets that landmark transfer learns from.

A triplet is one person with one expression, a driver with another, and the person with the driver's expression. Few
people were photographed with many expressions, so the driver is the person, too, with the difference between the shapes
of two others added; the same is done to the person. The shape of the driver must not leak.

Convention: faces (N, 468, 3) face units, see `reage.faces.head_pose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.faces.common_face import mirrored_points
from reage.faces.expression import EXPRESSIONS, measure_expression
from reage.faces.head_pose import fit_pose
from reage.mesh_points import NUM_SURFACE, measure_pose
from reage.types import Plane

_MIXED_SHARE = 0.3
"""Share of the target expressions that lie between two real ones."""
_IDENTITY_SHARES = (0.0, 0.5, 1.0)
"""Shares of the difference between two people that are added."""


@dataclass(frozen=True)
class Shapes:
    """Faces without their pose.

    Args:
        faces: (N, 468, 3).
        scores: (N, 52) of `EXPRESSIONS`.
        people: (N,) number of the person.
    """

    faces: Plane
    scores: Plane
    people: NDArray[np.int64]

    def pick(self, rows: NDArray[np.bool_]) -> Shapes:
        """Those of a mask (N,)."""
        return Shapes(self.faces[rows], self.scores[rows], self.people[rows])

    def with_mirrored(self) -> Shapes:
        """These, and the same mirrored, which are other people."""
        return Shapes(
            np.concatenate([self.faces, mirror(self.faces)]),
            np.concatenate([self.scores, self.scores[:, mirrored_scores()]]),
            np.concatenate([self.people, self.people + self.people.max() + 1]),
        )


def measure_shapes(portraits: Portraits) -> tuple[Shapes, Plane]:
    """The shapes of all portraits, and their yaw, pitch and roll (N, 3) in degrees."""
    faces = [fit_pose(mesh).to_units(mesh)[:NUM_SURFACE] for mesh in portraits.mesh]
    scores = [list(measure_expression(mesh).values()) for mesh in portraits.mesh]
    people = np.unique(portraits.person, return_inverse=True)[1]
    shapes = Shapes(np.array(faces, np.float32), np.array(scores, np.float32), people)
    return shapes, np.array([measure_pose(mesh) for mesh in portraits.mesh], np.float32)


def mirror(faces: Plane) -> Plane:
    """Faces (N, 468, 3) mirrored."""
    mirrored: Plane = faces[:, mirrored_points()[:NUM_SURFACE]] * np.array([-1, 1, 1], np.float32)
    return mirrored


def mirrored_scores() -> list[int]:
    """(52,) number of the score that each score becomes in a mirrored face."""
    swapped: Mapping[str, str] = {"Left": "Right", "Right": "Left"}

    def other(name: str) -> str:
        side = next((side for side in swapped if name.endswith(side)), "")
        return name.removesuffix(side) + swapped.get(side, "")

    return [EXPRESSIONS.index(other(name)) for name in EXPRESSIONS]


@dataclass(frozen=True)
class ExpressionPairs:
    """Draws triplets.

    Args:
        shapes: of people with several expressions each.
        identities: (M, 468, 3) faces of many people without their expressions; only their differences count.
    """

    shapes: Shapes
    identities: Plane

    def __post_init__(self) -> None:
        if len(self.shapes.faces) < 2 or len(self.identities) < 2:
            raise ReageError(
                "Landmark transfer learns from people with several expressions each, and there are none in these "
                "portraits; add some, see docs/reenactment.md."
            )

    def draw(self, batch_size: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The person, the driver, and the person with the driver's expression, (B, 468, 3) each."""
        faces, people = torch.from_numpy(self.shapes.faces), torch.from_numpy(self.shapes.people)
        first = torch.randint(len(faces), (batch_size,), generator=generator)
        same = (people[first][:, None] == people[None]).float()
        second, third = torch.multinomial(same, 2, replacement=True, generator=generator).T
        mixed = torch.rand(batch_size, 1, 1, generator=generator)
        mixed = torch.where(torch.rand(batch_size, 1, 1, generator=generator) < _MIXED_SHARE, mixed, 1.0)
        target = mixed * faces[second] + (1 - mixed) * faces[third]
        own, others = self._differences(batch_size, generator), self._differences(batch_size, generator)
        return faces[first] + own, target + others, target + own

    def _differences(self, batch_size: int, generator: Generator) -> Tensor:
        """(B, 468, 3) between the shapes of two people, or a share of it."""
        identities = torch.from_numpy(self.identities)
        first, second = torch.randint(len(identities), (2, batch_size), generator=generator)
        shares = torch.tensor(_IDENTITY_SHARES)[
            torch.randint(len(_IDENTITY_SHARES), (batch_size, 1, 1), generator=generator)
        ]
        return shares * (identities[first] - identities[second])


def fit_blend_shapes(shapes: Shapes, ridge: float) -> Plane:
    """(52, 1404) the offset that each score makes, by ridge regression on the differences within people."""
    scores, faces = (
        np.concatenate([rows[shapes.people == one] - rows[shapes.people == one].mean(0) for one in set(shapes.people)])
        for rows in (shapes.scores.astype(np.float64), shapes.faces.reshape(len(shapes.faces), -1).astype(np.float64))
    )
    made = np.linalg.solve(scores.T @ scores + ridge * np.eye(len(EXPRESSIONS)), scores.T @ faces)
    return made.astype(np.float32)
