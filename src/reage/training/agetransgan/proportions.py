"""How children's faces differ from adults' in their proportions, measured on training portraits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reage.engines.agetransgan import child_moves
from reage.faces.proportions import measure_proportions, proportions_shift
from reage.mesh_points import NUM_POINTS
from reage.nets.agetransgan_config import soft_label
from reage.types import Plane

_CHILD_YEARS, _ADULT_YEARS = 5.0, (20.0, 45.0)


@dataclass(frozen=True)
class Proportions:
    """Faces that can be moved to the proportions of other ages.

    Args:
        meshes: (N, 478, 3) of the faces, px of crops of `mesh_px`.
        mesh_px: see `meshes`.
        child: (478, 3) see `measure_child`.
    """

    meshes: Plane
    mesh_px: int
    child: Plane

    def shift(self, row: int, years_from: float, years_to: float, side_px: int) -> Plane:
        """(P, P, 2) shift of a crop, as the engine moves it."""
        scale = side_px / self.mesh_px
        mesh = (self.meshes[row] * scale + (scale - 1) / 2 * np.array([1, 1, 0])).astype(np.float32)
        return proportions_shift(mesh, child_moves(self.child, soft_label(years_from), soft_label(years_to)), side_px)


def measure_child(meshes: Plane, years: Plane) -> Plane:
    """(478, 3) mean proportions of children younger than 5 less those of adults of 20 to 45; 0 without either.

    Args:
        meshes: (N, 478, 3) of faces, any px.
        years: (N,) their ages.
    """
    child, adult = years < _CHILD_YEARS, (years >= _ADULT_YEARS[0]) & (years < _ADULT_YEARS[1])
    if not (child.any() and adult.any()):
        return np.zeros((NUM_POINTS, 3), np.float32)
    young, old = (np.mean([measure_proportions(mesh) for mesh in meshes[rows]], 0) for rows in (child, adult))
    return (young - old).astype(np.float32)
